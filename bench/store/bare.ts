import { createHash } from 'node:crypto';
import { open, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Block } from '../../src/chunks/index.ts';
import { each } from './blocks.ts';

/** What a few lines of Node do without a store: they know nothing of CIDs, limits, caches, events or failures. */

function hold(bytes: Uint8Array, { cid }: Block): void {
  if (!createHash('sha256').update(bytes).digest().equals(cid.multihash.digest)) throw new Error(`${cid} is corrupt`);
}

const nameOf = ({ cid }: Block): string => cid.toString();

/** Hash, write, rename. */
export async function put(folder: string, block: Block): Promise<void> {
  hold(block.bytes, block);
  const file = join(folder, nameOf(block));
  await writeFile(`${file}.tmp`, block.bytes);
  await rename(`${file}.tmp`, file);
}

/** Hash, write, fsync, rename; the folder is left to {@link syncFolder}. */
export async function putSynced(folder: string, block: Block): Promise<void> {
  hold(block.bytes, block);
  const file = join(folder, nameOf(block));
  await writeFile(`${file}.tmp`, block.bytes, { flush: true });
  await rename(`${file}.tmp`, file);
}

/** Reads and hashes. */
export async function get(folder: string, block: Block): Promise<void> {
  hold(await readFile(join(folder, nameOf(block))), block);
}

export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync();
  await handle.close();
}

/** Syncs files that were written, and their folder. */
export async function sync(folder: string, blocks: readonly Block[]): Promise<void> {
  await each(blocks, 4, async (block) => {
    const handle = await open(join(folder, nameOf(block)), 'r');
    await handle.sync();
    await handle.close();
  });
  await syncFolder(folder);
}

/** Names and sizes of all files. */
export async function list(folder: string): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>();
  await each(await readdir(folder), 64, async (name) => found.set(name, (await stat(join(folder, name))).size));
  return found;
}
