import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferMap } from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';

const pair = fc.nat(300).chain((length) => {
  const set = length === 0 ? fc.constant<number[]>([]) : fc.uniqueArray(fc.nat(length - 1));
  return fc.tuple(fc.constant(length), set, set);
});

describe('a buffer map', () => {
  it('is the set of its chunks', () => {
    fc.assert(
      fc.property(pair, ([length, a, b]) => {
        const one = BufferMap.of(length, a);
        const other = BufferMap.of(length, b);
        const list = (map: BufferMap): number[] => [...map.indexes()];
        const sorted = (set: Iterable<number>): number[] => [...set].sort((x, y) => x - y);
        expect(one.count).toBe(a.length);
        expect(list(one)).toEqual(sorted(a));
        expect(list(one.intersection(other))).toEqual(sorted(a.filter((index) => b.includes(index))));
        expect(list(one.difference(other))).toEqual(sorted(a.filter((index) => !b.includes(index))));
      }),
    );
  });

  it('comes back from its bits', () => {
    fc.assert(
      fc.property(pair, ([length, a]) => {
        const map = BufferMap.of(length, a);
        expect(BufferMap.fromBits(length, map.bits())).toEqual(map);
        expect([...BufferMap.fromBits(length, map.bits()).indexes()]).toEqual([...map.indexes()]);
      }),
    );
  });

  it('counts bits from the lowest of the first byte', () => {
    expect(BufferMap.of(10, [0, 9]).bits()).toEqual(new Uint8Array([1, 2]));
  });

  it.each<[string, () => unknown]>([
    ['bits beyond its end', () => BufferMap.fromBits(3, new Uint8Array([8]))],
    ['too few bits', () => BufferMap.fromBits(9, new Uint8Array(1))],
    ['a length nobody has', () => BufferMap.fromBits(1e9, new Uint8Array(1.25e8))],
  ])('is refused with %s', (_what, read) => {
    expect(read).toThrow(MalformedError);
  });
});
