import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  answerBlock,
  buildVersion,
  ChunkStore,
  decodeBlockReply,
  decodeBlockRequest,
  decodeManifest,
  encodeBlockRequest,
  Holdings,
  MAX_CHUNKS,
} from '../../../src/chunks/index.ts';
import { decodeFrame, encodeBlock, encodeWords, type Message } from '../../../src/chunks/swarm/messages.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { fill, folder, version } from './fixtures.ts';

const built = version(4);
const words = whole([
  ...encodeWords([
    { k: 'open', n: 1, version: built.cid, length: 4, bits: new Uint8Array([5]) },
    { k: 'want', n: 1, at: [1, 3] },
    { k: 'no', n: 2, at: 0, why: 'not-here', holders: ['a'] },
  ]),
]);

function whole(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

describe('decoders', () => {
  it.each<[string, (bytes: Uint8Array) => unknown, Uint8Array]>([
    ['a manifest', decodeManifest, built.manifestBlock],
    ['a block request', decodeBlockRequest, encodeBlockRequest(built.cid)],
    ['a block reply', decodeBlockReply, new Uint8Array([0xa1])],
    ['words or a block', decodeFrame, words],
    ['words', (bytes) => decodeFrame(Buffer.concat([Buffer.of(0), bytes])), words.subarray(1)],
  ])('answer any bytes with %s or a MalformedError', (_what, decode, good) => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.anything({ withNullPrototype: false }).map((value) => {
        try {
          return dagCbor.encode(value);
        } catch {
          return new Uint8Array([0xf6]); // what cannot be encoded cannot be sent
        }
      }),
      fc.integer({ min: 1, max: 4000 }).map((depth) => new Uint8Array(depth).fill(0x81)),
      fc.nat(good.length - 1).map((at) => {
        const bytes = good.slice();
        bytes[at] = (bytes[at]! + 1) & 0xff;
        return bytes;
      }),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each<[string, Message]>([
    ['a million wishes', { k: 'want', n: 1, at: Array.from({ length: 1_000_000 }, (_, i) => i % 4) }],
    ['a chunk beyond every version', { k: 'want', n: 1, at: [MAX_CHUNKS] }],
    [
      'a map of more than any version',
      { k: 'open', n: 1, version: built.cid, length: MAX_CHUNKS + 1, bits: new Uint8Array() },
    ],
    ['a number that is none', { k: 'shut', n: -1 }],
    [
      'more holders than are asked for',
      { k: 'no', n: 1, at: 0, why: 'busy', holders: Array.from({ length: 9 }, String) },
    ],
  ])('refuse %s', (_what, message) => {
    expect(() => decodeFrame(Buffer.concat(encodeWords([message])))).toThrow(MalformedError);
  });

  it('refuse a frame of too many messages', () => {
    const many = Array.from({ length: 65 }, (): Message => ({ k: 'shut', n: 1 }));
    expect(() => decodeFrame(Buffer.concat(encodeWords(many)))).toThrow(MalformedError);
  });

  it('read back what was written', () => {
    expect(decodeFrame(words)).toMatchObject({
      words: [{ k: 'open', length: 4 }, { k: 'want', at: [1, 3] }, { k: 'no' }],
    });
    const bytes = new Uint8Array([1, 2, 3]);
    expect(decodeFrame(Buffer.concat(encodeBlock({ n: 0xffff_ffff, index: 65_535, bytes })))).toEqual({
      block: { n: 0xffff_ffff, index: 65_535, bytes: Buffer.from(bytes) },
    });
  });
});

describe('a block', () => {
  it('is given by its CID, whatever it is, hashed just now', async () => {
    const dir = await folder();
    const store = await ChunkStore.open(dir);
    await fill(store, built, [0, 2]);
    const ask = async (cid = built.cid) => decodeBlockReply(await answerBlock(store, encodeBlockRequest(cid)));
    expect(Buffer.compare((await ask())!, built.manifestBlock)).toBe(0);
    expect(Buffer.compare((await ask(built.chunks[2]!.cid))!, built.chunks[2]!.bytes)).toBe(0);
    expect(await ask(built.chunks[1]!.cid)).toBeUndefined();
    await expect(answerBlock(store, new Uint8Array([1, 2, 3]))).rejects.toThrow(MalformedError);
  });
});

describe('holdings', () => {
  it('follow the store, chunk by chunk, also where one chunk occurs twice, and tell of it', async () => {
    const zeros = buildVersion({
      model: 'm',
      network: 'n',
      age: 1,
      tensors: [{ name: 'w', shape: [512], data: new Float32Array(512) }],
      chunkBytes: 1024,
    });
    const store = await ChunkStore.open(await folder());
    const holdings = new Holdings(store);
    const told: string[] = [];
    holdings.listen({
      onFollow: ({ map }) => told.push(`follow ${map.length}`),
      onUnfollow: () => told.push('unfollow'),
      onChunk: (_cid, index, isHeld) => told.push(`${isHeld ? '+' : '-'}${index}`),
    });
    holdings.follow(zeros.cid, zeros.manifest);
    expect(holdings.get(zeros.cid)!.map.count).toBe(0);
    await fill(store, zeros);
    expect(holdings.get(zeros.cid)!.map.complete).toBe(true);
    await store.delete(zeros.chunks[0]!.cid);
    expect(holdings.get(zeros.cid)!.map.count).toBe(0);
    holdings.unfollow(zeros.cid);
    expect(holdings.list()).toEqual([]);
    expect(told).toEqual(['follow 2', '+0', '+1', '-0', '-1', 'unfollow']);
  });
});
