import { describe, expect, it } from 'vitest';
import { ChunkStore, type Clock, cidOf, type Loss, WrongBytesError } from '../../../src/chunks/index.ts';
import { VolumeFullError } from '../../../src/disk/index.ts';
import { seeded } from './fixtures.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { VolatileDisk } from './volatile-disk.ts';

const still = (): Clock => new ManualClock();
const block = (index: number, size = 256) => {
  const bytes = Uint8Array.from({ length: size }, (_, at) => (index * 31 + at * 7) % 256);
  bytes.set([index & 255, index >> 8]);
  return { cid: cidOf(bytes), bytes };
};

/** A store on a disk in memory whose syncs wait while `held`. */
async function slowToSync(options: { readonly maxUnsyncedBytes?: number } = {}) {
  const disk = new VolatileDisk();
  const gate = Promise.withResolvers<void>();
  disk.before = (step) => (step === 'sync' ? gate.promise : undefined);
  const store = await ChunkStore.open('/chunks', { fs: disk, clock: still(), ...options });
  return { disk, store, syncs: gate.resolve };
}

/** Whether a promise has settled by itself. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => {
      done = true;
    },
    () => {
      done = true;
    },
  );
  await settled();
  return done;
}

describe('a block that is written', () => {
  it('is here, announced and given out before it is durable', async () => {
    const { store, disk } = await slowToSync();
    const { cid, bytes } = block(1);
    const have: string[] = [];
    store.listen({ onHave: (one) => have.push(one.toString()) });
    await store.putVerified(cid, bytes, { durable: false });
    expect(store.has(cid)).toBe(true);
    expect(have).toEqual([cid.toString()]);
    expect(await store.get(cid)).toEqual(Buffer.from(bytes));
    expect(await disk.readdir('/chunks/blocks')).toEqual([cid.toString()]);
    expect(disk.count('sync')).toBe(0);
  });

  it.each([
    ['put', (store: ChunkStore) => store.put(block(1).bytes)],
    ['putVerified', (store: ChunkStore) => store.putVerified(block(1).cid, block(1).bytes)],
    ['putAll', (store: ChunkStore) => store.putAll([block(1), block(2)])],
    [
      'flush',
      (store: ChunkStore) => {
        void store.putVerified(block(1).cid, block(1).bytes, { durable: false });
        return store.flush();
      },
    ],
    [
      'close',
      (store: ChunkStore) => {
        void store.putVerified(block(1).cid, block(1).bytes, { durable: false });
        return store.close();
      },
    ],
  ] as const)('is durable, file and folder, when %s resolves, and not before', async (_, write) => {
    const { store, disk, syncs } = await slowToSync();
    const written = write(store);
    expect(await isSettled(written)).toBe(false);
    syncs();
    await written;
    const last = disk.done.filter(({ step }) => step.startsWith('sync')).map(({ step }) => step);
    expect(last.at(-1)).toBe('sync folder');
    disk.restart(() => 0.9); // what was not synced is not there
    expect(await disk.readdir('/chunks/blocks')).toContain(block(1).cid.toString());
  });

  it('is waited for also by who puts it again while it is not durable', async () => {
    const { store, syncs } = await slowToSync();
    const { cid, bytes } = block(1);
    await store.putVerified(cid, bytes, { durable: false });
    const again = store.putVerified(cid, bytes);
    expect(await isSettled(again)).toBe(false);
    syncs();
    await again;
  });

  it('needs neither a folder made nor the folder opened, once that was done', async () => {
    const disk = new VolatileDisk();
    const store = await ChunkStore.open('/chunks', { fs: disk, clock: still() });
    await store.put(block(1).bytes);
    const before = disk.done.length;
    await store.put(block(2).bytes);
    expect(disk.done.slice(before).map(({ step }) => step)).toEqual(['open', 'write', 'rename', 'sync', 'sync folder']);
  });

  it('waits while too much is not durable', async () => {
    const { store, disk, syncs } = await slowToSync({ maxUnsyncedBytes: 1000 });
    const blocks = Array.from({ length: 12 }, (_, index) => block(index));
    const written = Promise.all(blocks.map(({ cid, bytes }) => store.putVerified(cid, bytes, { durable: false })));
    expect(await isSettled(written)).toBe(false);
    expect(await disk.readdir('/chunks/blocks')).toHaveLength(3);
    expect(disk.openFiles).toBe(3);
    syncs();
    await written;
    expect(disk.mostOpenFiles).toBeLessThanOrEqual(4); // and the folder
    expect(store.names()).toHaveLength(12);
  });

  it('passes alone when it is larger than all that may be unsynced', async () => {
    const { store, syncs } = await slowToSync({ maxUnsyncedBytes: 100 });
    await store.putVerified(block(1).cid, block(1).bytes, { durable: false });
    const second = store.putVerified(block(2).cid, block(2).bytes, { durable: false });
    expect(await isSettled(second)).toBe(false);
    syncs();
    await second;
  });

  it('shares its syncs of the folder with those that are written meanwhile', async () => {
    const { store, disk, syncs } = await slowToSync();
    const blocks = Array.from({ length: 100 }, (_, index) => block(index));
    for (const { cid, bytes } of blocks) await store.putVerified(cid, bytes, { durable: false });
    syncs();
    await store.flush();
    expect(disk.count('sync')).toBe(100);
    expect(disk.count('sync folder')).toBe(2);
  });
});

describe('a block that cannot be made durable', () => {
  const lost = (store: ChunkStore) => {
    const told: { readonly cid: string; readonly why: Loss; readonly error: unknown }[] = [];
    store.listen({ onLost: (cid, why, error) => told.push({ cid: cid.toString(), why, error }) });
    return told;
  };

  it.each(['sync', 'sync folder'] as const)(
    'at its %s is gone, and whoever waits or listens hears why',
    async (step) => {
      const { disk, store, syncs } = await slowToSync();
      const told = lost(store);
      const { cid, bytes } = block(1);
      disk.fails = (one) => (one === step ? 'EIO' : undefined);
      await store.putVerified(cid, bytes, { durable: false });
      expect(store.has(cid)).toBe(true);
      syncs();
      await expect(store.flush()).rejects.toMatchObject({ code: 'EIO' });
      expect(store.has(cid)).toBe(false);
      expect(await store.get(cid)).toBeUndefined();
      expect(store.usedBytes).toBe(0);
      expect(told).toMatchObject([{ cid: cid.toString(), why: 'not durable', error: { code: 'EIO' } }]);
      expect(await disk.readdir('/chunks/blocks')).toEqual([]);
      expect(disk.openFiles).toBe(0);
      await expect(store.putVerified(cid, bytes)).rejects.toMatchObject({ code: 'EIO' });
      disk.fails = () => undefined;
      await store.putVerified(cid, bytes);
      await expect(store.flush()).rejects.toMatchObject({ code: 'EIO' }); // of the one before
      await store.flush();
      expect(store.has(cid)).toBe(true);
      await store.close();
      expect(disk.openFiles).toBe(0);
    },
  );

  it.each(['ENOSPC', 'EDQUOT'])('for %s says that the volume is full', async (code) => {
    const disk = new VolatileDisk();
    const store = await ChunkStore.open('/chunks', { fs: disk, clock: still() });
    const told = lost(store);
    disk.fails = (step) => (step === 'sync' ? code : undefined);
    await store.putVerified(block(1).cid, block(1).bytes, { durable: false });
    await expect(store.flush()).rejects.toThrow(VolumeFullError);
    expect(told[0]?.error).toBeInstanceOf(VolumeFullError);
  });

  it('takes with it none of its group whose bytes and name are on the disk', async () => {
    const { store, disk, syncs } = await slowToSync();
    const told = lost(store);
    const blocks = Array.from({ length: 10 }, (_, index) => block(index));
    let synced = 0;
    disk.fails = (step) => (step === 'sync' && ++synced === 4 ? 'EIO' : undefined);
    for (const { cid, bytes } of blocks) await store.putVerified(cid, bytes, { durable: false });
    syncs();
    await expect(store.flush()).rejects.toMatchObject({ code: 'EIO' });
    expect(told).toHaveLength(1);
    expect(store.names()).toHaveLength(9);
  });

  it('takes all with it that were renamed since, when it is the folder', async () => {
    const { store, disk, syncs } = await slowToSync();
    const told = lost(store);
    let isBroken = true;
    disk.fails = (step) => (step === 'sync folder' && isBroken ? 'EIO' : undefined);
    for (const index of [1, 2, 3]) await store.putVerified(block(index).cid, block(index).bytes, { durable: false });
    syncs();
    await expect(store.flush()).rejects.toMatchObject({ code: 'EIO' });
    expect(told).toHaveLength(3);
    expect(disk.openFiles).toBe(0);
    isBroken = false;
    await store.putAll([1, 2, 3].map((index) => block(index)));
    expect(store.names()).toHaveLength(3);
  });

  it('is not told when it was deleted meanwhile', async () => {
    const { store, disk, syncs } = await slowToSync();
    const told = lost(store);
    disk.fails = (step) => (step === 'sync' ? 'EIO' : undefined);
    await store.putVerified(block(1).cid, block(1).bytes, { durable: false });
    await store.delete(block(1).cid);
    syncs();
    await expect(store.flush()).rejects.toMatchObject({ code: 'EIO' });
    expect(told.map(({ why }) => why)).toEqual(['deleted']);
  });

  it('takes no other with it that was written since under its name', async () => {
    const { store, disk, syncs } = await slowToSync();
    const told = lost(store);
    let synced = 0;
    disk.fails = (step) => (step === 'sync' && ++synced === 1 ? 'EIO' : undefined);
    await store.putVerified(block(1).cid, block(1).bytes, { durable: false });
    await store.delete(block(1).cid);
    await store.putVerified(block(1).cid, block(1).bytes, { durable: false });
    syncs();
    await expect(store.flush()).rejects.toMatchObject({ code: 'EIO' });
    expect(told.map(({ why }) => why)).toEqual(['deleted']);
    expect(store.has(block(1).cid)).toBe(true);
    expect(await disk.readdir('/chunks/blocks')).toHaveLength(1);
  });

  it('is removed and told before the store is closed', async () => {
    const { store, disk, syncs } = await slowToSync();
    const told = lost(store);
    disk.fails = (step) => (step === 'sync' ? 'EIO' : undefined);
    await store.putVerified(block(1).cid, block(1).bytes, { durable: false });
    const closed = store.close();
    const before = disk.before;
    disk.before = (step, path) => (step === 'unlink' ? settled() : before(step, path));
    syncs();
    await closed;
    expect(told.map(({ why }) => why)).toEqual(['not durable']);
    expect(await disk.readdir('/chunks/blocks')).toEqual([]);
  });

  it('leaves nothing open or half written when already the write fails', async () => {
    for (const failing of ['open', 'write', 'rename'] as const) {
      const disk = new VolatileDisk();
      const store = await ChunkStore.open('/chunks', { fs: disk, clock: still(), maxUnsyncedBytes: 300 });
      disk.fails = (step) => (step === failing ? 'EIO' : undefined);
      for (const index of [1, 2, 3])
        await expect(store.put(block(index).bytes), failing).rejects.toMatchObject({ code: 'EIO' });
      disk.fails = () => undefined;
      await store.put(block(4).bytes); // the room of those that failed was given back
      expect(await disk.readdir('/chunks/tmp')).toEqual([]);
      await store.close();
      expect(disk.openFiles).toBe(0);
    }
  });
});

it('one of many that is not what its name says ends the writing of the others', async () => {
  const store = await ChunkStore.open('/chunks', { fs: new VolatileDisk(), clock: still() });
  let taken = 0;
  function* blocks() {
    for (; taken < 1000; taken++) yield taken === 20 ? { cid: block(1000).cid, bytes: block(20).bytes } : block(taken);
  }
  await expect(store.putAll(blocks())).rejects.toThrow(WrongBytesError);
  await settled();
  expect(taken).toBeLessThan(60);
});

describe('a power cut', () => {
  it('loses nothing that was called durable, and leaves nothing wrong, whenever it comes', async () => {
    let foundTorn = 0;
    let lostBlocks = 0;
    for (let seed = 1; seed <= 300; seed++) {
      const random = seeded(seed);
      const disk = new VolatileDisk();
      const durable = new Set<number>();
      const before = await ChunkStore.open('/chunks', { fs: disk, clock: still(), maxUnsyncedBytes: 2000 });
      disk.stepsLeft = Math.floor(random() * 120);
      const written: number[] = [];
      const write = async (index: number): Promise<void> => {
        const { cid, bytes } = block(index);
        const isDurable = random() < 0.2;
        await before.putVerified(cid, bytes, { durable: isDurable });
        if (isDurable) durable.add(index);
        written.push(index);
        if (random() < 0.1) {
          const covered = written.filter((one) => before.has(block(one).cid));
          await before.flush();
          for (const one of covered) durable.add(one);
        }
      };
      await Promise.allSettled(
        [0, 1, 2, 3].map(async (writer) => {
          for (let at = 0; at < 8; at++) await write(writer * 8 + at);
        }),
      );
      disk.stepsLeft = 0;
      await settled();
      disk.restart(random);

      const after = await ChunkStore.open('/chunks', { fs: disk, clock: still(), cacheBytes: 0 });
      foundTorn += (await after.verified).corrupt;
      const all = Array.from({ length: 32 }, (_, index) => block(index));
      for (const [index, { cid, bytes }] of all.entries()) {
        if (durable.has(index)) expect(after.has(cid), `seed ${seed}, block ${index}`).toBe(true);
        const got = await after.get(cid);
        if (got !== undefined) expect(Buffer.compare(got, bytes)).toBe(0);
        else lostBlocks++;
      }
      expect(new Set(await disk.readdir('/chunks/blocks'))).toEqual(new Set(after.names()));
      expect(await disk.readdir('/chunks/tmp')).toEqual([]);
      expect(after.usedBytes).toBe(after.names().length * 256);
      await after.putAll(all);
      expect(after.names()).toHaveLength(32);
      await after.close();
    }
    expect(foundTorn).toBeGreaterThan(50);
    expect(lostBlocks).toBeGreaterThan(500);
  });
});

describe('a block that comes and goes at once', () => {
  it('is written after its file was removed, not before', async () => {
    const disk = new VolatileDisk();
    const store = await ChunkStore.open('/chunks', { fs: disk, clock: still() });
    const { cid, bytes } = block(1);
    await store.putVerified(cid, bytes);
    const slow = Promise.withResolvers<void>();
    disk.before = (step) => (step === 'unlink' ? slow.promise : undefined);
    const gone = store.delete(cid);
    const back = store.putVerified(cid, bytes);
    expect(store.has(cid)).toBe(false);
    await settled();
    slow.resolve();
    await Promise.all([gone, back]);
    expect(store.has(cid)).toBe(true);
    expect(await disk.readdir('/chunks/blocks')).toEqual([cid.toString()]);
  });

  it('is not removed as corrupt for what was there before it was written again', async () => {
    const disk = new VolatileDisk();
    const { cid, bytes } = block(1);
    disk.rot(`/chunks/blocks/${cid.toString()}`, Buffer.from('torn'));
    const reading = Promise.withResolvers<void>();
    const renaming = Promise.withResolvers<void>();
    disk.before = (step) => (step === 'rename' ? renaming.promise : undefined);
    const read = disk.readFile.bind(disk);
    disk.readFile = async (path) => {
      const seen = await read(path);
      await reading.promise;
      return seen;
    };
    const store = await ChunkStore.open('/chunks', { fs: disk, clock: still() });
    const asked = store.get(cid);
    const written = store.putVerified(cid, bytes);
    await settled();
    reading.resolve(); // the old bytes come while the new ones are being renamed
    await settled();
    renaming.resolve();
    await written;
    expect(Buffer.compare((await asked)!, bytes)).toBe(0);
    expect(store.has(cid)).toBe(true);
  });
});
