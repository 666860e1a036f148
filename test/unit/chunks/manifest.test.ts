import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assemble,
  buildVersion,
  cidOf,
  DAG_CBOR,
  decodeManifest,
  encodeManifest,
  MissingChunkError,
  manifestCid,
  shardRange,
  WrongBytesError,
} from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { version } from './fixtures.ts';

const tensors = fc
  .array(
    fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }).chain((shape) => {
      const length = shape.reduce((product, side) => product * side, 1);
      return fc.record({ shape: fc.constant(shape), data: fc.float32Array({ minLength: length, maxLength: length }) });
    }),
    { maxLength: 5 },
  )
  .map((list) => list.map((tensor, index) => ({ name: `t${index}`, ...tensor })));
const input = fc.record({
  model: fc.string({ minLength: 1, maxLength: 40 }),
  network: fc.string({ minLength: 1, maxLength: 40 }),
  age: fc.maxSafeNat(),
  tensors,
  chunkBytes: fc.integer({ min: 256, max: 300 }).map((quarters) => quarters * 4),
});

describe('a version', () => {
  it('comes back from its chunks as it was', async () => {
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        const built = buildVersion(given);
        const chunks = new Map(built.chunks.map(({ cid, bytes }) => [cid.toString(), bytes]));
        const manifest = decodeManifest(built.manifestBlock);
        const back = await assemble(manifest, async (cid) => chunks.get(cid.toString()));
        expect(back.map(({ name, shape, data }) => ({ name, shape, data: [...data] }))).toEqual(
          given.tensors.map(({ name, shape, data }) => ({ name, shape, data: [...data] })),
        );
        expect(manifest.age).toBe(given.age);
      }),
    );
  });

  it('has the same name whenever it is built from the same weights, and another from others', () => {
    expect(version(3, 7).cid.toString()).toBe(version(3, 7).cid.toString());
    expect(version(3, 7).cid.toString()).not.toBe(version(3, 8).cid.toString());
    expect(version(3).cid.code).toBe(DAG_CBOR);
  });

  it('is not put together from wrong or missing chunks', async () => {
    const { manifest, chunks } = version(2);
    await expect(assemble(manifest, async () => undefined)).rejects.toThrow(MissingChunkError);
    await expect(assemble(manifest, async () => chunks[0]!.bytes)).rejects.toThrow(WrongBytesError);
  });

  it('is not built from a tensor that does not fit its shape', () => {
    const bad = { model: 'm', network: 'n', age: 0, tensors: [{ name: 'w', shape: [3], data: new Float32Array(2) }] };
    expect(() => buildVersion(bad)).toThrow(/w has 2 values/);
  });
});

describe('reading a manifest', () => {
  const good = dagCbor.decode<Record<string, unknown>>(version(2).manifestBlock);
  const raw = cidOf(new Uint8Array([1]));
  it.each<[string, object]>([
    ['another format version', { v: 2 }],
    ['a negative age', { age: -1 }],
    ['an age that is no integer', { age: 1.5 }],
    ['a sum that is wrong', { bytes: 2044 }],
    ['a shape that does not fit its bytes', { tensors: [{ name: 'w', shape: [2], dtype: 'float32', bytes: 2048 }] }],
    [
      'a shape whose size overflows',
      { tensors: [{ name: 'w', shape: Array(8).fill(0x7fffffff), dtype: 'float32', bytes: 2048 }] },
    ],
    ['too many dimensions', { tensors: [{ name: 'w', shape: Array(9).fill(1), dtype: 'float32', bytes: 2048 }] }],
    ['a type that is not known', { tensors: [{ name: 'w', shape: [512], dtype: 'int8', bytes: 2048 }] }],
    ['the same name twice', { tensors: Array(2).fill({ name: 'w', shape: [256], dtype: 'float32', bytes: 1024 }) }],
    ['too few chunks', { chunks: [raw] }],
    ['too many chunks', { chunks: [raw, raw, raw] }],
    ['a chunk that is no link', { chunks: ['a', 'b'] }],
    ['a chunk that is a manifest', { chunks: [raw, cidOf(new Uint8Array([1]), DAG_CBOR)] }],
    ['chunks that are too small', { chunkBytes: 4 }],
    ['chunks that are too large', { chunkBytes: 1 << 30 }],
    ['a key nobody knows', { extra: 1 }],
  ])('refuses %s', (_what, change) => {
    expect(() => decodeManifest(dagCbor.encode({ ...good, ...change }))).toThrow(MalformedError);
  });

  it('takes what it wrote', () => {
    const { manifest, manifestBlock, cid } = version(2);
    expect(encodeManifest(manifest)).toEqual(manifestBlock);
    expect(manifestCid(manifestBlock).equals(cid)).toBe(true);
  });
});

describe('shards', () => {
  it('cover every chunk once, in order, in nearly equal runs', () => {
    fc.assert(
      fc.property(fc.nat(5000), fc.integer({ min: 1, max: 64 }), (chunks, of) => {
        const ranges = Array.from({ length: of }, (_, index) => shardRange(chunks, index, of));
        expect(ranges[0]![0]).toBe(0);
        expect(ranges.at(-1)![1]).toBe(chunks);
        for (const [index, [from, to]] of ranges.entries()) {
          if (index > 0) expect(from).toBe(ranges[index - 1]![1]);
          expect(Math.abs(to - from - chunks / of)).toBeLessThan(1);
        }
      }),
    );
  });

  it('do not exist beyond their number', () => {
    expect(() => shardRange(10, 2, 2)).toThrow(RangeError);
    expect(() => shardRange(10, 0, 0)).toThrow(RangeError);
  });
});
