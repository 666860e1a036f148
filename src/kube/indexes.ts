import type { Existing, KubeObject } from './objects.ts';

/** Under which values an object is found. */
export type IndexFunction<T extends KubeObject> = (object: Existing<T>) => readonly string[];

/** Keys of a store's objects by what an {@link IndexFunction} says of them. */
export interface Index<T extends KubeObject> {
  readonly of: IndexFunction<T>;
  readonly keys: Map<string, Set<string>>;
}

/** Adds an object under its values. */
export function enter<T extends KubeObject>(index: Index<T>, key: string, object: Existing<T>): void {
  for (const value of index.of(object)) {
    const keys = index.keys.get(value);
    if (keys === undefined) index.keys.set(value, new Set([key]));
    else keys.add(key);
  }
}

/** Takes out an object; `object` must be the one that entered. */
export function leave<T extends KubeObject>(index: Index<T>, key: string, object: Existing<T>): void {
  for (const value of index.of(object)) {
    const keys = index.keys.get(value);
    keys?.delete(key);
    if (keys?.size === 0) index.keys.delete(value);
  }
}
