import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ChunkServer,
  type ChunkServerOptions,
  ChunkStore,
  cidOf,
  decodeManifest,
  decodeMapMessage,
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  Holdings,
  MAX_BLOCKS_BYTES,
  MAX_REPLY_BYTES,
} from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { fill, folder, version } from './fixtures.ts';

const built = version(4);

async function server(
  options: Partial<ChunkServerOptions> = {},
): Promise<{ store: ChunkStore; holdings: Holdings; server: ChunkServer }> {
  const store = await ChunkStore.open(await folder());
  const holdings = new Holdings(store);
  return { store, holdings, server: new ChunkServer({ store, holdings, ...options }) };
}

describe('decoders', () => {
  it.each<[string, (bytes: Uint8Array) => unknown]>([
    ['a manifest', decodeManifest],
    ['a chunk request', decodeRequest],
    ['a chunk reply', decodeReply],
    ['a map message', decodeMapMessage],
  ])('answer any bytes with %s or a MalformedError', (_what, decode) => {
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
      fc.nat(built.manifestBlock.length - 1).map((at) => {
        const bytes = built.manifestBlock.slice();
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

  it('refuse a request for too many blocks', () => {
    const want = Array.from({ length: 17 }, (_, index) => cidOf(new Uint8Array([index])));
    expect(() => decodeRequest(encodeRequest(built.cid, want))).toThrow(/want/);
  });
});

describe('a chunk server', () => {
  it('serves manifests and chunks by their CIDs and says what it holds of the version', async () => {
    const { store, holdings, server: it } = await server();
    await fill(store, built, [0, 2]);
    holdings.follow(built.cid, built.manifest);
    const want = [built.cid, built.chunks[0]!.cid, built.chunks[1]!.cid];
    const reply = decodeReply(await it.answer(encodeRequest(built.cid, want), 'asker'));
    expect(reply.blocks.map(({ cid }) => cid.toString())).toEqual([
      built.cid.toString(),
      built.chunks[0]!.cid.toString(),
    ]);
    expect(reply.blocks[1]!.bytes).toEqual(built.chunks[0]!.bytes);
    expect(reply.refused).toEqual([{ cid: built.chunks[1]!.cid, why: 'not-here' }]);
    expect([...reply.map!.indexes()]).toEqual([0, 2]);
  });

  it('names who has what it does not', async () => {
    const { server: it } = await server({ holders: () => ['peer-b'] });
    const reply = decodeReply(await it.answer(encodeRequest(built.cid, [built.chunks[0]!.cid]), 'asker'));
    expect(reply.refused[0]!.holders).toEqual(['peer-b']);
    expect(reply.map).toBeUndefined();
  });

  it('refuses who may not have it', async () => {
    const { store, server: it } = await server({ allowed: (from) => from === 'friend' });
    await fill(store, built);
    const request = encodeRequest(built.cid, [built.chunks[0]!.cid]);
    expect(decodeReply(await it.answer(request, 'stranger')).refused[0]!.why).toBe('not-allowed');
    expect(decodeReply(await it.answer(request, 'friend')).blocks).toHaveLength(1);
  });

  it('is busy for a peer that asks too much at once, and not for another', async () => {
    const { store, server: it } = await server({ maxPerPeer: 1 });
    await fill(store, built);
    const request = encodeRequest(built.cid, [built.chunks[0]!.cid]);
    const replies = await Promise.all([
      it.answer(request, 'greedy'),
      it.answer(request, 'greedy'),
      it.answer(request, 'modest'),
    ]);
    expect(replies.map(decodeReply).map(({ blocks }) => blocks.length)).toEqual([1, 0, 1]);
    expect(decodeReply(replies[1]!).refused[0]!.why).toBe('busy');
    expect(decodeReply(await it.answer(request, 'greedy')).blocks).toHaveLength(1);
  });

  it('never serves a chunk that rotted on disk', async () => {
    const dir = await folder();
    const honest = await ChunkStore.open(dir);
    await fill(honest, built);
    const holdings = new Holdings(honest);
    holdings.follow(built.cid, built.manifest);
    const cid = built.chunks[0]!.cid;
    const { writeFile } = await import('node:fs/promises');
    await writeFile(`${dir}/blocks/${cid.toString()}`, new Uint8Array(1024));
    const reply = decodeReply(
      await new ChunkServer({ store: honest, holdings }).answer(encodeRequest(built.cid, [cid]), 'asker'),
    );
    expect(reply.blocks).toEqual([]);
    expect(reply.map!.has(0)).toBe(false);
  });

  it('keeps its reply below the limit that the asker reads', async () => {
    const { store, server: it } = await server();
    const blocks = await Promise.all(
      Array.from({ length: 6 }, (_, index) => store.put(new Uint8Array(1024 * 1024).fill(index))),
    );
    const bytes = await it.answer(encodeRequest(built.cid, blocks), 'asker');
    expect(bytes.length).toBeLessThanOrEqual(MAX_REPLY_BYTES);
    const reply = decodeReply(bytes);
    expect(reply.blocks).toHaveLength(MAX_BLOCKS_BYTES / (1024 * 1024));
    expect(reply.refused.every(({ why }) => why === 'busy')).toBe(true);
  });

  it('throws at a malformed request, so that the peer can be held to account', async () => {
    const { server: it } = await server();
    await expect(it.answer(new Uint8Array([1, 2, 3]), 'asker')).rejects.toThrow(MalformedError);
  });

  it('reads back every reply it can write', () => {
    const reply = { blocks: [], refused: [{ cid: built.cid, why: 'busy' as const }] };
    expect(decodeReply(encodeReply(reply)).refused).toEqual(reply.refused);
  });
});

describe('holdings', () => {
  it('follow the store, chunk by chunk, also where one chunk occurs twice', async () => {
    const { buildVersion } = await import('../../../src/chunks/index.ts');
    const zeros = buildVersion({
      model: 'm',
      network: 'n',
      age: 1,
      tensors: [{ name: 'w', shape: [512], data: new Float32Array(512) }],
      chunkBytes: 1024,
    });
    const { store, holdings } = await server();
    holdings.follow(zeros.cid, zeros.manifest);
    expect(holdings.get(zeros.cid)!.map.count).toBe(0);
    await fill(store, zeros);
    expect(holdings.get(zeros.cid)!.map.complete).toBe(true);
    await store.delete(zeros.chunks[0]!.cid);
    expect(holdings.get(zeros.cid)!.map.count).toBe(0);
    holdings.unfollow(zeros.cid);
    expect(holdings.list()).toEqual([]);
  });
});
