import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type DiskFile, GroupSync } from '../../../src/disk/index.ts';

/** Files and a folder that note what becomes of them. */
function noted() {
  const done: string[] = [];
  let running = 0;
  const most = { atOnce: 0 };
  const file = (name: string, fails?: 'sync' | 'close'): DiskFile => ({
    writeFile: async () => undefined,
    sync: async () => {
      running++;
      most.atOnce = Math.max(most.atOnce, running);
      await turn();
      running--;
      if (fails === 'sync') throw new Error(`${name} cannot be synced`);
      done.push(`sync ${name}`);
    },
    close: async () => {
      if (fails === 'close') throw new Error(`${name} cannot be closed`);
      done.push(`close ${name}`);
    },
  });
  const disk = { open: async (path: string) => file(path) };
  return { done, most, file, disk };
}

describe('files that are synced in groups', () => {
  it('are synced and closed, then their folder once for all of them', async () => {
    const { done, file, disk } = noted();
    const syncs = new GroupSync(disk, 'folder');
    await syncs.reserve(1);
    void syncs.add(file('first'), 1);
    for (const name of ['a', 'b', 'c']) {
      await syncs.reserve(1);
      void syncs.add(file(name), 1);
    }
    await syncs.flush();
    expect(done.slice(0, 3)).toEqual(['sync first', 'close first', 'sync folder']);
    expect(done.slice(3).toSorted()).toEqual(
      ['a', 'b', 'c']
        .flatMap((name) => [`close ${name}`, `sync ${name}`])
        .concat('sync folder')
        .toSorted(),
    );
    expect(done.at(-1)).toBe('sync folder');
    await syncs.close();
    expect(done.at(-1)).toBe('close folder');
  });

  it('are synced so many at once', async () => {
    const { most, file, disk } = noted();
    const syncs = new GroupSync(disk, 'folder', { parallel: 3 });
    for (let index = 0; index < 20; index++) {
      await syncs.reserve(1);
      void syncs.add(file(String(index)), 1);
    }
    await syncs.flush();
    expect(most.atOnce).toBe(3);
  });

  it('wait in their order for room in bytes and in files', async () => {
    const { file, disk } = noted();
    const syncs = new GroupSync(disk, 'folder', { maxBytes: 10, maxFiles: 2 });
    const order: number[] = [];
    const reserved = [4, 4, 4, 9, 1, 100, 1].map(async (bytes, at) => {
      await syncs.reserve(bytes);
      order.push(at);
    });
    await turn();
    expect(order).toEqual([0, 1]);
    syncs.release(4);
    await turn();
    expect(order).toEqual([0, 1, 2]);
    for (const bytes of [4, 4]) void syncs.add(file('x'), bytes);
    await syncs.flush();
    expect(order).toEqual([0, 1, 2, 3, 4]);
    for (const bytes of [9, 1]) syncs.release(bytes);
    await turn();
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    syncs.release(100);
    await Promise.all(reserved);
  });

  it.each(['sync', 'close'] as const)('are not called durable when they cannot be %sed', async (step) => {
    const { file, disk } = noted();
    const syncs = new GroupSync(disk, 'folder');
    const fates = [file('a'), file('b', step), file('c')].map((one) => syncs.add(one, 1));
    expect((await Promise.allSettled(fates)).map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
    await expect(syncs.flush()).rejects.toThrow('b cannot be');
    await syncs.flush();
  });
});
