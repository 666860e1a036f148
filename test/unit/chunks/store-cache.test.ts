import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../src/chunks/block-cache.ts';
import { ChunkStore, type ChunkStoreOptions, cidOf } from '../../../src/chunks/index.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { VolatileDisk } from './volatile-disk.ts';

const block = (index: number) => {
  const bytes = new Uint8Array(100).fill(index);
  return { cid: cidOf(bytes), bytes };
};

async function opened(options: ChunkStoreOptions = {}) {
  const disk = new VolatileDisk();
  const open = () => ChunkStore.open('/chunks', { fs: disk, clock: new ManualClock(), ...options });
  return { disk, open, store: await open(), reads: () => disk.count('read', '/chunks/blocks') };
}

describe('a block that is relayed to many', () => {
  it('is not read from the disk when it was just written', async () => {
    const { reads, store } = await opened();
    await store.putVerified(block(1).cid, block(1).bytes);
    for (let peer = 0; peer < 10; peer++) expect(await store.get(block(1).cid)).toEqual(Buffer.from(block(1).bytes));
    expect(reads()).toBe(0);
  });

  it('is read once when it was not, also when all ask at once', async () => {
    const { reads, store, open } = await opened();
    await store.put(block(1).bytes);
    await store.close();
    const again = await open();
    await again.verified;
    const before = reads();
    await Promise.all(Array.from({ length: 10 }, () => again.get(block(1).cid)));
    await again.get(block(1).cid);
    expect(reads() - before).toBe(1);
  });

  it('makes room when others were used since', async () => {
    const { reads, store } = await opened({ cacheBytes: 300 });
    for (const index of [1, 2, 3]) await store.put(block(index).bytes);
    await store.get(block(1).cid);
    await store.put(block(4).bytes);
    for (const index of [1, 3, 4]) await store.get(block(index).cid);
    expect(reads()).toBe(0);
    await store.get(block(2).cid);
    expect(reads()).toBe(1);
  });

  it('is forgotten when it is deleted, also while it is read', async () => {
    const { disk, store, open } = await opened();
    await store.put(block(1).bytes);
    await store.delete(block(1).cid);
    expect(await store.get(block(1).cid)).toBeUndefined();
    await store.put(block(1).bytes);
    await store.close();
    const again = await open();
    await again.verified;
    const slow = Promise.withResolvers<void>();
    const read = disk.readFile.bind(disk);
    disk.readFile = async (path) => {
      const seen = await read(path);
      await slow.promise;
      return seen;
    };
    const reading = again.get(block(1).cid);
    await settled();
    await again.delete(block(1).cid);
    slow.resolve();
    expect(await reading).toBeDefined(); // it was here when it was asked for
    expect(await again.get(block(1).cid)).toBeUndefined();
  });

  it('is read each time where there is no cache', async () => {
    const { reads, store } = await opened({ cacheBytes: 0 });
    await store.put(block(1).bytes);
    await store.get(block(1).cid);
    await store.get(block(1).cid);
    expect(reads()).toBe(2);
  });
});

describe('the cache', () => {
  it('does not keep a message in memory for a block that came in it', () => {
    const cache = new BlockCache(1000);
    const message = new Uint8Array(100_000).fill(7);
    cache.set('a', message.subarray(10, 110));
    expect(cache.get('a')).toEqual(Buffer.alloc(100, 7));
    expect(cache.get('a')?.buffer.byteLength).toBe(100);
    expect(cache.bytes).toBe(100);
  });

  it('copies no block that has its bytes for itself', () => {
    const cache = new BlockCache(1000);
    const bytes = new Uint8Array(100);
    cache.set('a', bytes);
    expect(cache.get('a')?.buffer).toBe(bytes.buffer);
  });

  it('never holds more than it may, whatever comes', () => {
    const cache = new BlockCache(1000);
    for (let index = 0; index < 1000; index++) {
      cache.set(`block ${index % 70}`, new Uint8Array((index * 37) % 1200));
      expect(cache.bytes).toBeLessThanOrEqual(1000);
    }
    for (let index = 0; index < 70; index++) cache.delete(`block ${index}`);
    expect(cache.bytes).toBe(0);
  });
});
