import { describe, expect, it } from 'vitest';
import { API_VERSION, KINDS, type Kind, type KindName } from '../../../src/api/index.ts';
import { fieldsOf, isLeaf } from './fields.ts';
import { homeSpec } from './home.ts';
import { mutated, pathText, valueAt } from './mutation.ts';
import { SAMPLES } from './samples.ts';
import { valuesOf } from './values.ts';

const kinds = Object.keys(KINDS) as readonly KindName[];
const leaves = kinds
  .flatMap((kind) => fieldsOf(kind).filter(isLeaf))
  .map((field) => [`${field.kind}.${pathText(field)}`, field] as const);

/** Every validator of a fleet needs keys of its own, so a template names none. */
const NEVER = new Set(['template.spec.identity.secretRef.name', 'template.spec.stake.keySecretRef.name']);

const parsed = (kind: KindName, spec: unknown) => {
  const of: Kind = KINDS[kind];
  const name = kind === 'StakeKeyReservation' ? 'a'.repeat(64) : 'one';
  return of.schema.safeParse({ apiVersion: API_VERSION, kind, metadata: { name }, spec });
};

describe('every leaf of every schema', () => {
  it.each(leaves)(
    '%s has values that zod takes, other than the present one, and values that it refuses',
    (_, field) => {
      const home = homeSpec(field.kind);
      const before = JSON.stringify(valueAt(home, field.path));
      const takes = (quality: 'valid' | 'wrongType', value: unknown): boolean =>
        parsed(field.kind, mutated(home, { field, quality, value, alongside: true })).success;
      const valid = valuesOf(field, 'valid').filter(
        (value) => JSON.stringify(value) !== before && takes('valid', value),
      );
      if (!NEVER.has(pathText(field))) expect(valid, 'a sample in samples.ts').not.toHaveLength(0);
      const wrong = valuesOf(field, 'wrongType');
      expect(wrong).not.toHaveLength(0);
      expect(wrong.filter((value) => takes('wrongType', value))).toEqual([]);
      if (field.type !== 'boolean' && field.type !== 'enum') expect(valuesOf(field, 'boundary')).not.toHaveLength(0);
      if (!['boolean', 'integer'].includes(field.type)) {
        expect(valuesOf(field, 'nonsense'), 'nonsense in samples.ts').not.toHaveLength(0);
      }
    },
  );

  it('has no sample without a field', () => {
    const named = new Set(kinds.flatMap(fieldsOf).map(({ sample }) => sample));
    expect(Object.keys(SAMPLES).filter((name) => !named.has(name))).toEqual([]);
  });
});
