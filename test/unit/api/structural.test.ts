import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ruled, text } from '../../../src/api/rules.ts';
import { structuralSchema } from '../../../src/api/structural.ts';

const field = (schema: z.ZodType) => structuralSchema(z.object({ field: schema })).properties!.field;

describe('the structural schema', () => {
  test('of a whole number has a format in place of bounds at 2^53', () => {
    expect(field(z.int())).toEqual({ type: 'integer', format: 'int64' });
    expect(field(z.int().min(0).max(7))).toEqual({ type: 'integer', format: 'int32', minimum: 0, maximum: 7 });
  });

  test('of a choice of numbers is an integer', () => {
    expect(field(z.literal([8, 32]))).toEqual({ type: 'integer', format: 'int32', enum: [8, 32] });
  });

  test('of an object drops unknown fields, and of a loose one keeps them', () => {
    expect(field(z.object({ a: z.string() }))).toEqual({
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
    });
    expect(field(z.looseObject({}))).toEqual({
      type: 'object',
      properties: {},
      'x-kubernetes-preserve-unknown-fields': true,
    });
  });

  test('of a number or text has no type of its own', () => {
    const either = z.union([z.int(), z.string()]).meta({ 'x-kubernetes-int-or-string': true });
    expect(field(either)).toEqual({
      'x-kubernetes-int-or-string': true,
      anyOf: [{ type: 'integer' }, { type: 'string' }],
    });
  });

  test('of text that a rule explains has the rule and no pattern', () => {
    expect(field(text(/^a+$/, 9, 'field must be a few letters a.'))).toEqual({
      type: 'string',
      maxLength: 9,
      'x-kubernetes-validations': [{ rule: "self.matches(r'^a+$')", message: 'field must be a few letters a.' }],
    });
  });

  test('keeps the rules of a schema that gets more rules', () => {
    const twice = ruled(text(/^a+$/, 9, 'one.'), [
      { cel: 'self.size() > 1', says: 'two.', holds: (a) => a.length > 1 },
    ]);
    expect(field(twice)?.['x-kubernetes-validations']).toMatchObject([{ message: 'one.' }, { message: 'two.' }]);
    expect(twice.safeParse('a').success).toBe(false);
    expect(twice.safeParse('bb').success).toBe(false);
    expect(twice.safeParse('aa').success).toBe(true);
  });

  test('cannot be made of a union, and the error says where it is', () => {
    expect(() => field(z.union([z.string(), z.boolean()]))).toThrow(
      'object.field: a structural schema cannot hold anyOf',
    );
  });

  test('cannot be made of a float', () => {
    expect(() => field(z.number())).toThrow('object.field: specs and statuses hold no floats');
  });
});
