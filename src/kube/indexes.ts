import type { Existing, KubeObject } from './objects.ts';

/** Under which values an object is found. */
export type IndexFunction<T extends KubeObject> = (object: Existing<T>) => readonly string[];

/** Keys of a store's objects by what an {@link IndexFunction} says of them. Most values have one key: that needs no set. */
export interface Index<T extends KubeObject> {
  readonly of: IndexFunction<T>;
  readonly keys: Map<string, string | Set<string>>;
}

/** Adds an object under its values. */
export function enter<T extends KubeObject>(index: Index<T>, key: string, object: Existing<T>): void {
  for (const value of index.of(object)) {
    const keys = index.keys.get(value);
    if (keys === undefined) index.keys.set(value, key);
    else if (typeof keys !== 'string') keys.add(key);
    else if (keys !== key) index.keys.set(value, new Set([keys, key]));
  }
}

/** Takes out an object; `object` must be the one that entered. */
export function leave<T extends KubeObject>(index: Index<T>, key: string, object: Existing<T>): void {
  for (const value of index.of(object)) {
    const keys = index.keys.get(value);
    if (keys === key) index.keys.delete(value);
    else if (keys instanceof Set) {
      keys.delete(key);
      if (keys.size === 0) index.keys.delete(value);
    }
  }
}

/** The keys under a value, in no order. */
export function under<T extends KubeObject>(index: Index<T>, value: string): Iterable<string> {
  const keys = index.keys.get(value) ?? [];
  return typeof keys === 'string' ? [keys] : keys;
}

/** How many keys are under a value. */
export function count<T extends KubeObject>(index: Index<T>, value: string): number {
  const keys = index.keys.get(value);
  return keys === undefined ? 0 : typeof keys === 'string' ? 1 : keys.size;
}
