import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Block, cidOf } from '../../src/chunks/index.ts';

/** Different blocks of random bytes. */
export const randomBlocks = (count: number, size: number): readonly Block[] =>
  Array.from({ length: count }, () => {
    const bytes = new Uint8Array(randomBytes(size));
    return { cid: cidOf(bytes), bytes };
  });

/** Does something with all of them, so many at once. */
export async function each<T>(all: readonly T[], atOnce: number, act: (one: T) => Promise<unknown>): Promise<void> {
  const rest = all.values();
  const worker = async (): Promise<void> => {
    for (const one of rest) await act(one);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Milliseconds that something takes. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return performance.now() - started;
}

/** Does something in a new folder, which is removed afterwards, so that nothing of it is left for the disk to do. */
export async function inFolder<T>(parent: string, act: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(parent, 'murmuration-bench-'));
  try {
    return await act(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
