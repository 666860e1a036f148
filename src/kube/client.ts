import type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  ListOptions,
  Page,
  PatchOptions,
  RawWatchEvent,
  WatchOptions,
  Written,
} from './calls.ts';
import type { ClusterConfig } from './cluster-config.ts';
import { AlreadyExists, Gone, NotFound } from './errors.ts';
import { type Call, Exchange, type ExchangeInit } from './exchange.ts';
import { type AnyKind, apiVersionOf, type Kind } from './kinds.ts';
import { type Existing, type KubeObject, keyOf, keyText, type ObjectKey } from './objects.ts';
import { collectionPath, objectPath, query, selectorQuery } from './paths.ts';
import { systemClock } from './time.ts';
import { HttpTransport } from './transport.ts';

export interface ClientInit extends ExchangeInit {
  /** Called after each successful write, before the call returns. */
  readonly onWritten?: ((written: Written) => void) | undefined;
}

const mergePatch = 'application/merge-patch+json';
const patchTypes = {
  merge: mergePatch,
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/**
 * The API server of one cluster, by kind. Raw JSON in and out: no field is dropped or converted.
 *
 * Guarantees: every call ends by its deadline or its signal. 429 and 503 are retried as the server asks (Retry-After),
 * whatever the verb. A broken connection, 500, 502 and 504 are retried only where doing it twice is harmless (reads,
 * apply, merge patch, delete). No write leaves after the fence closed.
 *
 * Caveat: a write that ends in ConnectionFailed, ServerTimeout or DeadlineExceeded may have happened.
 */
export class Client {
  readonly #init: ClientInit;
  readonly #exchange: Exchange;

  constructor(init: ClientInit) {
    this.#init = init;
    this.#exchange = new Exchange(init);
  }

  /** A client for the current context of a kubeconfig (or `loadFromDefault()` / `loadFromCluster()`). */
  static from(
    config: ClusterConfig,
    init: Omit<ClientInit, 'transport'> & { readonly connections?: number } = {},
  ): Client {
    const clock = init.clock ?? systemClock;
    return new Client({ ...init, transport: new HttpTransport({ config, clock, connections: init.connections }) });
  }

  /** The same connections with other habits: a fence, a signal, a listener. */
  with(change: Partial<Omit<ClientInit, 'transport'>>): Client {
    return new Client({ ...this.#init, ...change });
  }

  /** Closes the connections, also those of clients made by {@link with}. */
  close(): Promise<void> {
    return this.#init.transport.close();
  }

  /** @throws NotFound */
  async get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options: CallOptions = {}): Promise<Existing<T>> {
    const answer = await this.#exchange.read({
      ...options,
      attempt: `get ${kind.kind} ${keyText(key)}`,
      method: 'GET',
      path: objectPath(kind, key),
      idempotent: true,
    });
    return answer as Existing<T>;
  }

  /** As {@link get}, with `undefined` where there is none. */
  async find<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: CallOptions = {},
  ): Promise<Existing<T> | undefined> {
    try {
      return await this.get(kind, key, options);
    } catch (error) {
      if (error instanceof NotFound) return undefined;
      throw error;
    }
  }

  /** All objects, read page by page. Starts over once when the list grows too old while it is read. */
  async list<T extends KubeObject>(
    kind: Kind<T>,
    options: ListOptions = {},
  ): Promise<{ readonly items: readonly Existing<T>[]; readonly resourceVersion: string }> {
    for (let restarts = 0; ; restarts += 1) {
      const items: Existing<T>[] = [];
      try {
        let page = await this.page(kind, options);
        for (;;) {
          for (const item of page.items) items.push(item);
          if (page.continue === '') return { items, resourceVersion: page.resourceVersion };
          page = await this.page(kind, options, page.continue);
        }
      } catch (error) {
        if (!(error instanceof Gone) || restarts >= 2) throw error;
      }
    }
  }

  /** One page. @throws Gone when the token is too old. */
  async page<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}, token = ''): Promise<Page<T>> {
    const answer = (await this.#exchange.read({
      signal: options.signal,
      deadlineMs: options.deadlineMs ?? 60_000,
      attempt: `list ${kind.plural}${options.namespace === undefined ? '' : ` in ${options.namespace}`}`,
      method: 'GET',
      path:
        collectionPath(kind, options.namespace) +
        query({
          ...selectorQuery(options.selector),
          limit: options.limit ?? 500,
          continue: token === '' ? undefined : token,
        }),
      idempotent: true,
    })) as { items?: Existing<T>[]; metadata?: { resourceVersion?: string; continue?: string } };
    // Items of a list carry neither apiVersion nor kind for built-in kinds.
    const apiVersion = apiVersionOf(kind);
    const items = (answer.items ?? []).map((item) =>
      item.kind === undefined ? { ...item, apiVersion, kind: kind.kind } : item,
    );
    return {
      items,
      resourceVersion: answer.metadata?.resourceVersion ?? '',
      continue: answer.metadata?.continue ?? '',
    };
  }

  /** @throws AlreadyExists. Not retried when it may have happened: then look, or use {@link apply}. */
  async create<T extends KubeObject>(
    kind: Kind<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string } = {},
  ): Promise<Existing<T>> {
    const { fieldManager, ...rest } = options;
    return this.#write(kind, {
      ...rest,
      attempt: `create ${kind.kind} ${keyText(keyOf(object))}`,
      method: 'POST',
      path: collectionPath(kind, requiredNamespace(kind, object)) + query({ fieldManager }),
      body: object,
      idempotent: false,
    });
  }

  /**
   * Asks the server whether it would take the object; nothing is kept (a dry run). A namesake is no obstacle.
   * @throws Invalid; BadRequest; Forbidden, also for a quota that the object would exceed beside its namesake.
   */
  async rehearse<T extends KubeObject>(kind: Kind<T>, object: T, options: CallOptions = {}): Promise<void> {
    const call = {
      ...options,
      attempt: `rehearse ${kind.kind} ${keyText(keyOf(object))}`,
      method: 'POST' as const,
      path: collectionPath(kind, requiredNamespace(kind, object)) + query({ dryRun: 'All' }),
      body: object,
      idempotent: true,
    };
    await this.#exchange.write(call).catch((error: unknown) => {
      if (!(error instanceof AlreadyExists)) throw error;
    });
  }

  /** Replaces the object as a whole. @throws Conflict unless `metadata.resourceVersion` is the present one. */
  async replace<T extends KubeObject>(
    kind: Kind<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string } = {},
  ): Promise<Existing<T>> {
    const { fieldManager, ...rest } = options;
    return this.#write(kind, {
      ...rest,
      attempt: `replace ${kind.kind} ${keyText(keyOf(object))}`,
      method: 'PUT',
      path: objectPath(kind, keyOf(object)) + query({ fieldManager }),
      body: object,
      idempotent: false,
    });
  }

  /** Server-side apply: creates the object, or makes the fields given ours and drops those we gave before. */
  apply<T extends KubeObject>(kind: Kind<T>, object: T, options: ApplyOptions): Promise<Existing<T>> {
    return this.#apply(kind, object, options);
  }

  /** Server-side apply on `/status`. The object must exist. */
  applyStatus<T extends KubeObject>(kind: Kind<T>, object: T, options: ApplyOptions): Promise<Existing<T>> {
    return this.#apply(kind, object, options, 'status');
  }

  #apply<T extends KubeObject>(
    kind: Kind<T>,
    object: T,
    options: ApplyOptions,
    subresource?: string,
  ): Promise<Existing<T>> {
    const { fieldManager, force = true, ...rest } = options;
    return this.#write(kind, {
      ...rest,
      attempt: `apply ${subresource === undefined ? '' : `${subresource} of `}${kind.kind} ${keyText(keyOf(object))}`,
      method: 'PATCH',
      path: objectPath(kind, keyOf(object), subresource) + query({ fieldManager, force }),
      body: { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind },
      contentType: 'application/apply-patch+yaml',
      idempotent: true,
    });
  }

  /** @throws NotFound, Conflict */
  patch<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions = {},
  ): Promise<Existing<T>> {
    const { type = 'merge', subresource, fieldManager, resourceVersion, ...rest } = options;
    let body = patch;
    if (resourceVersion !== undefined) {
      if (type !== 'merge') throw new TypeError('resourceVersion: only a merge patch can carry it');
      const given = (patch ?? {}) as { metadata?: object };
      body = { ...given, metadata: { ...given.metadata, resourceVersion } };
    }
    return this.#write(kind, {
      ...rest,
      attempt: `patch ${subresource === undefined ? '' : `${subresource} of `}${kind.kind} ${keyText(key)}`,
      method: 'PATCH',
      path: objectPath(kind, key, subresource) + query({ fieldManager }),
      body,
      contentType: patchTypes[type],
      // With a lock the second try of a patch that happened is a Conflict, which callers handle anyway.
      idempotent: type !== 'json',
    });
  }

  /** Merge patch on `/status`: `{ status: patch }`. */
  patchStatus<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    status: unknown,
    options: Omit<PatchOptions, 'type' | 'subresource'> = {},
  ): Promise<Existing<T>> {
    return this.patch(kind, key, { status }, { ...options, subresource: 'status' });
  }

  /**
   * Deletes the object. The object is returned while it is still there (finalizers, grace period), else `undefined`.
   * @throws NotFound, Conflict (precondition)
   */
  async delete<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<Existing<T> | undefined> {
    const { uid, resourceVersion, propagation = 'Background', gracePeriodSeconds, ...rest } = options;
    const answer = (await this.#exchange.write({
      ...rest,
      attempt: `delete ${kind.kind} ${keyText(key)}`,
      method: 'DELETE',
      path: objectPath(kind, key),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: propagation,
        gracePeriodSeconds,
        preconditions: uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion },
      },
      idempotent: true,
    })) as { kind?: string; details?: { uid?: string } };
    if (answer.kind === 'Status') {
      const gone = answer.details?.uid ?? uid;
      if (gone !== undefined) this.#init.onWritten?.({ type: 'removed', kind, key, uid: gone });
      return undefined;
    }
    const object = answer as unknown as Existing<T>;
    if (object.metadata.deletionTimestamp === undefined) return undefined;
    this.#init.onWritten?.({ type: 'stored', kind, object });
    return object;
  }

  /** Sets `spec.replicas` through `/scale`. */
  async scale(kind: AnyKind, key: ObjectKey, replicas: number, options: CallOptions = {}): Promise<void> {
    await this.#exchange.write({
      ...options,
      attempt: `scale ${kind.kind} ${keyText(key)} to ${replicas}`,
      method: 'PATCH',
      path: objectPath(kind, key, 'scale'),
      body: { spec: { replicas } },
      contentType: mergePatch,
      idempotent: true,
    });
  }

  /** A JSON GET of any path, for example `/version`. */
  raw(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#exchange.read({ ...options, attempt: `get ${path}`, method: 'GET', path, idempotent: true });
  }

  /**
   * Opens a watch. Resolves once the server has accepted it; the iteration yields what has arrived together, ends when
   * the server ends the watch, and throws when the connection breaks, falls silent or the signal is aborted.
   */
  watch(kind: AnyKind, options: WatchOptions): Promise<AsyncIterable<readonly RawWatchEvent[]>> {
    const attempt = `watch ${kind.plural}${options.namespace === undefined ? '' : ` in ${options.namespace}`}`;
    const path =
      collectionPath(kind, options.namespace) +
      query({
        ...selectorQuery(options.selector),
        watch: 1,
        allowWatchBookmarks: true,
        timeoutSeconds: options.timeoutSeconds,
        resourceVersion: options.resourceVersion,
        ...(options.sendInitialEvents === true
          ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
          : {}),
      });
    return this.#exchange.stream({ attempt, method: 'GET', path, idempotent: true }, options.idleMs, options.signal);
  }

  async #write<T extends KubeObject>(kind: Kind<T>, call: Call): Promise<Existing<T>> {
    const object = (await this.#exchange.write(call)) as Existing<T>;
    this.#init.onWritten?.({ type: 'stored', kind, object });
    return object;
  }
}

function requiredNamespace(kind: AnyKind, object: KubeObject): string | undefined {
  if (!kind.namespaced) return undefined;
  if (object.metadata.namespace === undefined) {
    throw new TypeError(`${kind.kind} "${object.metadata.name}" needs metadata.namespace: the kind is namespaced`);
  }
  return object.metadata.namespace;
}
