import * as nodeFs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Disk, realDisk, VolumeFullError } from '../../../src/disk/index.ts';
import { CheckpointStore } from '../../../src/learning/checkpoint.ts';
import type { Snapshot } from '../../../src/learning/contract.ts';

const at = (age: number): Snapshot => ({
  age,
  tensors: [
    { name: '0_dense/kernel', shape: [2, 2], data: Float32Array.of(age, -1.5, Math.fround(1e-30), 3.4e38) },
    { name: '0_dense/bias', shape: [0], data: new Float32Array(0) },
  ],
});

let directory: string;
const files = async (): Promise<string[]> => (await nodeFs.readdir(directory)).sort();

beforeEach(async () => {
  directory = await nodeFs.mkdtemp(path.join(tmpdir(), 'checkpoint-'));
});
afterEach(async () => {
  await nodeFs.rm(directory, { recursive: true });
});

describe('a checkpoint store', () => {
  it('gives back exactly what was saved last, also to a new process', async () => {
    const store = new CheckpointStore(path.join(directory, 'new', 'digits'));
    expect(await store.load()).toBeUndefined();
    await store.save(at(1));
    await store.save(at(2));
    expect(await new CheckpointStore(path.join(directory, 'new', 'digits')).load()).toEqual(at(2));
  });

  it('keeps this one and the one before it, also when saves overlap', async () => {
    const store = new CheckpointStore(directory);
    await Promise.all([1, 2, 3, 4, 5].map((age) => store.save(at(age))));
    expect(await files()).toHaveLength(2);
    expect(await store.load()).toEqual(at(5));
  });

  it('goes back to the one before it when the newest was torn at any length or changed', async () => {
    const store = new CheckpointStore(directory);
    await store.save(at(1));
    await store.save(at(2));
    const newest = path.join(directory, (await files()).at(-1)!);
    const whole = await nodeFs.readFile(newest);
    for (let length = 0; length < whole.length; length++) {
      await nodeFs.writeFile(newest, whole.subarray(0, length));
      expect((await store.load())?.age).toBe(1);
    }
    const changed = Buffer.from(whole);
    changed[changed.length - 1]! ^= 1;
    await nodeFs.writeFile(newest, changed);
    expect((await store.load())?.age).toBe(1);
  });

  it('takes no notice of a temporary file that a crash left', async () => {
    const store = new CheckpointStore(directory);
    await store.save(at(1));
    await nodeFs.writeFile(path.join(directory, 'checkpoint-000000000002.tmp'), 'half');
    expect((await store.load())?.age).toBe(1);
    await store.save(at(2));
    expect(await files()).toEqual(['checkpoint-000000000001', 'checkpoint-000000000002']);
  });

  it.each(['ENOSPC', 'EDQUOT'])('says VolumeFull on %s, keeps what was there and leaves no rest', async (code) => {
    const store = new CheckpointStore(directory);
    await store.save(at(1));
    const full: Disk = {
      ...realDisk,
      open: async (file, flags) => {
        const handle = await realDisk.open(file, flags);
        const writeFile = async (): Promise<void> => {
          throw Object.assign(new Error('no space'), { code });
        };
        return { writeFile, sync: () => handle.sync(), close: () => handle.close() };
      },
    };
    const failing = new CheckpointStore(directory, { fs: full });
    const problem = await failing.save(at(2)).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(VolumeFullError);
    expect((problem as VolumeFullError).message).toContain('raise spec.storage.size');
    expect(await files()).toEqual(['checkpoint-000000000001']);
    // A later save, when there is room, works.
    await store.save(at(3));
    expect((await store.load())?.age).toBe(3);
  });

  it('passes other errors on as they are', async () => {
    await nodeFs.writeFile(path.join(directory, 'file'), '');
    const store = new CheckpointStore(path.join(directory, 'file', 'below'));
    await expect(store.save(at(1))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
