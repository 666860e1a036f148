import type { ApplyChildOptions } from './apply.ts';
import type { Caches, Stores, WatchDeclaration } from './cache.ts';
import type { Client } from './client.ts';
import { deepEqual } from './difference.ts';
import type { EventRecorder } from './events.ts';
import { type AnyKind, type Kind, kindText } from './kinds.ts';
import type { Log } from './log.ts';
import { controllerOf, type Existing, type KubeObject, keyOf, keyText, type ObjectKey } from './objects.ts';
import type { AddOptions } from './queue.ts';
import type { Change } from './store.ts';

/** What a reconcile gets. Never the event that led to it: the world is read from the stores. */
export interface ReconcileContext {
  readonly key: ObjectKey;
  /** Fenced, and ended by `signal`. Its writes are read back from `stores` at once. */
  readonly client: Client;
  readonly stores: Stores;
  /** Aborted at the time limit, when the lead is lost, and when the manager stops waiting. */
  readonly signal: AbortSignal;
  /** With controller and key as fields. */
  readonly log: Log;
  readonly events: EventRecorder;
  /** How often this key has failed in a row before this. */
  readonly failures: number;
  /** Server-side apply of what differs from the store. The object's kind must be owned or watched here. */
  apply<T extends KubeObject>(desired: T, options?: ApplyChildOptions): Promise<Existing<T>>;
  /**
   * Makes `status` the whole status of `object`, where it differs: one merge patch, with an optimistic lock on the version
   * read. Returns the object as it is then. @throws Conflict when the object changed since; the key is retried.
   */
  setStatus<T extends KubeObject>(object: Existing<T>, status: unknown): Promise<Existing<T>>;
}

/** What a reconcile may ask for. */
export interface ReconcileResult {
  /** Come back after so long, ms, if nothing else happens before. */
  readonly requeueAfterMs?: number | undefined;
}

// biome-ignore lint/suspicious/noConfusingVoidType: a reconcile that wants nothing more just ends.
export type Reconcile = (context: ReconcileContext) => Promise<ReconcileResult | void>;

/** Called after a failed reconcile, after it was counted and logged and before it is retried. */
export type OnError = (error: unknown, context: ReconcileContext) => void;

/** Keys from outside Kubernetes: what peers report, a timer, a webhook. */
export interface Source {
  /** Calls `wake` for each key that needs a look; returns how to stop. Keys woken before it is called need not be told: every key is looked at when a term begins. */
  subscribe(wake: (key: ObjectKey, options?: AddOptions) => void): () => void;
}

/** A {@link Source} that is woken by calling it. */
export class Wakeups implements Source {
  readonly #listeners = new Set<(key: ObjectKey, options?: AddOptions) => void>();

  subscribe(wake: (key: ObjectKey, options?: AddOptions) => void): () => void {
    this.#listeners.add(wake);
    return () => this.#listeners.delete(wake);
  }

  /** Has `key` reconciled, in every controller that listens. */
  wake(key: ObjectKey, options?: AddOptions): void {
    for (const listener of this.#listeners) listener(key, options);
  }
}

export interface ControllerOptions<T extends KubeObject> extends WatchDeclaration<T> {
  /** For logs and metrics. Default: the kind, lower-case. */
  readonly name?: string | undefined;
  /** Reconciles at once; never two of one key. Default 8: they mostly wait for the server. */
  readonly concurrency?: number | undefined;
  /** Time limit of one reconcile. ms, default 60 000. */
  readonly timeoutMs?: number | undefined;
  /** Which updates of the kind itself wake it. Default `spec`. */
  readonly on?: Wakes<T> | undefined;
}

/** Which updates of an object wake somebody: `spec`, all but those of the status alone; `any`; or those that change what the function reads. */
export type Wakes<T extends KubeObject> = 'spec' | 'any' | ((object: Existing<T>) => unknown);

/** Another kind that a controller follows. */
export interface FollowOptions<T extends KubeObject> extends WatchDeclaration<T> {
  /** Default `any`. */
  readonly on?: Wakes<T> | undefined;
}

type Enqueue = (key: ObjectKey, options?: AddOptions) => void;

/** One way by which keys come into a controller. */
export interface Trigger {
  declare(caches: Caches): void;
  subscribe(caches: Caches, enqueue: Enqueue, log: Log): () => void;
}

/**
 * Which kinds bring which keys to a reconcile function.
 *
 *     new Controller(Widget, { concurrency: 4 }).owns(ConfigMap).watches(Namespace, (ns, stores) => ...).run(reconcile)
 *
 * Guarantees: a key is reconciled after the kind's object, an owned object or a watched object changed, at least once and
 * never twice at the same time; and once for each existing object when a term of leading begins. A reconcile that throws is
 * counted, logged and retried with backoff.
 */
export class Controller<T extends KubeObject = KubeObject> {
  readonly kind: Kind<T>;
  readonly name: string;
  readonly concurrency: number;
  readonly timeoutMs: number;
  readonly selector: WatchDeclaration<T>['selector'];
  readonly #triggers: Trigger[] = [];
  readonly #kinds: AnyKind[];
  #reconcile: Reconcile | undefined;
  #onError: OnError | undefined;

  constructor(kind: Kind<T>, options: ControllerOptions<T> = {}) {
    const {
      name = kind.kind.toLowerCase(),
      concurrency = 8,
      timeoutMs = 60_000,
      on = 'spec',
      ...declaration
    } = options;
    this.kind = kind;
    this.name = name;
    this.concurrency = concurrency;
    this.timeoutMs = timeoutMs;
    this.selector = declaration.selector;
    this.#kinds = [kind];
    this.#triggers.push(
      trigger(kind, { ...declaration, on }, (change, enqueue) => {
        enqueue(keyOf(change.object), priorityOf(change));
      }),
    );
  }

  /** Objects of `kind` whose controller owner is one of ours: their changes wake the owner. */
  owns<C extends KubeObject>(kind: Kind<C>, options: FollowOptions<C> = {}): this {
    this.#kinds.push(kind);
    this.#triggers.push(
      trigger(kind, options, (change, enqueue) => {
        const owners = new Set([this.#ownerOf(change.object)]);
        if (change.type === 'updated') owners.add(this.#ownerOf(change.previous));
        for (const name of owners) {
          if (name === undefined) continue;
          const namespace = this.kind.namespaced ? (change.object.metadata.namespace ?? '') : '';
          enqueue({ namespace, name }, priorityOf(change));
        }
      }),
    );
    return this;
  }

  /** Objects of `kind` wake the keys that `keys` gives for them (before and after a change). */
  watches<O extends KubeObject>(
    kind: Kind<O>,
    keys: (object: Existing<O>, stores: Stores) => Iterable<ObjectKey>,
    options: FollowOptions<O> = {},
  ): this {
    this.#kinds.push(kind);
    this.#triggers.push(
      trigger(kind, options, (change, enqueue, caches) => {
        // Each key once: the first may be taken at once, and a second would have it looked at twice.
        const woken = new Map([...keys(change.object, caches)].map((key) => [keyText(key), key]));
        if (change.type === 'updated') for (const key of keys(change.previous, caches)) woken.set(keyText(key), key);
        for (const key of woken.values()) enqueue(key, priorityOf(change));
      }),
    );
    return this;
  }

  /** Reads a kind without being woken by it: it is watched and in the stores. */
  reads<O extends KubeObject>(kind: Kind<O>, declaration: WatchDeclaration<O> = {}): this {
    this.#kinds.push(kind);
    this.#triggers.push({
      declare: (caches) => void caches.declare(kind, declaration),
      subscribe: () => () => undefined,
    });
    return this;
  }

  /** Keys from outside Kubernetes. */
  on(source: Source): this {
    this.#triggers.push({ declare() {}, subscribe: (_, enqueue) => source.subscribe(enqueue) });
    return this;
  }

  /** What to do for a key. The manager runs it, while it leads. */
  run(reconcile: Reconcile, onError?: OnError): this {
    this.#reconcile = reconcile;
    this.#onError = onError;
    return this;
  }

  /** Every kind that this controller reads: what its RBAC must allow to get, list and watch. */
  get kinds(): readonly AnyKind[] {
    return this.#kinds;
  }

  get triggers(): readonly Trigger[] {
    return this.#triggers;
  }

  /** @throws TypeError when {@link run} was not called. */
  get reconcile(): Reconcile {
    if (this.#reconcile === undefined)
      throw new TypeError(`controller ${this.name} has nothing to run: call .run(reconcile)`);
    return this.#reconcile;
  }

  get onError(): OnError | undefined {
    return this.#onError;
  }

  #ownerOf(object: KubeObject): string | undefined {
    const owner = controllerOf(object);
    if (owner === undefined || owner.kind !== this.kind.kind) return undefined;
    const slash = owner.apiVersion.indexOf('/');
    // By group, not by version: an owner written under v1alpha1 is the same object under v1.
    return (slash < 0 ? '' : owner.apiVersion.slice(0, slash)) === this.kind.group ? owner.name : undefined;
  }
}

function trigger<O extends KubeObject>(
  kind: Kind<O>,
  { on = 'any', ...declaration }: FollowOptions<O>,
  onChange: (change: Change<O>, enqueue: Enqueue, caches: Caches) => void,
): Trigger {
  return {
    declare: (caches) => void caches.declare(kind, declaration),
    subscribe: (caches, enqueue, log) =>
      caches.of(kind, declaration.selector).subscribe((change) => {
        try {
          if (change.type === 'updated' && !wakes(on, change.previous, change.object)) return;
          onChange(change, enqueue, caches);
        } catch (err) {
          // A mapping that throws must not take the watch down with it.
          log.error(
            { err, kind: kindText(kind), object: keyOf(change.object) },
            'a change could not be mapped to keys',
          );
        }
      }),
  };
}

function priorityOf(change: Change<KubeObject>): AddOptions {
  return { priority: change.type === 'added' && change.initial ? 'low' : 'high' };
}

function wakes<T extends KubeObject>(on: Wakes<T>, previous: Existing<T>, next: Existing<T>): boolean {
  if (on === 'any') return true;
  return on === 'spec' ? !sameButStatus(previous, next) : !deepEqual(on(previous), on(next));
}

/** Whether nothing changed that a person or another controller says: all but status and bookkeeping. */
function sameButStatus(previous: KubeObject, next: KubeObject): boolean {
  if (previous.metadata.generation !== next.metadata.generation) return false;
  return deepEqual(withoutStatus(previous), withoutStatus(next));
}

function withoutStatus(object: KubeObject): object {
  const { status: _, metadata, ...rest } = object as KubeObject & { readonly status?: unknown };
  const { resourceVersion: __, managedFields: ___, ...said } = metadata;
  return { ...rest, metadata: said };
}
