import { sameQuantity } from './quantity.ts';

/**
 * What a server-side apply of `desired` would change in `live`, found without asking the server.
 *
 * Only what `desired` says is compared: defaults and other managers' fields are none of our business. Lists of objects
 * are compared as sets of items, each of which must be there (an admission webhook may add more); lists of scalars as they
 * are. A quantity equals another form of itself. An empty map, list or text equals an absent one.
 *
 * @returns the path of the first field that differs, such as `spec.containers[0].image`; `undefined` when nothing does.
 */
export function difference(desired: unknown, live: unknown): string | undefined {
  return compare(desired, live, '', false);
}

/** Fields below these hold quantities. */
const quantityParents = new Set([
  'requests',
  'limits',
  'capacity',
  'allocatable',
  'hard',
  'used',
  'overhead',
  'allocatedResources',
]);
const quantityFields = new Set(['sizeLimit', 'divisor']);
/** Maps of a person's own: there an empty text is a value. Elsewhere the server leaves it out. */
const textMaps = new Set([
  'data',
  'binaryData',
  'labels',
  'annotations',
  'matchLabels',
  'nodeSelector',
  'selector',
  'parameters',
]);
/** Lists of scalars that are sets: others may add to them. */
const scalarSets = new Set(['metadata.finalizers']);

function compare(desired: unknown, live: unknown, path: string, quantity: boolean): string | undefined {
  if (desired === undefined || desired === live) return undefined;
  if (isEmpty(desired) && (live === undefined || live === null || isEmpty(live))) return undefined;
  if (Array.isArray(desired)) return Array.isArray(live) ? compareLists(desired, live, path) : name(path);
  if (isMap(desired)) {
    if (!isMap(live)) return name(path);
    const parent = path.slice(path.lastIndexOf('.') + 1);
    for (const [field, value] of Object.entries(desired)) {
      const below = path === '' ? field : `${path}.${field}`;
      if (value === '' && live[field] === undefined && !textMaps.has(parent)) continue;
      const found = compare(value, live[field], below, quantityParents.has(parent) || quantityFields.has(field));
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (quantity && sameQuantity(desired, live)) return undefined;
  return name(path);
}

function compareLists(desired: readonly unknown[], live: readonly unknown[], path: string): string | undefined {
  if (!desired.some(isMap)) {
    if (scalarSets.has(path)) return desired.every((item) => live.includes(item)) ? undefined : name(path);
    const same =
      desired.length === live.length && desired.every((item, at) => compare(item, live[at], path, false) === undefined);
    return same ? undefined : name(path);
  }
  const free = new Set(live.keys());
  for (const [at, item] of desired.entries()) {
    // Mostly an item sits where we put it; else it may be anywhere.
    const order = free.has(at) ? [at, ...free] : [...free];
    const match = order.find((index) => compare(item, live[index], '', false) === undefined);
    if (match === undefined) {
      const inner = compare(item, live[at], '', false);
      return `${path}[${at}]${inner === undefined || inner === root ? '' : `.${inner}`}`;
    }
    free.delete(match);
  }
  return undefined;
}

const root = '(root)';

function name(path: string): string {
  return path === '' ? root : path;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  if (value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  if (!isMap(value)) return false;
  for (const field in value) if (value[field] !== undefined) return false;
  return true;
}

/**
 * The RFC 7386 merge patch that turns `from` into `to`; `undefined` when they are equal. Lists are replaced as a whole.
 */
export function mergePatchOf(from: unknown, to: unknown): unknown {
  if (!isMap(from) || !isMap(to)) return deepEqual(from, to) ? undefined : (to ?? null);
  const patch: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(to)) {
    if (value === undefined) continue;
    const below = from[field] === undefined ? value : mergePatchOf(from[field], value);
    if (below !== undefined) patch[field] = below;
  }
  for (const [field, value] of Object.entries(from)) {
    if (value !== undefined && to[field] === undefined) patch[field] = null;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Equality of JSON values; a field that is `undefined` equals an absent one. */
export function deepEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, at) => deepEqual(item, b[at]))
    );
  }
  if (!isMap(a) || !isMap(b)) return false;
  for (const field in a) if (!deepEqual(a[field], b[field])) return false;
  for (const field in b) if (b[field] !== undefined && a[field] === undefined) return false;
  return true;
}
