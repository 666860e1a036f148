import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  applyMapMessage,
  BufferMap,
  decodeMapMessage,
  encodeMapMessage,
  fullMapMessage,
  MAX_CHUNKS,
  MAX_MAP_MESSAGE_BYTES,
  mapChange,
} from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { version } from './fixtures.ts';

const { cid } = version(1);
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
        expect(list(one.union(other))).toEqual(sorted(new Set([...a, ...b])));
        expect(list(one.intersection(other))).toEqual(sorted(a.filter((index) => b.includes(index))));
        expect(list(one.difference(other))).toEqual(sorted(a.filter((index) => !b.includes(index))));
        expect(one.union(other).count).toBe(new Set([...a, ...b]).size);
      }),
    );
  });

  it('comes back from its bits', () => {
    fc.assert(
      fc.property(pair, ([length, a]) => {
        const map = BufferMap.of(length, a);
        expect(BufferMap.fromBits(length, map.bits()).equals(map)).toBe(true);
      }),
    );
  });

  it('reaches the neighbour whole or as a change', () => {
    fc.assert(
      fc.property(pair, fc.boolean(), ([length, a, b], whole) => {
        const before = BufferMap.of(length, a);
        const after = BufferMap.of(length, b);
        const message = whole ? fullMapMessage(cid, after) : mapChange(cid, before, after);
        const heard = applyMapMessage(before, decodeMapMessage(encodeMapMessage(message)));
        expect(heard.equals(after)).toBe(true);
      }),
    );
  });

  it('counts bits from the lowest of the first byte', () => {
    expect(BufferMap.of(10, [0, 9]).bits()).toEqual(new Uint8Array([1, 2]));
  });

  it('of the largest version fits a gossip message', () => {
    const map = BufferMap.full(MAX_CHUNKS);
    expect(map.complete).toBe(true);
    expect(encodeMapMessage(fullMapMessage(cid, map)).length).toBeLessThan(MAX_MAP_MESSAGE_BYTES);
    expect(encodeMapMessage(mapChange(cid, BufferMap.empty(MAX_CHUNKS), map)).length).toBeLessThan(
      MAX_MAP_MESSAGE_BYTES,
    );
  });

  it.each<[string, () => unknown]>([
    ['bits beyond its end', () => BufferMap.fromBits(3, new Uint8Array([8]))],
    ['too few bits', () => BufferMap.fromBits(9, new Uint8Array(1))],
    ['a length nobody has', () => BufferMap.fromBits(1e9, new Uint8Array(1.25e8))],
    [
      'a change beyond its end',
      () => applyMapMessage(undefined, { v: 1, kind: 'delta', version: cid, length: 3, have: [3], lost: [] }),
    ],
  ])('is refused with %s', (_what, read) => {
    expect(read).toThrow(MalformedError);
  });

  it('never claims more than was heard when a change comes without what came before', () => {
    const heard = applyMapMessage(undefined, { v: 1, kind: 'delta', version: cid, length: 8, have: [1], lost: [2] });
    expect([...heard.indexes()]).toEqual([1]);
  });
});
