import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ChunkStore, type ChunkStoreOptions, cidOf } from '../../src/chunks/index.ts';
import { round } from '../figures.ts';
import * as bare from './bare.ts';
import { each, inFolder, randomBlocks, timed } from './blocks.ts';
import { type Row, row } from './figures.ts';

export interface Settings {
  readonly rounds: number;
  /** Blocks of one round. */
  readonly blocks: number;
  /** Files of the part about opening. */
  readonly files: number;
  /** Where folders are made: the disk that is measured. */
  readonly parent: string;
}

const BLOCK_BYTES = 128 * 1024;
/** As many as a swarm writes and reads at once. */
const AT_ONCE = 32;

/** Numbers of each side; who begins takes turns. */
async function rounds(
  count: number,
  sides: { readonly ours: () => Promise<void>; readonly bare: () => Promise<void> },
): Promise<void> {
  await sides.ours(); // nobody is cold
  await sides.bare();
  for (let at = 0; at < count; at++)
    for (const side of at % 2 === 0 ? ([sides.bare, sides.ours] as const) : ([sides.ours, sides.bare] as const))
      await side();
}

/** Numbers of several figures by side, without those of the first, cold round. */
class Sides {
  readonly #of = new Map<string, { readonly ours: number[]; readonly bare: number[] }>();

  add(figure: string, side: 'ours' | 'bare', value: number): void {
    const both = this.#of.get(figure) ?? { ours: [], bare: [] };
    both[side].push(value);
    this.#of.set(figure, both);
  }

  of(figure: string): { readonly ours: readonly number[]; readonly bare: readonly number[] } {
    const { ours = [], bare: theirs = [] } = this.#of.get(figure) ?? {};
    return { ours: ours.slice(1), bare: theirs.slice(1) };
  }
}

const megabytesASecond = (count: number, milliseconds: number): number => (count * BLOCK_BYTES) / 1000 / milliseconds;

/** Opens a store for as long as something is done with it. */
async function withStore(
  folder: string,
  options: ChunkStoreOptions,
  act: (store: ChunkStore) => Promise<void>,
): Promise<void> {
  const store = await ChunkStore.open(folder, options);
  try {
    await act(store);
  } finally {
    await store.close();
  }
}

/** Writing: until all blocks are here, and until they are durable. */
export async function writing({ rounds: count, blocks: size, parent }: Settings): Promise<readonly Row[]> {
  const blocks = randomBlocks(size, BLOCK_BYTES);
  const sides = new Sides();
  const rate = (milliseconds: number): number => megabytesASecond(size, milliseconds);
  await rounds(count, {
    ours: () =>
      inFolder(parent, (folder) =>
        withStore(folder, {}, async (store) => {
          const put = await timed(() =>
            each(blocks, AT_ONCE, ({ cid, bytes }) => store.putVerified(cid, bytes, { durable: false })),
          );
          const flush = await timed(() => store.flush());
          sides.add('put', 'ours', rate(put));
          sides.add('durable', 'ours', rate(put + flush));
          sides.add('flush', 'ours', flush);
        }),
      ),
    bare: async () => {
      await inFolder(parent, async (folder) => {
        sides.add('put', 'bare', rate(await timed(() => each(blocks, AT_ONCE, (block) => bare.put(folder, block)))));
        sides.add('flush', 'bare', await timed(() => bare.sync(folder, blocks)));
      });
      await inFolder(parent, async (folder) => {
        const synced = await timed(async () => {
          await each(blocks, AT_ONCE, (block) => bare.putSynced(folder, block));
          await bare.syncFolder(folder);
        });
        sides.add('durable', 'bare', rate(synced));
      });
    },
  });
  return [
    row('put_mb_s', 'MB/s', 'sha256, writeFile, rename', sides.of('put')),
    row('put_durable_mb_s', 'MB/s', 'the same with fsync', sides.of('durable')),
    row('flush_ms', 'ms', 'fsync of all, 4 at once', sides.of('flush')),
  ];
}

/** Reading: from the disk, from memory, and all files after opening. */
export async function reading({ rounds: count, blocks: size, parent }: Settings): Promise<readonly Row[]> {
  const blocks = randomBlocks(size, BLOCK_BYTES);
  const sides = new Sides();
  const rate = (milliseconds: number): number => megabytesASecond(size, milliseconds);
  await inFolder(parent, async (folder) => {
    await withStore(folder, {}, (store) => store.putAll(blocks));
    await rounds(count, {
      ours: async () => {
        await withStore(folder, { cacheBytes: 0 }, async (store) => {
          sides.add('verify', 'ours', rate(await timed(() => store.verified)));
          sides.add('disk', 'ours', rate(await timed(() => each(blocks, AT_ONCE, ({ cid }) => store.get(cid)))));
        });
        await withStore(folder, { cacheBytes: 2 * size * BLOCK_BYTES }, async (store) => {
          await store.verified;
          await each(blocks, AT_ONCE, ({ cid }) => store.get(cid));
          sides.add('cached', 'ours', rate(await timed(() => each(blocks, AT_ONCE, ({ cid }) => store.get(cid)))));
        });
      },
      bare: async () => {
        const kept = join(folder, 'blocks');
        sides.add('verify', 'bare', rate(await timed(() => each(blocks, 1, (block) => bare.get(kept, block)))));
        const read = rate(await timed(() => each(blocks, AT_ONCE, (block) => bare.get(kept, block))));
        sides.add('disk', 'bare', read);
        sides.add('cached', 'bare', read);
      },
    });
  });
  return [
    row('get_disk_mb_s', 'MB/s', 'readFile, sha256', sides.of('disk')),
    row('get_cached_mb_s', 'MB/s', 'readFile, sha256', sides.of('cached')),
    row('verify_mb_s', 'MB/s', 'readFile, sha256, one at a time', sides.of('verify')),
  ];
}

/** Opening a folder with many files, and what a block costs in memory. */
export async function opening({ rounds: count, files, parent }: Settings): Promise<readonly Row[]> {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const heap = (): number => {
    collect();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers;
  };
  const sides = new Sides();
  const indexes = Array.from({ length: files }, (_, index) => index);
  const bytesOf = (index: number): Uint8Array => new Uint8Array(new Uint32Array([index]).buffer);
  let entry = 0;
  await inFolder(parent, async (folder) => {
    const kept = join(folder, 'blocks');
    await mkdir(kept);
    await each(indexes, AT_ONCE, (index) => bare.put(kept, { cid: cidOf(bytesOf(index)), bytes: bytesOf(index) }));
    await rounds(count, {
      ours: async () => {
        const before = heap();
        let store: ChunkStore | undefined;
        sides.add(
          'open',
          'ours',
          await timed(async () => {
            store = await ChunkStore.open(folder);
          }),
        );
        await store?.close();
        entry = (heap() - before) / files;
        if (store?.usedBytes !== 4 * files) throw new Error('not every file was found');
      },
      bare: async () => sides.add('open', 'bare', await timed(() => bare.list(kept))),
    });
  });
  const detail = `${files} files, opened and closed, after a garbage collection`;
  return [
    row('open_ms', 'ms', 'readdir, stat 64 at once', sides.of('open')),
    { name: 'entry_bytes', value: round(entry), unit: 'B', detail },
  ];
}
