import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ErrorFeedback,
  type Packed,
  packFactors,
  packInt8,
  packTop2,
  unpackFactors,
  unpackTop2,
} from '../../../src/learning/compression.ts';

const numbers = fc.float32Array({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6, minLength: 1 });
const amount = (values: Float32Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
const length = (values: Float32Array): number => Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
const apart = (a: Float32Array, b: Float32Array): number => length(a.map((x, i) => x - b[i]!));

function back(packed: Packed, size: number): Float32Array {
  const into = new Float32Array(size).fill(7);
  expect(unpackTop2(packed, into)).toBeUndefined();
  return into;
}

describe('the greatest with two bits', () => {
  it('keeps the given share, each within a third of the greatest; what is left out is no greater than what is kept', () => {
    fc.assert(
      fc.property(numbers, fc.double({ min: 0.01, max: 1, noNaN: true }), (values, share) => {
        const arrived = back(packTop2(share)(values, [values.length]), values.length);
        const kept = [...arrived.keys()].filter((i) => arrived[i] !== 0);
        const scale = amount(values);
        if (scale > 0)
          expect(kept).toHaveLength(Math.min(values.length, Math.max(1, Math.round(share * values.length))));
        const left = Math.max(0, ...values.filter((_, i) => arrived[i] === 0).map(Math.abs));
        for (const i of kept) {
          expect(Math.abs(arrived[i]! - values[i]!)).toBeLessThanOrEqual(scale / 3 + scale * 1e-6);
          expect(Math.abs(values[i]!)).toBeGreaterThanOrEqual(left);
        }
      }),
    );
  });

  it('takes little more than a byte a number that is kept', () => {
    const values = Float32Array.from({ length: 10_000 }, (_, i) => Math.sin(i * i));
    expect(packTop2(0.03)(values, [10_000]).data.length).toBeLessThan(300 * 1.6);
  });

  it.each<[string, Packed]>([
    ['no scale', { data: Uint8Array.of(0) }],
    ['no bytes', { scale: 1, data: new Uint8Array() }],
    ['more numbers than there are', { scale: 1, data: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0) }],
    ['a place beyond the end', { scale: 1, data: Uint8Array.of(2, 1, 2, 0) }],
    ['a count that never ends', { scale: 1, data: new Uint8Array(9).fill(255) }],
    ['a missing byte of codes', { scale: 1, data: Uint8Array.of(1, 0) }],
    ['bytes too many', { scale: 1, data: Uint8Array.of(1, 0, 0, 0) }],
  ])('with %s is refused', (_, packed) => {
    expect(unpackTop2(packed, new Float32Array(4))).toMatch(/^(has|says|names) /);
  });

  it('of any bytes fills the numbers or refuses, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (data) => {
        const into = new Float32Array(16);
        const wrong = unpackTop2({ scale: 2, data: new Uint8Array(data) }, into);
        if (wrong === undefined) expect(into.every((x) => Math.abs(x) <= 2)).toBe(true);
      }),
    );
  });

  it('loses nothing for good: what is owed is sent later', () => {
    const pack = packTop2(0.1);
    const owed = new ErrorFeedback(50);
    const change = Float32Array.from({ length: 50 }, (_, i) => (i % 7) - 3);
    const sum = new Float32Array(50);
    const rounds = 400;
    for (let round = 0; round < rounds; round++) {
      const wanted = owed.add(change);
      const sent = back(pack(wanted, [50]), 50);
      owed.owe(wanted, sent);
      sent.forEach((x, i) => {
        sum[i] = sum[i]! + x;
      });
    }
    expect(
      apart(
        sum.map((x) => x / rounds),
        change,
      ) / length(change),
    ).toBeLessThan(0.1);
  });
});

describe('two factors', () => {
  const matrix = (m: number, n: number, rank: number, seed: number): Float32Array => {
    const [p, q] = [m * rank, n * rank].map((size, k) =>
      Float32Array.from({ length: size }, (_, i) => Math.sin(seed + i * (k + 1.3) * 7.7)),
    ) as [Float32Array, Float32Array];
    return Float32Array.from({ length: m * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      let sum = 0;
      for (let k = 0; k < rank; k++) sum += p[i * rank + k]! * q[j * rank + k]!;
      return sum;
    });
  };
  const arrived = (values: Float32Array, shape: number[], rank: number): Float32Array => {
    const into = new Float32Array(values.length);
    expect(unpackFactors(packFactors(rank)(values, shape), into, shape)).toBeUndefined();
    return into;
  };

  it('bring a matrix over whose rank is no greater', () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 40 }), fc.integer({ min: 1, max: 2 }), fc.nat(1000), (m, rank, seed) => {
        const values = matrix(m, 30, rank, seed);
        expect(apart(arrived(values, [m, 30], 2), values)).toBeLessThanOrEqual(1e-3 * length(values));
      }),
      { numRuns: 30 },
    );
  });

  it('are never further off than the matrix is long', () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, min: -1e3, max: 1e3, minLength: 600, maxLength: 600 }), (values) => {
        expect(apart(arrived(values, [20, 30], 1), values)).toBeLessThanOrEqual(length(values) * 1.0001 + 1e-6);
      }),
      { numRuns: 30 },
    );
  });

  it('leave vectors and small matrices to int8', () => {
    const bias = Float32Array.of(1, -2, 3);
    expect(packFactors(1)(bias, [3])).toEqual(packInt8(bias));
    expect(packFactors(4)(new Float32Array(100), [10, 10]).scale).toBe(0);
  });

  it.each([0, 3, 4, 100, 200, 600, 4000])('of %i bytes that are no factors are refused', (bytes) => {
    expect(unpackFactors({ data: new Uint8Array(bytes) }, new Float32Array(600), [20, 30])).toBe(
      bytes === 200 ? undefined : `has ${bytes} bytes, which are no factors`,
    );
  });
});
