import type { Field } from './fields.ts';
import { SAMPLES } from './samples.ts';

/**
 * What is wrong with a value, if anything. valid: another value that means something. boundary: least, greatest, empty,
 * longest, and one beyond. nonsense: of the right type. wrongType: not even that.
 */
export type Quality = 'valid' | 'boundary' | 'nonsense' | 'wrongType';
export const QUALITIES: readonly Quality[] = ['valid', 'boundary', 'nonsense', 'wrongType'];

/** Stands for a field that is left out. */
export const ABSENT = Symbol('absent');

const LONG = 300;

/** Values of a field by quality; empty where a quality makes no sense for its type. */
export function valuesOf(field: Field, quality: Quality): readonly unknown[] {
  const sample = SAMPLES[field.sample];
  switch (quality) {
    case 'valid':
      return [...(sample?.valid ?? []), ...validByType(field)];
    case 'boundary':
      return boundaries(field);
    case 'nonsense':
      return sample?.nonsense ?? (field.type === 'enum' ? ['NoSuchChoice'] : []);
    case 'wrongType':
      return WRONG[field.type];
  }
}

function validByType({ type, schema }: Field): readonly unknown[] {
  switch (type) {
    case 'boolean':
      return [true, false];
    case 'enum':
      return schema.enum as readonly unknown[];
    case 'integer': {
      const [min, max] = range(schema);
      return [...new Set([min, min + 1, min + 2, Math.min(max, min + 7)])].filter((value) => value <= max);
    }
    default:
      return [];
  }
}

function boundaries({ type, schema }: Field): readonly unknown[] {
  switch (type) {
    case 'integer': {
      const [min, max] = range(schema);
      return [min, max, min - 1, max + 1];
    }
    case 'intOrString':
      return [0, '', '1'.repeat(LONG)];
    case 'text': {
      const max = typeof schema.maxLength === 'number' ? schema.maxLength : LONG;
      return ['', 'a'.repeat(max), 'a'.repeat(max + 1)];
    }
    case 'map': {
      const max = typeof schema.maxProperties === 'number' ? schema.maxProperties : 64;
      const filled = (count: number): object =>
        Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, '1']));
      return [{}, filled(max), filled(max + 1)];
    }
    case 'list':
      return [[], Array.from({ length: Number(schema.maxItems ?? 16) + 1 }, () => ({}))];
    case 'open':
      return [{}];
    default:
      return [];
  }
}

/** Of JSON's types, those that the field is not of. */
const WRONG: Readonly<Record<Field['type'], readonly unknown[]>> = {
  boolean: ['yes', 1, []],
  integer: ['five', 1.5, true, {}],
  enum: [[], {}, true],
  intOrString: [true, {}, 1.5],
  text: [5, true, {}, []],
  map: ['text', 5, ['a'], { a: { b: 1 } }],
  list: ['text', { a: 1 }, 5],
  open: ['text', 5, ['a']],
  object: ['text', 5, ['a'], true],
};

function range({ minimum, maximum }: Field['schema']): readonly [number, number] {
  return [
    typeof minimum === 'number' ? minimum : -1_000_000,
    typeof maximum === 'number' ? maximum : Number.MAX_SAFE_INTEGER,
  ];
}
