import { describe, expect, it } from 'vitest';
import { ChunkStore, cidOf } from '../../../src/chunks/index.ts';
import { replaceFile, VolumeFullError } from '../../../src/disk/index.ts';
import { ManualClock, settled } from './manual-clock.ts';
import { VolatileDisk } from './volatile-disk.ts';

const block = (index: number, size = 100) => {
  const bytes = new Uint8Array(size).fill(index);
  return { cid: cidOf(bytes), bytes };
};

async function volume(capacityBytes: number, minFreeBytes: number) {
  const disk = new VolatileDisk();
  disk.capacityBytes = capacityBytes;
  const clock = new ManualClock();
  const store = await ChunkStore.open('/state/chunks', { fs: disk, clock, minFreeBytes });
  return { disk, clock, store };
}

describe('room for other files', () => {
  it('is left, however many write at once, and the refusal says what to do', async () => {
    const { disk, store } = await volume(10_000, 2_000);
    const written = await Promise.allSettled(Array.from({ length: 100 }, (_, index) => store.put(block(index).bytes)));
    const refused = written.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    expect(refused).toHaveLength(20);
    expect(disk.usedBytes).toBe(8_000);
    expect(refused[0]).toBeInstanceOf(VolumeFullError);
    expect(refused[0].message).toBe(
      'could not write 100 bytes under /state/chunks: the volume has 0 bytes left beside 2000 that stay free for other files; ' +
        'raise spec.storage.size, or keep fewer versions (spec.versions.keep of the models, pinned ModelShards)',
    );
    await replaceFile(disk, '/state/checkpoint', new Uint8Array(2_000));
  });

  it('is left also by those who have begun to write, and whom the disk does not count yet', async () => {
    const { disk, store } = await volume(10_000, 2_000);
    const held = Promise.withResolvers<void>();
    disk.before = (step) => (step === 'open' ? held.promise : undefined);
    const begun = Array.from({ length: 80 }, (_, index) => store.put(block(index).bytes));
    await settled();
    await expect(store.put(block(80).bytes)).rejects.toThrow(VolumeFullError);
    held.resolve();
    await Promise.all(begun);
  });

  it('is counted anew as soon as it seems to be used up: what was deleted may be written at once', async () => {
    const { store } = await volume(10_000, 2_000);
    for (let index = 0; index < 80; index++) await store.put(block(index).bytes);
    await expect(store.put(block(80).bytes)).rejects.toThrow(VolumeFullError);
    await store.delete(block(0).cid);
    await store.put(block(80).bytes);
    await expect(store.put(block(81).bytes)).rejects.toThrow(VolumeFullError);
  });

  it('is left also when others fill the volume meanwhile', async () => {
    const { disk, clock, store } = await volume(10_000, 2_000);
    await store.put(block(0).bytes);
    await replaceFile(disk, '/state/other', new Uint8Array(7_850));
    await clock.pass(5_000);
    await expect(store.put(block(1).bytes)).rejects.toThrow(VolumeFullError);
  });

  it('is looked at now and then, not for each block', async () => {
    const { disk, store } = await volume(1e12, 2_000);
    for (let index = 0; index < 250; index++) await store.put(block(index).bytes);
    expect(disk.count('space')).toBe(1);
    const mebibyte = 1024 * 1024;
    for (let index = 0; index < 130; index++) await store.put(block(index, mebibyte).bytes);
    expect(disk.count('space')).toBe(3);
  });

  it('is not looked at where none is to be left', async () => {
    const { disk, store } = await volume(1_000, 0);
    await store.put(block(0).bytes);
    expect(disk.count('space')).toBe(0);
    await expect(store.put(block(1, 2_000).bytes)).rejects.toThrow(VolumeFullError);
  });
});

it('a store that may take only so much says so', async () => {
  const store = await ChunkStore.open('/chunks', { fs: new VolatileDisk(), clock: new ManualClock(), maxBytes: 250 });
  await store.put(block(0).bytes);
  await store.put(block(1).bytes);
  await expect(store.put(block(2).bytes)).rejects.toThrow('blocks take 200 bytes of the 250 that they may take');
});
