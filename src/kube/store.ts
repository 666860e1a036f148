import { count, enter, type Index, type IndexFunction, leave, under } from './indexes.ts';
import {
  compareVersions,
  type Existing,
  type KubeObject,
  keyOf,
  keyText,
  type ObjectKey,
  type Selector,
  selects,
} from './objects.ts';

/** One step from one picture of a kind to the next. `initial`: part of the first picture, not news. */
export type Change<T extends KubeObject> =
  | { readonly type: 'added'; readonly object: Existing<T>; readonly initial: boolean }
  | { readonly type: 'updated'; readonly object: Existing<T>; readonly previous: Existing<T> }
  | { readonly type: 'deleted'; readonly object: Existing<T> };

/** What a watch tells a store. `scope` is the watched namespace; empty for all. */
export type Feed<T extends KubeObject> =
  | { readonly type: 'replaced'; readonly objects: readonly Existing<T>[]; readonly resourceVersion: string }
  | { readonly type: 'applied'; readonly object: Existing<T> }
  | { readonly type: 'deleted'; readonly object: Existing<T> }
  | { readonly type: 'progressed'; readonly resourceVersion: string };

export interface StoreInit<T extends KubeObject> {
  readonly selector?: Selector | undefined;
  /** Watched namespaces, one feed each; default one feed for all. */
  readonly namespaces?: readonly string[] | undefined;
  /** Drops what nobody reads, to save memory. `managedFields` are always dropped. */
  readonly trim?: ((object: Existing<T>) => Existing<T>) | undefined;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>> | undefined;
}

/** The reading side of a store. Objects are shared: never change them. */
export interface ReadStore<T extends KubeObject> {
  readonly hasSynced: boolean;
  readonly size: number;
  get(key: ObjectKey): Existing<T> | undefined;
  /** All, or those of one namespace, in no order. */
  list(namespace?: string): readonly Existing<T>[];
  /** Those with an owner reference to this uid. */
  byOwner(uid: string): readonly Existing<T>[];
  byLabel(label: string, value: string, namespace?: string): readonly Existing<T>[];
  /** @throws TypeError when there is no such index. */
  byIndex(name: string, value: string): readonly Existing<T>[];
  /** How many {@link byIndex} would give, without giving them. @throws TypeError when there is no such index. */
  countByIndex(name: string, value: string): number;
}

/**
 * The picture of one kind (and selector), kept by a watch and, ahead of it, by our own writes.
 *
 * Guarantees: each version of an object is announced once. A 'replaced' swaps the picture in one step and announces what
 * vanished as deleted. An object that was deleted and made anew under its name (another uid) is announced as deleted,
 * then added. After `learn` the picture never falls behind that write: older news of the object is dropped until the
 * watch has caught up. A 'replaced' that is older than the news before it means that the server was set back: then it
 * alone counts.
 *
 * Assumes that versions of a kind are ordered (see compareVersions) and that one feed's news come in that order.
 */
export class Store<T extends KubeObject> implements ReadStore<T> {
  readonly #init: StoreInit<T>;
  #trim: StoreInit<T>['trim'];
  readonly #objects = new Map<string, Existing<T>>();
  readonly #indexes = new Map<string, Index<T>>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  /** Own writes that the watch has not told of yet. */
  readonly #ahead = new Map<string, { readonly uid: string; readonly resourceVersion: string | undefined }>();
  /** Newest version heard of by each feed; absent before its first picture. */
  readonly #progress = new Map<string, string>();
  readonly #waiting = new Set<() => void>();

  constructor(init: StoreInit<T> = {}) {
    this.#init = init;
    this.#trim = init.trim;
    this.addIndex(ownerIndex, (object) => object.metadata.ownerReferences?.map((owner) => owner.uid) ?? []);
    this.addIndex(namespaceIndex, (object) => [object.metadata.namespace ?? '']);
    for (const [name, of] of Object.entries(init.indexes ?? {})) this.addIndex(name, of);
  }

  get size(): number {
    return this.#objects.size;
  }

  get hasSynced(): boolean {
    return this.#scopes().every((scope) => this.#progress.has(scope));
  }

  /** Own writes not yet seen by the watch. */
  get aheadCount(): number {
    return this.#ahead.size;
  }

  /** Resolves once every feed has given its first picture. */
  whenSynced(signal: AbortSignal): Promise<void> {
    if (this.hasSynced) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.#waiting.delete(check);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = () => {
        finish();
        reject(signal.reason);
      };
      const check = () => {
        if (!this.hasSynced) return;
        finish();
        resolve();
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(check);
    });
  }

  get(key: ObjectKey): Existing<T> | undefined {
    return this.#objects.get(keyText(key));
  }

  list(namespace?: string): readonly Existing<T>[] {
    return namespace === undefined ? [...this.#objects.values()] : this.byIndex(namespaceIndex, namespace);
  }

  byOwner(uid: string): readonly Existing<T>[] {
    return this.byIndex(ownerIndex, uid);
  }

  byLabel(label: string, value: string, namespace?: string): readonly Existing<T>[] {
    const name = `label ${label}`;
    // Made at first use: most labels are never asked for.
    if (!this.#indexes.has(name)) {
      this.addIndex(name, (object) => {
        const of = object.metadata.labels?.[label];
        return of === undefined ? [] : [of];
      });
    }
    const found = this.byIndex(name, value);
    return namespace === undefined ? found : found.filter((object) => object.metadata.namespace === namespace);
  }

  byIndex(name: string, value: string): readonly Existing<T>[] {
    const found: Existing<T>[] = [];
    for (const key of under(this.#index(name), value)) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  countByIndex(name: string, value: string): number {
    return count(this.#index(name), value);
  }

  /** Adds an index; a second one of the same name replaces the first. */
  addIndex(name: string, of: IndexFunction<T>): void {
    const index: Index<T> = { of, keys: new Map() };
    for (const [key, object] of this.#objects) enter(index, key, object);
    this.#indexes.set(name, index);
  }

  /** Trims in this way only if everyone who reads the store asked for it: else someone would miss what another drops. */
  alsoReadBy(trim: StoreInit<T>['trim']): void {
    if (trim !== this.#trim) this.#trim = undefined;
  }

  /** Calls `listener` for every change from now on; returns how to stop. */
  subscribe(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes in news of a watch over `scope` (a namespace; empty for all). */
  feed(news: Feed<T>, scope = ''): void {
    switch (news.type) {
      case 'replaced':
        this.#replace(news.objects, news.resourceVersion, scope);
        break;
      case 'applied':
        this.#progressed(news.object.metadata.resourceVersion, scope);
        this.#apply(this.trimmed(news.object));
        break;
      case 'deleted':
        this.#progressed(news.object.metadata.resourceVersion, scope);
        this.#delete(news.object);
        break;
      case 'progressed':
        this.#progressed(news.resourceVersion, scope);
        this.#caughtUp(news.resourceVersion, scope);
        break;
    }
  }

  /** Takes in the server's answer to a write of ours, so that it is read here before the watch tells of it. */
  learn(object: Existing<T>): void {
    const scope = this.#scopeOf(object.metadata.namespace ?? '');
    if (scope === undefined || !selects(this.#init.selector ?? {}, object)) return;
    const { uid, resourceVersion } = object.metadata;
    const seen = this.#progress.get(scope);
    // Nothing to be ahead of yet, or the watch has told of this already (and perhaps of what came after).
    if (seen === undefined || compareVersions(resourceVersion, seen) <= 0) return;
    const key = keyText(keyOf(object));
    const ahead = this.#ahead.get(key);
    if (ahead?.resourceVersion !== undefined && compareVersions(resourceVersion, ahead.resourceVersion) <= 0) return;
    if (ahead?.resourceVersion === undefined && ahead?.uid === uid) return;
    const known = this.#objects.get(key);
    if (known?.metadata.uid === uid && compareVersions(resourceVersion, known.metadata.resourceVersion) <= 0) return;
    this.#ahead.set(key, { uid, resourceVersion });
    this.#put(key, this.trimmed(object), false);
  }

  /** Takes in that a delete of ours removed the object for good. */
  learnRemoved(key: ObjectKey, uid: string): void {
    const text = keyText(key);
    const known = this.#objects.get(text);
    if (known?.metadata.uid !== uid) return;
    this.#ahead.set(text, { uid, resourceVersion: undefined });
    this.#remove(text);
  }

  #index(name: string): Index<T> {
    const index = this.#indexes.get(name);
    if (index !== undefined) return index;
    throw new TypeError(`there is no index "${name}" here. Declare it with the store, or call addIndex first`);
  }

  #replace(objects: readonly Existing<T>[], resourceVersion: string, scope: string): void {
    const seen = this.#progress.get(scope);
    const initial = seen === undefined;
    const setBack = seen !== undefined && compareVersions(resourceVersion, seen) < 0;
    const removed = new Map<string, string>();
    const keep = new Set<string>();
    // Own writes newer than this picture stay; the others are in it, or were undone before it.
    for (const [key, ahead] of this.#ahead) {
      if (!this.#inScope(key, scope)) continue;
      if (!setBack && ahead.resourceVersion === undefined) removed.set(key, ahead.uid);
      if (
        !setBack &&
        ahead.resourceVersion !== undefined &&
        compareVersions(ahead.resourceVersion, resourceVersion) > 0
      )
        keep.add(key);
      else this.#ahead.delete(key);
    }
    this.#progress.set(scope, resourceVersion);
    for (const object of objects) {
      const key = keyText(keyOf(object));
      if (keep.has(key)) continue;
      const { uid } = object.metadata;
      if (removed.get(key) === uid) {
        // The picture is older than our delete.
        this.#ahead.set(key, { uid, resourceVersion: undefined });
        continue;
      }
      keep.add(key);
      this.#put(key, this.trimmed(object), initial);
    }
    for (const key of [...this.#objects.keys()]) {
      if (!keep.has(key) && this.#inScope(key, scope)) this.#remove(key);
    }
    for (const check of [...this.#waiting]) check();
  }

  #apply(object: Existing<T>): void {
    const key = keyText(keyOf(object));
    const ahead = this.#ahead.get(key);
    if (ahead !== undefined) {
      const { uid, resourceVersion } = object.metadata;
      const old =
        ahead.resourceVersion === undefined
          ? ahead.uid === uid
          : compareVersions(resourceVersion, ahead.resourceVersion) < 0;
      if (old) return;
      this.#ahead.delete(key);
    }
    const known = this.#objects.get(key);
    if (known?.metadata.uid === object.metadata.uid && isOlder(object, known)) return;
    this.#put(key, object, false);
  }

  #delete(object: Existing<T>): void {
    const key = keyText(keyOf(object));
    const { uid } = object.metadata;
    if (this.#ahead.get(key)?.uid === uid) this.#ahead.delete(key);
    if (this.#objects.get(key)?.metadata.uid === uid) this.#remove(key);
  }

  #progressed(resourceVersion: string, scope: string): void {
    const seen = this.#progress.get(scope);
    if (seen !== undefined && compareVersions(resourceVersion, seen) > 0) this.#progress.set(scope, resourceVersion);
  }

  #caughtUp(resourceVersion: string, scope: string): void {
    for (const [key, ahead] of this.#ahead) {
      if (ahead.resourceVersion === undefined || !this.#inScope(key, scope)) continue;
      if (compareVersions(ahead.resourceVersion, resourceVersion) <= 0) this.#ahead.delete(key);
    }
  }

  #put(key: string, object: Existing<T>, initial: boolean): void {
    const previous = this.#objects.get(key);
    if (previous !== undefined) {
      if (previous.metadata.uid !== object.metadata.uid) {
        this.#remove(key);
        this.#put(key, object, false);
        return;
      }
      if (previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
      for (const index of this.#indexes.values()) leave(index, key, previous);
    }
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) enter(index, key, object);
    this.#tell(previous === undefined ? { type: 'added', object, initial } : { type: 'updated', object, previous });
  }

  #remove(key: string): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) leave(index, key, object);
    this.#tell({ type: 'deleted', object });
  }

  #tell(change: Change<T>): void {
    for (const listener of this.#listeners) listener(change);
  }

  /** The object as it is kept here. */
  trimmed(object: Existing<T>): Existing<T> {
    let slim = object;
    if (object.metadata.managedFields !== undefined) {
      const { managedFields: _, ...metadata } = object.metadata;
      slim = { ...object, metadata };
    }
    return this.#trim === undefined ? slim : this.#trim(slim);
  }

  #scopes(): readonly string[] {
    return this.#init.namespaces ?? [''];
  }

  #scopeOf(namespace: string): string | undefined {
    return this.#scopes().find((scope) => scope === '' || scope === namespace);
  }

  #inScope(key: string, scope: string): boolean {
    return scope === '' || key.startsWith(`${scope}/`);
  }
}

/** After a resume a watch may repeat itself. */
function isOlder(object: Existing<KubeObject>, known: Existing<KubeObject>): boolean {
  return compareVersions(object.metadata.resourceVersion, known.metadata.resourceVersion) < 0;
}

const ownerIndex = 'owner uid';
const namespaceIndex = 'namespace';
