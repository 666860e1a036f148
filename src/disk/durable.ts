import { dirname } from 'node:path';
import { type Disk, errorCode } from './disk.ts';
import { isVolumeFull, VolumeFullError } from './volume-full.ts';

export interface ReplaceOptions {
  /** Where the bytes are written first, on the same volume; beside the file, named `<file>.tmp`, unless told. */
  readonly temporary?: string;
  /** How the new name is made durable; {@link syncFolder} unless told. */
  readonly syncFolder?: (folder: string) => Promise<void>;
}

/**
 * Writes a file whole or not at all: beside it, synced, renamed over it, folder synced. Its folder is made when missing.
 * After a crash either the old or the new content is there; once this resolves, the new one.
 * Assumes: one writer a file at a time, and that rename within a volume is atomic (POSIX).
 * @throws VolumeFullError, or the disk's error; nothing but a complete file stays under `path`
 */
export async function replaceFile(
  disk: Disk,
  path: string,
  data: Uint8Array | readonly Uint8Array[],
  { temporary = `${path}.tmp`, syncFolder: sync = (folder) => syncFolder(disk, folder) }: ReplaceOptions = {},
): Promise<void> {
  const parts = data instanceof Uint8Array ? [data] : data;
  try {
    const made = await disk.mkdir(dirname(path), { recursive: true });
    await writeSynced(disk, temporary, parts, 'w');
    await disk.rename(temporary, path);
    await sync(dirname(path));
    if (typeof made === 'string') await syncAbove(disk, dirname(path), made);
  } catch (cause) {
    await disk.unlink(temporary).catch(() => undefined); // not there, or the next write replaces it
    if (!isVolumeFull(cause) || cause instanceof VolumeFullError) throw cause;
    const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    throw new VolumeFullError(dirname(path), bytes, { cause });
  }
}

/** Makes the names of new folders durable: of `folder`, and of those above it up to `first`, which was made first. */
async function syncAbove(disk: Pick<Disk, 'open'>, folder: string, first: string): Promise<void> {
  for (let at = folder; at.length >= first.length; at = dirname(at)) await syncFolder(disk, dirname(at));
}

/** Writes a file and waits until its bytes are on the disk; its name is not until the folder is synced. @throws the disk's error */
export async function writeSynced(
  disk: Pick<Disk, 'open'>,
  path: string,
  parts: readonly Uint8Array[],
  flags: 'w' | 'wx',
): Promise<void> {
  const file = await disk.open(path, flags);
  try {
    for (const part of parts) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable: without it a rename itself may be lost at a power cut. */
export async function syncFolder(disk: Pick<Disk, 'open'>, path: string): Promise<void> {
  const folder = await disk.open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** A file's content; undefined where there is none. */
export const readIfThere = (disk: Disk, path: string): Promise<Uint8Array | undefined> =>
  orIfMissing(disk.readFile(path), undefined);

/** Names in a folder; none where it does not exist. */
export const namesIn = (disk: Disk, folder: string): Promise<readonly string[]> =>
  orIfMissing<readonly string[]>(disk.readdir(folder), []);

/** Removes a file, or finds it gone. */
export const removeIfThere = (disk: Disk, path: string): Promise<void> => orIfMissing(disk.unlink(path), undefined);

async function orIfMissing<T>(asked: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return otherwise;
    throw error;
  }
}
