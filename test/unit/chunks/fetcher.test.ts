import { describe, expect, it, vi } from 'vitest';
import {
  type BuiltVersion,
  type ChunkFetcherOptions,
  ChunkStore,
  cidOf,
  DAG_CBOR,
  encodeBlockReply,
  FetchStalledError,
  type SwarmOptions,
} from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import { VolumeFullError } from '../../../src/disk/index.ts';
import { fill, folder, version } from './fixtures.ts';
import { Hub } from './hub.ts';

const built = version(40);

async function peer(hub: Hub, name: string, what?: BuiltVersion, indexes?: readonly number[]) {
  const store = await ChunkStore.open(await folder());
  const { holdings } = hub.join(name, store);
  if (what === undefined) return;
  await fill(store, what, indexes);
  holdings.follow(what.cid, what.manifest);
}

async function asker(hub: Hub, options: Partial<SwarmOptions & ChunkFetcherOptions> & { maxBytes?: number } = {}) {
  const { maxBytes, ...rest } = options;
  const store = await ChunkStore.open(await folder(), maxBytes === undefined ? {} : { maxBytes });
  return { store, ...hub.join('asker', store, { stallMs: 2_000, ...rest }) };
}

const sources =
  (...peers: string[]) =>
  () =>
    peers;

describe('fetching a version', () => {
  it('gets the manifest and every chunk, and follows it', async () => {
    const hub = new Hub();
    await peer(hub, 'a', built);
    await peer(hub, 'b', built, [1, 2, 3]);
    const { fetcher, store, holdings } = await asker(hub);
    const seen: number[] = [];
    const result = await fetcher.fetch(built.cid, {
      chunks: 'all',
      sources: sources('a', 'b'),
      onChunk: (index) => seen.push(index),
    });
    expect(result).toMatchObject({ fetched: 40, present: 0 });
    expect(seen.sort((x, y) => x - y)).toEqual([...built.chunks.keys()]);
    for (const { cid, bytes } of built.chunks) expect(Buffer.compare((await store.get(cid))!, bytes)).toBe(0);
    expect(holdings.get(built.cid)?.map.complete).toBe(true);
  });

  it('goes on from what is in the store, and gets only what it is told to', async () => {
    const hub = new Hub();
    await peer(hub, 'a', built);
    const { fetcher, store } = await asker(hub);
    await fill(store, built, [0, 1, 2, 3, 4]);
    const some = await fetcher.fetch(built.cid, { chunks: [4, 5, 6], sources: sources('a') });
    expect(some).toMatchObject({ fetched: 2, present: 1 });
    expect(await fetcher.fetch(built.cid, { chunks: 'all', sources: sources('a') })).toMatchObject({
      fetched: 33,
      present: 7,
    });
    expect(hub.asked).toEqual([]);
  });

  it('lets two that want the same version have each chunk once', async () => {
    const hub = new Hub();
    await peer(hub, 'a', built);
    const { fetcher, swarm } = await asker(hub);
    const both = [0, 1].map(() => fetcher.fetch(built.cid, { chunks: 'all', sources: sources('a') }));
    const [first, second] = await Promise.all(both);
    expect([first!.fetched, second!.fetched].sort((x, y) => x - y)).toEqual([0, 40]);
    expect(swarm.traffic).toMatchObject({ receivedBytes: 40 * 1024, duplicateBytes: 0 });
  });

  it('does not keep a second one beyond its signal', async () => {
    const hub = new Hub();
    const { fetcher, store } = await asker(hub);
    await fill(store, built, []);
    const stop = new AbortController();
    const first = fetcher.fetch(built.cid, { chunks: 'all', sources: sources('dead') });
    first.catch(() => undefined);
    const second = fetcher.fetch(built.cid, { chunks: 'all', sources: sources('dead'), signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 50);
    await expect(second).rejects.toThrow('enough');
    await expect(first).rejects.toThrow(FetchStalledError);
  });

  it('gets the manifest from the next one where somebody is silent, has it not, or lies; and leaves the liar alone', async () => {
    const hub = new Hub();
    await peer(hub, 'good', built);
    await peer(hub, 'empty');
    hub.answers('liar', async () => encodeBlockReply(new Uint8Array(99)));
    hub.answers('broken', async () => new Uint8Array([1, 2, 3]));
    const onMisbehaviour = vi.fn();
    const { fetcher, swarm } = await asker(hub, { onMisbehaviour, stallMs: 20_000 });
    let calls = 0;
    // The good one comes last.
    const some = () => (++calls < 8 ? ['silent', 'empty', 'liar', 'broken'] : ['good', 'liar', 'broken']);
    expect((await fetcher.manifest(built.cid, { sources: some })).chunks).toHaveLength(40);
    expect(onMisbehaviour.mock.calls.map(([who, why]) => `${who} ${why}`).sort()).toEqual([
      'broken malformed',
      'liar wrong-bytes',
    ]);
    expect([swarm.isAvoided('liar'), swarm.isAvoided('good')]).toEqual([true, false]);
    expect(hub.asked.filter((who) => who === 'liar')).toHaveLength(1);
  });

  it('says who was asked when nobody has the manifest', async () => {
    const hub = new Hub();
    await peer(hub, 'a');
    const { fetcher } = await asker(hub, { stallMs: 300 });
    const failure = fetcher.manifest(built.cid, { sources: sources('a') });
    await expect(failure).rejects.toThrow(FetchStalledError);
    await expect(failure).rejects.toThrow(/asked a/);
  });

  it('waits for a source that comes later', async () => {
    const hub = new Hub();
    const late: string[] = [];
    const { fetcher } = await asker(hub, { stallMs: 20_000 });
    const fetching = fetcher.fetch(built.cid, { chunks: 'all', sources: () => late });
    await peer(hub, 'a', built);
    late.push('a');
    await expect(fetching).resolves.toMatchObject({ fetched: 40 });
  });

  it('stops when it is told to', async () => {
    const { fetcher } = await asker(new Hub());
    const stop = new AbortController();
    const fetching = fetcher.fetch(built.cid, { chunks: 'all', sources: sources('dead'), signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(fetching).rejects.toThrow('enough');
  });

  it('ends at once when the volume is full, be it for the manifest', async () => {
    const hub = new Hub();
    await peer(hub, 'a', built);
    const { fetcher } = await asker(hub, { maxBytes: 100 });
    await expect(fetcher.fetch(built.cid, { chunks: 'all', sources: sources('a') })).rejects.toThrow(VolumeFullError);
  });

  it('blames nobody for a manifest that is none, though it hashes right', async () => {
    const onMisbehaviour = vi.fn();
    const hub = new Hub();
    const block = new TextEncoder().encode('no manifest');
    const cid = cidOf(block, DAG_CBOR);
    hub.answers('a', async () => encodeBlockReply(block));
    const { fetcher } = await asker(hub, { onMisbehaviour });
    await expect(fetcher.fetch(cid, { chunks: 'all', sources: sources('a') })).rejects.toThrow(MalformedError);
    expect(onMisbehaviour).not.toHaveBeenCalled();
  });
});
