import { describe, expect, it, vi } from 'vitest';
import {
  BufferMap,
  type BuiltVersion,
  ChunkFetcher,
  type ChunkFetcherOptions,
  type ChunkNetwork,
  ChunkServer,
  ChunkStore,
  cidOf,
  DAG_CBOR,
  decodeRequest,
  encodeReply,
  FetchStalledError,
  Holdings,
} from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { VolumeFullError } from '../../../src/disk/index.ts';
import { fastClock, fill, folder, inProcessNetwork, seeded, version } from './fixtures.ts';

type Answer = (request: Uint8Array) => Promise<Uint8Array>;

/** An honest peer that holds some of a version. */
async function honest(built: BuiltVersion, indexes?: readonly number[], served: string[] = []): Promise<Answer> {
  const store = await ChunkStore.open(await folder());
  await fill(store, built, indexes);
  const holdings = new Holdings(store);
  holdings.follow(built.cid, built.manifest);
  const server = new ChunkServer({ store, holdings });
  return (request) => {
    served.push(...decodeRequest(request).want.map(String));
    return server.answer(request, 'us');
  };
}

/** A peer that answers every block with bytes that are none of it. */
const liar: Answer = async (request) =>
  encodeReply({
    blocks: decodeRequest(request).want.map((cid) => ({ cid, bytes: new Uint8Array(1024).fill(7) })),
    refused: [],
  });

async function fetcher(
  peers: Readonly<Record<string, Answer>>,
  options: Partial<ChunkFetcherOptions> & { readonly maxBytes?: number } = {},
): Promise<{ fetcher: ChunkFetcher; store: ChunkStore; network: ChunkNetwork & { readonly asked: string[] } }> {
  const clock = fastClock();
  const store = await ChunkStore.open(
    await folder(),
    options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes },
  );
  const network = inProcessNetwork(peers, clock);
  return {
    fetcher: new ChunkFetcher({ store, network, clock, random: seeded(1), stallMs: 1_000_000, ...options }),
    store,
    network,
  };
}

const sources =
  (...peers: string[]) =>
  () =>
    peers.map((peer) => ({ peer }));

describe('fetching a version', () => {
  const built = version(40);

  it('gets every chunk once from several peers', async () => {
    const served: string[] = [];
    const peers = { a: await honest(built, undefined, served), b: await honest(built, undefined, served) };
    const { fetcher: it, store, network } = await fetcher(peers, { endgameAfterMs: 100_000 });
    const seen: number[] = [];
    const result = await it.fetch(built.cid, {
      chunks: 'all',
      sources: sources('a', 'b'),
      onChunk: (index) => seen.push(index),
    });
    expect(result).toMatchObject({ fetched: 40, present: 0, duplicateBytes: 0, bytes: 40 * 1024 });
    expect(seen.sort((x, y) => x - y)).toEqual([...built.chunks.keys()]);
    expect(new Set(served).size).toBe(served.length);
    expect(new Set(network.asked)).toEqual(new Set(['a', 'b']));
    for (const { cid } of built.chunks) expect(store.has(cid)).toBe(true);
  });

  it('puts it together from peers of which none has all', async () => {
    const odd = [...built.chunks.keys()].filter((index) => index % 2 === 1);
    const even = [...built.chunks.keys()].filter((index) => index % 2 === 0);
    const { fetcher: it } = await fetcher({ a: await honest(built, odd), b: await honest(built, even) });
    await expect(it.fetch(built.cid, { chunks: 'all', sources: sources('a', 'b') })).resolves.toMatchObject({
      fetched: 40,
    });
  });

  it('ends with a liar and a dead peer among the sources, reports the liar once, and keeps no byte of it', async () => {
    const onMisbehaviour = vi.fn();
    const onOutcome = vi.fn();
    const { fetcher: it, store } = await fetcher(
      { good: await honest(built), liar },
      { onMisbehaviour, onOutcome, timeoutMs: 500 },
    );
    await it.fetch(built.cid, { chunks: 'all', sources: sources('liar', 'dead', 'good') });
    expect(onMisbehaviour).toHaveBeenCalledExactlyOnceWith(
      'liar',
      'wrong-bytes',
      expect.stringContaining('do not hash'),
    );
    expect(onOutcome).toHaveBeenCalledWith('good', 'ok');
    expect(store.list()).toHaveLength(41);
    for (const { cid, bytes } of built.chunks) expect(await store.get(cid)).toEqual(Buffer.from(bytes));
  });

  it('does not ask a liar again in the next fetch', async () => {
    const other = version(4, 99);
    const good: Answer = async (request) => {
      const version = decodeRequest(request).version.equals(built.cid) ? first : second;
      return version(request);
    };
    const first = await honest(built);
    const second = await honest(other);
    const { fetcher: it, network } = await fetcher({ good, liar });
    await it.fetch(built.cid, { chunks: 'all', sources: sources('liar', 'good') });
    network.asked.length = 0;
    await it.fetch(other.cid, { chunks: 'all', sources: sources('liar', 'good') });
    expect(network.asked).not.toContain('liar');
  });

  it.each<[string, Answer, string]>([
    ['garbage', async () => new Uint8Array([1, 2, 3]), 'malformed'],
    [
      'blocks nobody asked for',
      async () => encodeReply({ blocks: [{ cid: cidOf(new Uint8Array(9)), bytes: new Uint8Array(9) }], refused: [] }),
      'malformed',
    ],
    [
      'more than is read',
      async () => {
        throw Object.assign(new Error('reply is over the limit'), { kind: 'too-large' });
      },
      'oversize',
    ],
  ])('reports a peer that sends %s', async (_what, bad, why) => {
    const onMisbehaviour = vi.fn();
    const { fetcher: it } = await fetcher({ good: await honest(built), bad }, { onMisbehaviour });
    await it.fetch(built.cid, { chunks: 'all', sources: sources('bad', 'good') });
    expect(onMisbehaviour).toHaveBeenCalledExactlyOnceWith('bad', why, expect.any(String));
  });

  it('asks first for what the fewest hold', async () => {
    const order: number[] = [];
    const scarce = [3, 17, 29];
    const all = BufferMap.full(40);
    const common = all.difference(BufferMap.of(40, scarce));
    const peer = await honest(built);
    const { fetcher: it, store } = await fetcher(
      { seed: peer, other: () => new Promise(() => undefined) },
      { perPeer: 1, batch: 1 },
    );
    await fill(store, built, []);
    await it.fetch(built.cid, {
      chunks: 'all',
      sources: () => [
        { peer: 'seed', map: all },
        { peer: 'other-a', map: common },
        { peer: 'other-b', map: common },
      ],
      onChunk: (index) => order.push(index),
    });
    expect(new Set(order.slice(0, 3))).toEqual(new Set(scarce));
  });

  it('goes on from what is in the store', async () => {
    const served: string[] = [];
    const { fetcher: it, store } = await fetcher({ a: await honest(built, undefined, served) });
    await fill(store, built, [0, 1, 2, 3, 4]);
    expect(await it.fetch(built.cid, { chunks: 'all', sources: sources('a') })).toMatchObject({
      fetched: 35,
      present: 5,
    });
    expect(served).toHaveLength(35);
  });

  it('gets only the chunks it is told to', async () => {
    const { fetcher: it, store } = await fetcher({ a: await honest(built) });
    await it.fetch(built.cid, { chunks: [5, 6, 7], sources: sources('a') });
    expect(store.list()).toHaveLength(4);
  });

  it('follows a hint to who has it', async () => {
    const knows: Answer = async (request) =>
      encodeReply({
        blocks: [],
        refused: decodeRequest(request).want.map((cid) => ({ cid, why: 'not-here', holders: ['b'] })),
      });
    const { fetcher: it } = await fetcher({ a: knows, b: await honest(built) });
    await expect(it.fetch(built.cid, { chunks: 'all', sources: sources('a') })).resolves.toMatchObject({ fetched: 40 });
  });

  it('asks a busy peer again', async () => {
    let calls = 0;
    const peer = await honest(built);
    const busyAtFirst: Answer = async (request) =>
      ++calls <= 2
        ? encodeReply({ blocks: [], refused: decodeRequest(request).want.map((cid) => ({ cid, why: 'busy' })) })
        : peer(request);
    const { fetcher: it } = await fetcher({ a: busyAtFirst });
    await expect(it.fetch(built.cid, { chunks: 'all', sources: sources('a') })).resolves.toMatchObject({ fetched: 40 });
  });

  it('asks a second source for a block that is late, never a third', async () => {
    const small = version(1);
    const never = new AbortController();
    const asked: string[] = [];
    const silent =
      (name: string): Answer =>
      () => {
        asked.push(name);
        return new Promise((_, reject) => never.signal.addEventListener('abort', () => reject(new Error('late'))));
      };
    const peers = { a: silent('a'), b: silent('b'), c: silent('c') };
    const { fetcher: it, store } = await fetcher(peers, { stallMs: 5_000, perPeer: 1 });
    await fill(store, small, []);
    const fetching = it.fetch(small.cid, { chunks: 'all', sources: sources('a', 'b', 'c') });
    await vi.waitFor(() => expect(asked).toHaveLength(2));
    setTimeout(() => never.abort(), 60);
    await expect(fetching).rejects.toThrow(FetchStalledError);
    expect(asked.slice(0, 2).sort().join()).toMatch(/^(a,b|a,c|b,c)$/);
    expect(asked.length).toBe(2);
  });

  it('counts what came twice', async () => {
    const small = version(1);
    const peer = await honest(small);
    const both = Promise.withResolvers<void>();
    let asked = 0;
    const together: Answer = async (request) => {
      if (++asked === 2) both.resolve();
      await both.promise;
      return peer(request);
    };
    const { fetcher: it, store } = await fetcher({ a: together, b: together });
    await fill(store, small, []);
    const result = await it.fetch(small.cid, { chunks: 'all', sources: sources('a', 'b') });
    expect(result).toMatchObject({ fetched: 1, bytes: 2048, duplicateBytes: 1024 });
  });

  it('is not held up by a late source when another one has the block', async () => {
    const small = version(1);
    const { fetcher: it } = await fetcher({ good: await honest(small) }, { timeoutMs: 1e9, stallMs: 1e8 });
    for (let attempt = 0; attempt < 4; attempt++)
      await expect(it.fetch(small.cid, { chunks: 'all', sources: sources('dead', 'good') })).resolves.toMatchObject({});
  });

  it('says who was asked when nobody has it', async () => {
    const { fetcher: it } = await fetcher({ a: await honest(built, [0]) }, { stallMs: 2_000 });
    await expect(it.fetch(built.cid, { chunks: 'all', sources: sources('a') })).rejects.toThrow(FetchStalledError);
    await expect(it.fetch(built.cid, { chunks: 'all', sources: sources('a') })).rejects.toThrow(/39 blocks .* asked a/);
  });

  it('waits for a source that comes later', async () => {
    const late: { peer: string }[] = [];
    const { fetcher: it } = await fetcher({ a: await honest(built) });
    const fetching = it.fetch(built.cid, { chunks: 'all', sources: () => late });
    late.push({ peer: 'a' });
    await expect(fetching).resolves.toMatchObject({ fetched: 40 });
  });

  it('stops when it is told to', async () => {
    const { fetcher: it } = await fetcher({});
    const stop = new AbortController();
    const fetching = it.fetch(built.cid, { chunks: 'all', sources: sources('dead'), signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(fetching).rejects.toThrow('enough');
  });

  it('ends at once when the volume is full', async () => {
    const { fetcher: it } = await fetcher(
      { a: await honest(built) },
      { maxBytes: built.manifestBlock.length + 5 * 1024 },
    );
    await expect(it.fetch(built.cid, { chunks: 'all', sources: sources('a') })).rejects.toThrow(VolumeFullError);
  });

  it('blames nobody for a manifest that is none, though it hashes right', async () => {
    const onMisbehaviour = vi.fn();
    const block = new TextEncoder().encode('no manifest');
    const cid = cidOf(block, DAG_CBOR);
    const { fetcher: it } = await fetcher(
      { a: async () => encodeReply({ blocks: [{ cid, bytes: block }], refused: [] }) },
      { onMisbehaviour },
    );
    await expect(it.fetch(cid, { chunks: 'all', sources: sources('a') })).rejects.toThrow(MalformedError);
    expect(onMisbehaviour).not.toHaveBeenCalled();
  });

  it('has at most its number of requests under way to one peer', async () => {
    let underWay = 0;
    let most = 0;
    const peer = await honest(built);
    const counting: Answer = async (request) => {
      most = Math.max(most, ++underWay);
      try {
        return await peer(request);
      } finally {
        underWay--;
      }
    };
    const { fetcher: it } = await fetcher({ a: counting }, { perPeer: 2 });
    await it.fetch(built.cid, { chunks: 'all', sources: sources('a') });
    expect(most).toBe(2);
  });
});
