import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Disk, realDisk, replaceFile, VolumeFullError } from '../../../src/disk/index.ts';
import { CheckpointStore } from '../../../src/learning/checkpoint.ts';
import { leftToOthers, openState } from '../../../src/validator/state.ts';
import { realWorld } from '../../../src/validator/world.ts';
import { folder, silent } from './fixtures.ts';

const mebibyte = 1024 * 1024;

/** The machine's disk as a volume of so many bytes: what is written here counts, whatever the machine has. */
function volume(totalBytes: number): { readonly disk: Disk; readonly usedBytes: number } {
  const sizes = new Map<string, number>();
  const used = (): number => [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  const disk: Disk = {
    ...realDisk,
    open: async (file, flags) => {
      const opened = await realDisk.open(file, flags);
      if (flags !== 'r') sizes.set(file, 0);
      return {
        writeFile: async (data) => {
          if (used() + data.byteLength > totalBytes) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
          await opened.writeFile(data);
          sizes.set(file, (sizes.get(file) ?? 0) + data.byteLength);
        },
        sync: () => opened.sync(),
        close: () => opened.close(),
      };
    },
    rename: async (from, to) => {
      await realDisk.rename(from, to);
      sizes.set(to, sizes.get(from) ?? 0);
      sizes.delete(from);
    },
    unlink: async (file) => {
      await realDisk.unlink(file);
      sizes.delete(file);
    },
    space: async () => ({ freeBytes: totalBytes - used(), totalBytes }),
  };
  return {
    disk,
    get usedBytes() {
      return used();
    },
  };
}

describe('the volume of a validator', () => {
  it('has room for checkpoints, certificates and reputation when it is full of chunks', async () => {
    const home = await folder();
    await writeFile(path.join(home, 'identity.key'), 'key');
    await mkdir(path.join(home, 'state'));
    const it = volume(160 * mebibyte);
    const opened = new AsyncDisposableStack();
    onTestFinished(() => opened.disposeAsync());
    const { chunks, checkpoints } = await openState(
      { identity: path.join(home, 'identity.key'), stateDir: path.join(home, 'state'), log: silent },
      { ...realWorld, disk: it.disk },
      opened,
    );
    const fill = async (): Promise<void> => {
      for (let index = 0; ; index++) await chunks.put(new Uint8Array(mebibyte).fill(index));
    };
    await expect(fill()).rejects.toThrow(VolumeFullError);
    expect(chunks.usedBytes).toBe(96 * mebibyte);
    const learned = new CheckpointStore(checkpoints('model'), { fs: it.disk });
    const tensors = [{ name: 'kernel', shape: [4 * mebibyte], data: new Float32Array(4 * mebibyte) }];
    for (const age of [1, 2, 3]) await learned.save({ age, tensors }); // two are kept, and the third is written beside them
    for (const file of ['certificates/model/100.cert', 'reputation.json'])
      await replaceFile(it.disk, path.join(home, 'state', file), new Uint8Array(10_000));
    expect((await learned.load())?.age).toBe(3);
    await expect(chunks.put(new Uint8Array(mebibyte).fill(200))).rejects.toThrow(
      /could not write 1048576 bytes under .*chunks: the volume has 0 bytes left beside 67108864 .*raise spec\.storage\.size/,
    );
  });

  it.each([
    [50 * mebibyte, 25],
    [1024 * mebibyte, 64],
    [10_240 * mebibyte, 512],
    [1_048_576 * mebibyte, 4096],
  ])('of %d bytes leaves %d MiB to others', (total, mebibytes) => {
    expect(leftToOthers(total)).toBe(mebibytes * mebibyte);
  });
});
