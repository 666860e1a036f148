import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deepEqual, difference, mergePatchOf, nanos, sameQuantity, shapeOf } from '../../../src/kube/index.ts';

describe('the difference between what is desired and what is there', () => {
  it.each([
    ['a default that the server added', { a: 1 }, { a: 1, b: 2 }],
    ['a field given as undefined', { a: undefined }, {}],
    [
      'an empty map, list, text or null where there is nothing',
      { a: {}, b: [], c: null, d: '', e: { f: undefined } },
      {},
    ],
    [
      'a quantity in another form',
      { limits: { cpu: '1000m', memory: '1024Mi' } },
      { limits: { cpu: '1', memory: '1Gi' } },
    ],
    ['a quantity given as a number', { requests: { cpu: 2 } }, { requests: { cpu: '2' } }],
    ['a size limit in another form', { emptyDir: { sizeLimit: '1024Ki' } }, { emptyDir: { sizeLimit: '1Mi' } }],
    ['an item that a webhook added', { c: [{ name: 'a' }] }, { c: [{ name: 'injected' }, { name: 'a', x: 1 }] }],
    ['items in another order', { c: [{ name: 'a' }, { name: 'b' }] }, { c: [{ name: 'b' }, { name: 'a' }] }],
    ['a finalizer of someone else', { metadata: { finalizers: ['a'] } }, { metadata: { finalizers: ['b', 'a'] } }],
  ])('is none for %s', (_, desired, live) => {
    expect(difference(desired, live)).toBeUndefined();
  });

  it.each([
    ['a value', { spec: { a: 1 } }, { spec: { a: 2 } }, 'spec.a'],
    ['something missing', { spec: { a: 1 } }, {}, 'spec'],
    ['a zero value that may mean something', { spec: { a: false } }, { spec: {} }, 'spec.a'],
    ['an empty text in a map of texts', { data: { a: '' } }, { data: {} }, 'data.a'],
    ['an order of scalars', { args: ['a', 'b'] }, { args: ['b', 'a'] }, 'args'],
    ['a shorter list of scalars', { args: ['a'] }, { args: ['a', 'b'] }, 'args'],
    ['an item missing', { c: [{ name: 'a' }, { name: 'b', x: 1 }] }, { c: [{ name: 'a' }] }, 'c[1]'],
    ['a field of an item', { c: [{ name: 'a', image: '2' }] }, { c: [{ name: 'a', image: '1' }] }, 'c[0].image'],
    ['two equal items where there is one', { c: [{ a: 1 }, { a: 1 }] }, { c: [{ a: 1 }] }, 'c[1]'],
    ['a quantity', { limits: { cpu: '1001m' } }, { limits: { cpu: '1' } }, 'limits.cpu'],
    ['what looks like a quantity elsewhere', { data: { a: '1000m' } }, { data: { a: '1' } }, 'data.a'],
    ['another type', { a: { b: 1 } }, { a: [1] }, 'a'],
    [
      'a finalizer missing',
      { metadata: { finalizers: ['a'] } },
      { metadata: { finalizers: ['b'] } },
      'metadata.finalizers',
    ],
  ])('is found for %s', (_, desired, live, path) => {
    expect(difference(desired, live)).toBe(path);
  });

  const value = fc.jsonValue({ maxDepth: 4 });

  it('is none between a thing and itself', () => {
    fc.assert(fc.property(value, (one) => difference(one, structuredClone(one)) === undefined));
  });
});

describe('the shape of an object', () => {
  it('does not depend on values or the order of fields, but on fields and items', () => {
    const shape = shapeOf({ a: 1, b: { c: 'x' } });
    expect(shapeOf({ b: { c: 'secret' }, a: 2, d: undefined })).toBe(shape);
    expect(shapeOf({ a: 1, b: {} })).not.toBe(shape);
    expect(shapeOf({ a: [1] })).not.toBe(shapeOf({ a: [1, 1] }));
  });
});

describe('a merge patch', () => {
  /** RFC 7386, written down once more. */
  function apply(target: unknown, patch: unknown): unknown {
    if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
    const result: Record<string, unknown> =
      typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
    for (const [field, part] of Object.entries(patch)) {
      if (part === null) delete result[field];
      else result[field] = apply(result[field], part);
    }
    return result;
  }
  // No null: a merge patch cannot set one. No __proto__: a plain assignment cannot either.
  const leaf = fc.oneof(
    fc.integer(),
    fc.boolean(),
    fc.constantFrom('a', 'b'),
    fc.array(fc.integer(), { maxLength: 2 }),
  );
  const { tree } = fc.letrec<{ tree: Record<string, unknown> }>((tie) => ({
    tree: fc.dictionary(fc.constantFrom('x', 'y', 'z'), fc.oneof({ maxDepth: 3 }, leaf, tie('tree')), { maxKeys: 3 }),
  }));

  it('turns the one into the other, and is undefined when they are equal', () => {
    fc.assert(
      fc.property(tree, tree, (from, to) => {
        const patch = mergePatchOf(from, to);
        expect(deepEqual(apply(from, patch ?? {}), to)).toBe(true);
        expect(patch === undefined).toBe(deepEqual(from, to));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a quantity', () => {
  it.each([
    ['1', '1000m'],
    ['1Gi', '1073741824'],
    ['1.5Gi', '1536Mi'],
    ['1e3', '1k'],
    ['1E', '1000P'],
    ['0.5', '500m'],
    ['1u', '1000n'],
    ['+1', '1'],
    ['-1', '-1000m'],
    ['0.1n', '1n'],
  ])('%s equals %s', (a, b) => {
    expect(sameQuantity(a, b)).toBe(true);
  });

  it.each(['', 'Gi', '1Xi', '1 Gi', 'abc', '1.2.3', '--1', '1e'])('%s is none', (text) => {
    expect(nanos(text)).toBeUndefined();
  });
});
