import { KINDS, type KindName } from '../../../src/api/index.ts';
import { type Random, seeded } from '../../../src/learning/random.ts';
import { type Field, fieldsOf } from './fields.ts';
import { SAMPLES } from './samples.ts';
import { ABSENT, QUALITIES, type Quality, valuesOf } from './values.ts';

export type Spec = Readonly<Record<string, unknown>>;

/** One change of one field, as a person might make it. */
export interface Mutation {
  readonly field: Field;
  readonly quality: Quality;
  readonly value: unknown;
  /** Whether fields that belong with it are set too; without them a valid value may contradict the rest. */
  readonly alongside: boolean;
}

/** The field in words: `storage.size`. */
export const pathText = ({ path }: Field): string => path.join('.');

export function describeMutation({ field, quality, value, alongside }: Mutation): string {
  const text = value === ABSENT ? 'absent' : (JSON.stringify(value) ?? 'undefined');
  const short = text.length > 120 ? `${text.slice(0, 100)}... (${text.length} characters)` : text;
  return `${pathText(field)} = ${short} (${quality}${alongside ? '' : ', alone'})`;
}

/** The spec with the mutation in it. */
export function mutated(spec: Spec, { field, value, alongside }: Mutation): Spec {
  const next = structuredClone(spec) as Record<string, unknown>;
  if (alongside) {
    const prefix = field.sample.startsWith(field.kind) ? [] : ['template', 'spec'];
    for (const [path, beside] of Object.entries(SAMPLES[field.sample]?.alongside ?? {})) {
      put(next, [...prefix, ...path.split('.')], beside === undefined ? ABSENT : beside);
    }
  }
  put(next, field.path, value);
  return next;
}

/** Every value of every field of every kind, each once, in a fixed order without rhyme. */
export function deck(dear: (mutation: Mutation) => boolean): readonly Mutation[] {
  const random = seeded(1);
  return (Object.keys(KINDS) as readonly KindName[])
    .flatMap((kind) => fieldsOf(kind))
    .flatMap((field) =>
      QUALITIES.flatMap((quality) => {
        const values = valuesOf(field, quality);
        // Of wrong types one is enough: they are the API server's own business.
        const some = quality === 'wrongType' ? values.slice(0, 1) : values;
        return some.map((value) => ({ field, quality, value, alongside: true }));
      }),
    )
    .filter((mutation) => !dear(mutation))
    .map((mutation) => ({ mutation, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ mutation }) => mutation);
}

/** A mutation of this kind, every field as likely as every other. @param dear whether a value costs too much to try */
export function drawMutation(kind: KindName, random: Random, dear: (mutation: Mutation) => boolean): Mutation {
  for (;;) {
    const field = pick(fieldsOf(kind), random);
    const quality = drawQuality(random());
    const values =
      field.type === 'object' || quality !== 'valid' ? valuesOf(field, quality) : [...valuesOf(field, quality), ABSENT];
    if (values.length === 0) continue;
    const mutation = { field, quality, value: pick(values, random), alongside: random() < 0.8 };
    if (!dear(mutation)) return mutation;
  }
}

/** Wrong types are the API server's own business, so they are tried least. */
function drawQuality(at: number): Quality {
  if (at < 0.4) return 'valid';
  if (at < 0.65) return 'boundary';
  return at < 0.9 ? 'nonsense' : 'wrongType';
}

export function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** Sets (or, with {@link ABSENT}, removes) the value at the end of the path; what is missing on the way is made. */
export function put(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at: Record<string, unknown> = root;
  for (const [index, step] of path.slice(0, -1).entries()) {
    const there = at[step];
    if (typeof there !== 'object' || there === null) {
      if (value === ABSENT) return;
      at[step] = path[index + 1] === '0' ? [] : {};
    }
    at = at[step] as Record<string, unknown>;
  }
  const last = path.at(-1) ?? '';
  if (value === ABSENT) delete at[last];
  else at[last] = structuredClone(value);
}

export function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[step] : undefined),
    root,
  );
}
