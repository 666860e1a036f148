import { createHash } from 'node:crypto';

/** JSON with sorted keys and without absent fields: equal values give equal text. */
export function canonical(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? 'null';
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.keys(record)
      .filter((key) => record[key] !== undefined)
      .sort()
      .map((key) => [key, sorted(record[key])]),
  );
}

/** A short name of a value, fit for a label: the first 16 hex digits of sha2-256 over its canonical JSON. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 16);
}

/** Whether two values are the same JSON. */
export const same = (a: unknown, b: unknown): boolean => a === b || canonical(a) === canonical(b);
