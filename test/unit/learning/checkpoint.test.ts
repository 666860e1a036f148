import { createHash } from 'node:crypto';
import * as nodeFs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encode } from '../../../src/codec/index.ts';
import { type Disk, realDisk, VolumeFullError } from '../../../src/disk/index.ts';
import { CheckpointStore } from '../../../src/learning/checkpoint.ts';
import type { Snapshot } from '../../../src/learning/contract.ts';
import { CheckpointsUnusableError } from '../../../src/learning/errors.ts';
import { seeded } from '../../../src/learning/random.ts';
import { VolatileDisk } from '../chunks/volatile-disk.ts';

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

  it('warns of a checkpoint that it cannot use, and never counts it as the predecessor', async () => {
    await new CheckpointStore(directory).save(at(1));
    await new CheckpointStore(directory).save(at(2));
    const newest = path.join(directory, 'checkpoint-000000000002');
    await nodeFs.writeFile(newest, 'rotten');
    const warned: unknown[] = [];
    const unusable: string[] = [];
    const store = new CheckpointStore(directory, {
      log: (...entry) => void warned.push(entry),
      onUnusable: (file) => void unusable.push(file),
    });
    expect((await store.load())?.age).toBe(1);
    const why = 'its digest does not match: it was torn or changed';
    expect(warned).toEqual([['warn', 'checkpoint not usable, trying the one before it', { file: newest, why }]]);
    expect(unusable).toEqual([newest]);
    await store.save(at(3));
    expect(await files()).toEqual(['checkpoint-000000000001', 'checkpoint-000000000003']);
  });

  it('says so when none of those that are there can be used, and saves beside them', async () => {
    const store = new CheckpointStore(directory);
    await store.save(at(1));
    await store.save(at(2));
    for (const file of await files()) await nodeFs.truncate(path.join(directory, file), 40);
    const failed = await store.load().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CheckpointsUnusableError);
    expect(String(failed)).toContain('None of 2 checkpoints');
    await store.save(at(3));
    expect(await files()).toEqual(['checkpoint-000000000003']);
    expect((await store.load())?.age).toBe(3);
  });

  it('does not take a folder that cannot be read for one that is empty', async () => {
    const broken: Disk = {
      ...realDisk,
      readdir: async () => Promise.reject(Object.assign(new Error('input/output error'), { code: 'EIO' })),
    };
    const store = new CheckpointStore(directory, { fs: broken });
    await expect(store.load()).rejects.toThrow(CheckpointsUnusableError);
  });

  it('leaves a checkpoint of a format that it does not know alone until it has saved one itself', async () => {
    const store = new CheckpointStore(directory);
    await store.save(at(1));
    const body = encode({ v: 2, age: 9, tensors: [], more: true });
    const digest = createHash('sha256').update(body).digest();
    await nodeFs.writeFile(path.join(directory, 'checkpoint-000000000002'), Buffer.concat([digest, body]));
    expect((await store.load())?.age).toBe(1);
    expect(await files()).toHaveLength(2);
  });

  it('counts a checkpoint as saved though an old one cannot be removed', async () => {
    const stuck: Disk = {
      ...realDisk,
      unlink: async () => Promise.reject(Object.assign(new Error('not permitted'), { code: 'EPERM' })),
    };
    const store = new CheckpointStore(directory, { fs: stuck });
    for (const age of [1, 2, 3]) await store.save(at(age));
    expect((await store.load())?.age).toBe(3);
    await new CheckpointStore(directory).save(at(4));
    expect(await files()).toHaveLength(2);
  });

  it('loses nothing that it called saved when power is lost after any step', async () => {
    const random = seeded(1);
    let lost = 0;
    for (let steps = 0; steps < 60; steps++) {
      for (let again = 0; again < 8; again++) {
        const disk = new VolatileDisk();
        const store = new CheckpointStore('/state', { fs: disk });
        disk.stepsLeft = steps;
        let saved = 0;
        try {
          for (let age = 1; age <= 5; age++) {
            await store.save(at(age));
            saved = age;
          }
        } catch {
          lost++;
        }
        disk.restart(random);
        const after = new CheckpointStore('/state', { fs: disk });
        const found = await after.load();
        expect(found?.age ?? 0).toBeGreaterThanOrEqual(saved);
        if (found !== undefined) expect(found).toEqual(at(found.age));
        // And goes on from there.
        await after.save(at(9));
        expect((await after.load())?.age).toBe(9);
      }
    }
    expect(lost).toBeGreaterThan(100);
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
