import { describe, expect, it } from 'vitest';
import { ChunkStore, type ChunkStoreOptions, cidOf } from '../../../src/chunks/index.ts';
import { scrubRate } from '../../../src/chunks/scrub.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { VolatileDisk } from './volatile-disk.ts';

const second = 1000;
const hour = 3600 * second;
const kib = 1024;
const block = (index: number) => {
  const bytes = new Uint8Array(kib).fill(index);
  return { cid: cidOf(bytes), bytes };
};
const pathOf = (index: number): string => `/chunks/blocks/${block(index).cid.toString()}`;

async function scrubbed(blocks: number, options: Partial<ChunkStoreOptions> = {}) {
  const disk = new VolatileDisk();
  const clock = new ManualClock();
  const store = await ChunkStore.open('/chunks', { fs: disk, clock, scrubBytesPerSecond: kib, ...options });
  await store.putAll(Array.from({ length: blocks }, (_, index) => block(index)));
  await clock.pass(0);
  const reads = () =>
    disk.done.filter(({ step, path }) => step === 'read' && path.startsWith('/chunks/blocks')).map(({ path }) => path);
  return { disk, clock, store, reads };
}

describe('the check of all files', () => {
  it('goes round again and again, so many bytes a second, once an hour at most', async () => {
    const { clock, store, reads } = await scrubbed(10);
    await clock.pass(hour - 1);
    expect(reads()).toEqual([]);
    await clock.pass(1 + 5.5 * second);
    expect(reads()).toHaveLength(6);
    await clock.pass(5 * second);
    expect(reads()).toHaveLength(10);
    expect(store.scrubbed).toMatchObject({ checked: 10, corrupt: 0, rounds: 2, sinceRoundMs: 500 });
    await clock.pass(hour);
    expect(store.scrubbed).toMatchObject({ checked: 20, rounds: 3 });
  });

  it('finds what rotted, removes it and tells, without anybody asking for it', async () => {
    const { disk, clock, store } = await scrubbed(10);
    const lost: string[] = [];
    store.listen({ onLost: (cid, why) => lost.push(`${cid.toString()} ${why}`) });
    disk.rot(pathOf(3), new Uint8Array(kib));
    await clock.pass(hour + 10 * second);
    expect(lost).toEqual([`${block(3).cid.toString()} corrupt`]);
    expect(store.has(block(3).cid)).toBe(false);
    expect(store.scrubbed).toMatchObject({ checked: 10, corrupt: 1 });
    expect(await disk.readdir('/chunks/blocks')).toHaveLength(9);
  });

  it('looks at all files at once when somebody comes upon one that rotted, and not again and again', async () => {
    const { disk, clock, store, reads } = await scrubbed(10, { cacheBytes: 0 });
    await clock.pass(second);
    for (const index of [3, 7]) disk.rot(pathOf(index), new Uint8Array(kib));
    expect(await store.get(block(3).cid)).toBeUndefined();
    await clock.pass(0);
    expect(store.has(block(7).cid)).toBe(false);
    expect(store.scrubbed).toMatchObject({ checked: 9, corrupt: 1, rounds: 2 });
    const before = reads().length;
    disk.rot(pathOf(5), new Uint8Array(kib));
    expect(await store.get(block(5).cid)).toBeUndefined();
    await clock.pass(second);
    expect(reads()).toHaveLength(before + 1);
    await clock.pass(hour + 10 * second);
    expect(store.scrubbed.rounds).toBe(3);
  });

  it('leaves what it cannot read, and counts it', async () => {
    const { disk, clock, store } = await scrubbed(3);
    disk.fails = (step, path) => (step === 'read' && path === pathOf(1) ? 'EIO' : undefined);
    await clock.pass(hour + 3 * second);
    expect(store.scrubbed).toMatchObject({ checked: 2, unreadable: 1, corrupt: 0, rounds: 2 });
    expect(store.has(block(1).cid)).toBe(true);
  });

  it('does not push what is asked for out of the cache', async () => {
    const { clock, store, reads } = await scrubbed(10, { cacheBytes: 2 * kib });
    await store.get(block(0).cid);
    const before = reads().length;
    await clock.pass(hour + 10 * second);
    await store.get(block(0).cid);
    expect(reads().length - before).toBe(10);
  });

  it('passes over blocks that go while it runs, and ends when the store is closed', async () => {
    const { clock, store, reads } = await scrubbed(10);
    await clock.pass(hour + 2.5 * second);
    for (const index of [5, 6, 7]) await store.delete(block(index).cid);
    await clock.pass(2 * second);
    await store.close();
    const before = reads().length;
    await clock.pass(3 * hour);
    expect(reads()).toHaveLength(before);
    expect(before).toBe(5);
  });

  it('goes on after a restart where it was, all files once before it is slow', async () => {
    const { disk, clock, store, reads } = await scrubbed(10);
    await clock.pass(hour + 3.5 * second);
    const order = reads();
    expect(order).toHaveLength(4);
    await store.close();
    const before = reads().length;
    const again = await ChunkStore.open('/chunks', { fs: disk, clock });
    expect(await again.verified).toEqual({ checked: 10, corrupt: 0 });
    const first = reads().slice(before);
    expect(first).toHaveLength(10);
    expect(first[0]).toBe(order[3]);
    await again.close();
  });

  it('remembers its place also when the process dies', async () => {
    const { disk, clock, reads } = await scrubbed(100);
    await clock.pass(hour + 90 * second);
    const last = reads().at(-1);
    const before = reads().length;
    const again = await ChunkStore.open('/chunks', { fs: disk, clock });
    await again.verified;
    const first = reads().slice(before)[0];
    const order = (await disk.readdir('/chunks/blocks')).map((name) => `/chunks/blocks/${name}`);
    expect(order.indexOf(first ?? '')).toBeGreaterThan(order.indexOf(last ?? '') - 70);
    expect(order.indexOf(first ?? '')).toBeGreaterThan(0);
  });

  it.each(['', 'no name', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'])(
    'begins at the beginning where the place says %j',
    async (place) => {
      const { disk, clock, store } = await scrubbed(5);
      await store.close();
      disk.rot('/chunks/scrub', Buffer.from(place));
      const again = await ChunkStore.open('/chunks', { fs: disk, clock });
      expect(await again.verified).toEqual({ checked: 5, corrupt: 0 });
    },
  );

  it('is not kept from its work by a disk that has no room for its place', async () => {
    const { disk, clock, store } = await scrubbed(100);
    disk.fails = (step, path) => (step === 'open' && path === '/chunks/scrub' ? 'ENOSPC' : undefined);
    await clock.pass(hour + 100 * second);
    expect(store.scrubbed.checked).toBe(100);
    await store.close();
  });

  it('is not in a hurry after the machine slept', async () => {
    const { disk, clock, store, reads } = await scrubbed(100);
    await clock.pass(hour);
    let isAsleep = true;
    disk.before = (step) => {
      if (step !== 'read' || !isAsleep) return undefined;
      isAsleep = false;
      return clock.sleep(hour);
    };
    await clock.pass(hour);
    await settled();
    const before = reads().length;
    await clock.pass(10 * second);
    expect(reads().length - before).toBeLessThanOrEqual(12);
    await store.close();
  });
});

describe('how fast it is unless told', () => {
  const gib = 1024 ** 3;
  it.each([
    [gib / 1024, 1 / 1024],
    [gib, 1],
    [20 * gib, 20],
    [24 * gib, 24],
    [1000 * gib, 24],
  ])('%d bytes take %d hours', (bytes, hours) => {
    expect(bytes / scrubRate(bytes) / 3600).toBeCloseTo(hours);
  });
});
