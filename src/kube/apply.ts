import { createHash } from 'node:crypto';
import type { Caches } from './cache.ts';
import type { Client } from './client.ts';
import { difference } from './difference.ts';
import { Conflict } from './errors.ts';
import { type AnyKind, apiVersionOf, type Kind } from './kinds.ts';
import type { Log } from './log.ts';
import { controllerOf, type Existing, type KubeObject, keyOf, keyText, ownerReference } from './objects.ts';

export interface ApplierInit {
  readonly client: Client;
  readonly stores: Pick<Caches, 'covering'>;
  /** Kinds that may be applied: they must be watched. */
  readonly kinds: KindTable;
  readonly fieldManager: string;
  readonly log: Log;
  /** What is remembered between applies; shared by all reconciles of a process. */
  readonly memory: ApplyMemory;
}

export interface ApplyChildOptions {
  /** Becomes the controller owner; gives its namespace where the object has none. */
  readonly owner?: KubeObject | undefined;
}

/** Finds the descriptor for an object by its apiVersion and kind. */
export class KindTable {
  readonly #kinds = new Map<string, AnyKind>();

  constructor(kinds: Iterable<AnyKind> = []) {
    for (const kind of kinds) this.add(kind);
  }

  add(kind: AnyKind): void {
    this.#kinds.set(`${apiVersionOf(kind)} ${kind.kind}`, kind);
  }

  /** @throws TypeError when the kind was never declared. */
  of<T extends KubeObject>(object: T): Kind<T> {
    const found = this.#kinds.get(`${object.apiVersion} ${object.kind}`);
    if (found === undefined) {
      throw new TypeError(
        `${object.apiVersion} ${object.kind} is not known here: declare it with .owns() or .watches()`,
      );
    }
    return found as Kind<T>;
  }
}

/**
 * Objects which the API server keeps in another form than we write them, in a way that `difference` does not know.
 * Without this memory they would be written at each reconcile.
 */
export class ApplyMemory {
  readonly #settled = new Map<string, { readonly desired: string; readonly live: string }>();

  /** `live` is what the server made of `desired`. */
  settle(name: string, desired: KubeObject, live: KubeObject): void {
    this.#settled.delete(name);
    this.#settled.set(name, { desired: digest(desired), live: digest(project(desired, live)) });
    if (this.#settled.size > 20_000) for (const [oldest] of this.#settled) return void this.#settled.delete(oldest);
  }

  isSettled(name: string, desired: KubeObject, live: KubeObject): boolean {
    const settled = this.#settled.get(name);
    return settled?.desired === digest(desired) && settled.live === digest(project(desired, live));
  }
}

/**
 * Server-side apply that writes only what differs.
 *
 * Guarantees: an object equal to what the store shows is not written. A field or list item that an earlier version of us
 * set and this one does not is noticed (the annotation `<fieldManager>/shape` holds a digest of the field names we set)
 * and removed by the server. An object controlled by someone else is never taken over. What the store shows is changed
 * only while it is still so: an object that is gone is not made anew from an old picture, and a newer one not undone.
 *
 * Caveats: what the store does not show yet, because it is behind, is written over.
 * do not set a field to the zero value that the server leaves out (`hostNetwork: false`): it is written once a
 * process start. What others add to a list is left alone.
 */
export class Applier {
  readonly #init: ApplierInit;

  constructor(init: ApplierInit) {
    this.#init = init;
  }

  /** Returns the object as it is then. @throws Conflict when someone else controls it, or it changed since; Invalid; Forbidden. */
  async apply<T extends KubeObject>(wanted: T, options: ApplyChildOptions = {}): Promise<Existing<T>> {
    const { client, stores, kinds, fieldManager, log, memory } = this.#init;
    const kind = kinds.of(wanted);
    const desired = complete(wanted, kind, options.owner, fieldManager);
    const key = keyOf(desired);
    const name = `${kind.kind}.${kind.group} ${keyText(key)}`;
    const { store, whole } = stores.covering(kind, desired);
    const live = store.get(key);
    if (live !== undefined) {
      refuseForeign(live, desired);
      const path = difference(desired, live);
      if (path === undefined || memory.isSettled(name, desired, live)) return live;
      log.debug({ kind: kind.kind, object: keyText(key), path }, 'applying a change');
    } else if (!whole) {
      // The store shows only what has our labels: a stranger's object of this name would be taken over unseen.
      const hidden = await client.find(kind, key);
      if (hidden !== undefined) refuseHidden(hidden, desired);
    }
    const written = await client.apply(kind, live === undefined ? desired : locked(desired, live), { fieldManager });
    // As the store will show it, trimmed.
    const shown = store.get(key) ?? written;
    const kept = difference(desired, shown);
    if (kept !== undefined) {
      memory.settle(name, desired, shown);
      log.debug({ kind: kind.kind, object: keyText(key), path: kept }, 'the server keeps this field in another form');
    }
    return written;
  }
}

/** With the optimistic lock: this very object, in the version that was read. */
function locked<T extends KubeObject>(desired: T, live: Existing<KubeObject>): T {
  const { uid, resourceVersion } = live.metadata;
  return { ...desired, metadata: { ...desired.metadata, uid, resourceVersion } };
}

function refuseForeign(live: KubeObject, desired: KubeObject): void {
  const present = controllerOf(live);
  const wanted = controllerOf(desired);
  if (wanted === undefined || present === undefined || present.uid === wanted.uid) return;
  throw refusal(
    desired,
    `it is controlled by ${present.kind} ${present.name} (uid ${present.uid}), not by ${wanted.kind} ${wanted.name}. Rename one of the two, or delete it`,
  );
}

/** Found on the server, but not selected by our labels: ours only if we are its controller all the same. */
function refuseHidden(hidden: KubeObject, desired: KubeObject): void {
  const wanted = controllerOf(desired);
  if (wanted !== undefined && controllerOf(hidden)?.uid === wanted.uid) return;
  const labels = JSON.stringify(desired.metadata.labels ?? {});
  const selected = Object.entries(desired.metadata.labels ?? {}).every(
    ([label, value]) => hidden.metadata.labels?.[label] === value,
  );
  // It came into being this moment, and the watch has not shown it yet.
  if (selected) {
    refuseForeign(hidden, desired);
    return;
  }
  throw refusal(
    desired,
    `an object of this name exists and is not ours: it lacks our labels ${labels}. Rename one of the two, or delete it`,
  );
}

function refusal(desired: KubeObject, message: string): Conflict {
  return new Conflict({ attempt: `apply ${desired.kind} ${keyText(keyOf(desired))}`, code: 0 }, message);
}

/** The object as it is sent: owner, namespace, shape; `stringData` in the form in which it is stored. */
function complete<T extends KubeObject>(
  wanted: T,
  kind: AnyKind,
  owner: KubeObject | undefined,
  fieldManager: string,
): T {
  const { stringData, ...rest } = wanted as T & { readonly stringData?: Readonly<Record<string, string>> };
  const encoded =
    stringData === undefined
      ? {}
      : {
          data: {
            ...(rest as { readonly data?: object }).data,
            ...Object.fromEntries(
              Object.entries(stringData).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
            ),
          },
        };
  const namespace = kind.namespaced ? (wanted.metadata.namespace ?? owner?.metadata.namespace) : undefined;
  const metadata = {
    ...wanted.metadata,
    namespace,
    ownerReferences: owner === undefined ? wanted.metadata.ownerReferences : [ownerReference(owner)],
  };
  const object = { ...rest, ...encoded, metadata };
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [`${fieldManager}/shape`]: shapeOf(object) } },
  } as unknown as T;
}

/** A digest of which fields an object sets, without their values. */
export function shapeOf(object: object): string {
  const paths: string[] = [];
  const walk = (value: unknown, path: string) => {
    if (Array.isArray(value)) for (const [at, item] of value.entries()) walk(item, `${path}\u0000${at}`);
    else if (typeof value === 'object' && value !== null) {
      for (const field of Object.keys(value).sort())
        walk((value as Record<string, unknown>)[field], `${path}\u0000${field}`);
    } else if (value !== undefined) paths.push(path);
  };
  walk(object, '');
  return createHash('sha256').update(paths.join('\n')).digest('hex').slice(0, 16);
}

/** `live`, cut down to the fields of `desired`. */
function project(desired: unknown, live: unknown): unknown {
  if (typeof desired !== 'object' || desired === null || Array.isArray(desired)) return live;
  if (typeof live !== 'object' || live === null) return live;
  const of = live as Record<string, unknown>;
  return Object.fromEntries(Object.entries(desired).map(([field, value]) => [field, project(value, of[field])]));
}

function digest(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('base64');
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
