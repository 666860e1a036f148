import type { Written } from './calls.ts';
import type { Client } from './client.ts';
import type { IndexFunction } from './indexes.ts';
import { type AnyKind, apiVersionOf, type Kind, kindText } from './kinds.ts';
import type { Log } from './log.ts';
import { type Existing, type KubeObject, type Selector, selects } from './objects.ts';
import { type ReadStore, Store } from './store.ts';
import type { Clock, Random } from './time.ts';
import { Watcher } from './watcher.ts';

/** What is watched of a kind. */
export interface WatchDeclaration<T extends KubeObject> {
  readonly selector?: Selector | undefined;
  readonly trim?: ((object: Existing<T>) => Existing<T>) | undefined;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>> | undefined;
}

/** The stores a reconciler may read. */
export interface Stores {
  /** @throws TypeError when no controller declared the kind (with this selector). */
  of<T extends KubeObject>(kind: Kind<T>, selector?: Selector): ReadStore<T>;
}

export interface CachesInit {
  readonly client: Client;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Default: all namespaces. Cluster-scoped kinds are always watched as a whole. */
  readonly namespaces?: readonly string[] | undefined;
  readonly onRestart?: ((kind: AnyKind, why: 'list' | 'resume') => void) | undefined;
  readonly timeoutSeconds?: number | undefined;
  readonly idleMs?: number | undefined;
  readonly behindMs?: number | undefined;
}

interface Cache {
  readonly kind: AnyKind;
  readonly selector: Selector | undefined;
  readonly store: Store<KubeObject>;
  readonly watchers: readonly Watcher<KubeObject>[];
}

/** One shared watch and store for each kind and selector. */
export class Caches implements Stores {
  readonly #init: CachesInit;
  readonly #caches = new Map<string, Cache>();
  #running: { readonly signal: AbortSignal; readonly watchers: Set<Promise<void>> } | undefined;

  constructor(init: CachesInit) {
    this.#init = init;
  }

  /**
   * Makes sure that the kind is watched. A second declaration of the same kind and selector adds its indexes;
   * objects are trimmed only where all declarations agree on how.
   */
  declare<T extends KubeObject>(kind: Kind<T>, declaration: WatchDeclaration<T> = {}): Store<T> {
    const name = cacheName(kind, declaration.selector);
    const present = this.#caches.get(name);
    if (present !== undefined) {
      const store = present.store as unknown as Store<T>;
      store.alsoReadBy(declaration.trim);
      for (const [index, of] of Object.entries(declaration.indexes ?? {})) store.addIndex(index, of);
      return store;
    }
    const { client, clock, random, log, onRestart, timeoutSeconds, idleMs, behindMs } = this.#init;
    const namespaces = kind.namespaced ? (this.#init.namespaces ?? ['']) : [''];
    const store = new Store<T>({ ...declaration, namespaces });
    const watchers = namespaces.map(
      (namespace) =>
        new Watcher<T>({
          client,
          kind,
          namespace,
          selector: declaration.selector,
          clock,
          random,
          log,
          timeoutSeconds,
          idleMs,
          behindMs,
          trim: (object) => store.trimmed(object),
          onNews: (news) => store.feed(news, namespace),
          onRestart: (why) => onRestart?.(kind, why),
        }),
    );
    const cache = { kind, selector: declaration.selector, store, watchers } as unknown as Cache;
    this.#caches.set(name, cache);
    if (this.#running !== undefined) this.#start(cache, this.#running);
    return store;
  }

  of<T extends KubeObject>(kind: Kind<T>, selector?: Selector): Store<T> {
    const exact = this.#caches.get(cacheName(kind, selector));
    const found =
      exact ??
      (selector === undefined ? [...this.#caches.values()].find((cache) => same(cache.kind, kind)) : undefined);
    if (found === undefined) {
      throw new TypeError(`no one watches ${kindText(kind)}: declare it on the controller with .owns() or .watches()`);
    }
    return found.store as unknown as Store<T>;
  }

  /**
   * The store in which `object` is to be found, once it exists. `whole`: it holds all objects of the kind, so what is not
   * there does not exist (in the watched namespaces).
   * @throws TypeError when no watch covers it.
   */
  covering<T extends KubeObject>(kind: Kind<T>, object: T): { readonly store: ReadStore<T>; readonly whole: boolean } {
    const ofKind = [...this.#caches.values()].filter((cache) => same(cache.kind, kind));
    const whole = ofKind.find((cache) => cache.selector === undefined);
    const found = whole ?? ofKind.find((cache) => selects(cache.selector ?? {}, object));
    if (found === undefined) {
      throw new TypeError(
        ofKind.length === 0
          ? `no one watches ${kindText(kind)}: declare it on the controller with .owns() or .watches()`
          : `no watch of ${kindText(kind)} covers "${object.metadata.name}": its labels are outside of every declared selector`,
      );
    }
    return { store: found.store as unknown as Store<T>, whole: whole !== undefined };
  }

  /** Every store, with what it holds: for whoever compares them with the server. */
  all(): readonly {
    readonly kind: AnyKind;
    readonly selector: Selector | undefined;
    readonly store: ReadStore<KubeObject>;
  }[] {
    return [...this.#caches.values()];
  }

  /** Every kind that is watched. */
  kinds(): readonly AnyKind[] {
    return [...this.#caches.values()].map((cache) => cache.kind);
  }

  /** Starts all watches; they run until the signal is aborted. Resolves when they have ended. */
  async run(signal: AbortSignal): Promise<void> {
    const running = { signal, watchers: new Set<Promise<void>>() };
    this.#running = running;
    for (const cache of this.#caches.values()) this.#start(cache, running);
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    await Promise.all(running.watchers);
    this.#running = undefined;
  }

  async whenSynced(signal: AbortSignal): Promise<void> {
    await Promise.all([...this.#caches.values()].map((cache) => cache.store.whenSynced(signal)));
  }

  get hasSynced(): boolean {
    return [...this.#caches.values()].every((cache) => cache.store.hasSynced);
  }

  /** Watches that the server has not spoken to for longer than `ms`, with the reason where one is known. */
  stuck(ms: number): readonly string[] {
    const now = this.#init.clock.monotonic();
    const stuck: string[] = [];
    for (const { kind, watchers } of this.#caches.values()) {
      for (const watcher of watchers) {
        const silence = now - watcher.heard;
        if (silence > ms) {
          stuck.push(
            `watch of ${kindText(kind)}: nothing heard for ${Math.round(silence / 1000)} s${watcher.problem === undefined ? '' : ` (${watcher.problem})`}`,
          );
        }
      }
    }
    return stuck;
  }

  /** Kinds whose first list is not here yet, with the reason where one is known. */
  unsynced(): readonly string[] {
    const missing: string[] = [];
    for (const { kind, store, watchers } of this.#caches.values()) {
      if (store.hasSynced) continue;
      const problem = watchers.find((watcher) => watcher.problem !== undefined)?.problem;
      missing.push(`${kindText(kind)} is not listed yet${problem === undefined ? '' : ` (${problem})`}`);
    }
    return missing;
  }

  /** Objects held, by kind. */
  sizes(): ReadonlyMap<string, number> {
    const sizes = new Map<string, number>();
    for (const { kind, store } of this.#caches.values()) {
      sizes.set(kindText(kind), (sizes.get(kindText(kind)) ?? 0) + store.size);
    }
    return sizes;
  }

  /** Takes in what one of our own writes did. */
  learn(written: Written): void {
    for (const cache of this.#caches.values()) {
      if (!same(cache.kind, written.kind)) continue;
      if (written.type === 'stored') cache.store.learn(written.object);
      else cache.store.learnRemoved(written.key, written.uid);
    }
  }

  #start(cache: Cache, running: { readonly signal: AbortSignal; readonly watchers: Set<Promise<void>> }): void {
    for (const watcher of cache.watchers) running.watchers.add(watcher.run(running.signal));
  }
}

function same(a: AnyKind, b: AnyKind): boolean {
  return a.kind === b.kind && apiVersionOf(a) === apiVersionOf(b);
}

function cacheName(kind: AnyKind, selector: Selector | undefined): string {
  const sorted = (of: Readonly<Record<string, string>> | undefined) => Object.entries(of ?? {}).sort();
  return JSON.stringify([apiVersionOf(kind), kind.kind, sorted(selector?.labels), sorted(selector?.fields)]);
}
