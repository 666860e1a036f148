import { close, fsync, open, writeFile } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, statfs, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';

/** An open file, or a folder opened to be synced. */
export interface DiskFile {
  /** Appends where the last write ended. */
  writeFile(data: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Room on a volume, bytes. */
export interface Space {
  /** What this process may still write. */
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** The part of a file system that stores need; tests pass one that fails. Errors carry node's `code`. */
export interface Disk {
  /** Gives the first folder that was made, where one was. */
  mkdir(path: string, options: { readonly recursive: true }): Promise<unknown>;
  /** `w` replaces what is there, `wx` fails with EEXIST; both make files that only their owner may read. */
  open(path: string, flags: 'r' | 'w' | 'wx'): Promise<DiskFile>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  rename(from: string, to: string): Promise<void>;
  /** Bytes of a file. */
  size(path: string): Promise<number>;
  /** Room on the volume that a file or folder is on. */
  space(path: string): Promise<Space>;
  unlink(path: string): Promise<void>;
}

const openFile = promisify(open);
const writeTo = promisify(writeFile);
const sync = promisify(fsync);
const closeFile = promisify(close);

/** A file by its descriptor: half the CPU of a `FileHandle`, which counts for a store of many small files. */
class RealFile implements DiskFile {
  #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  writeFile(data: Uint8Array): Promise<void> {
    return writeTo(this.#descriptor, data);
  }

  sync(): Promise<void> {
    return sync(this.#descriptor);
  }

  async close(): Promise<void> {
    const descriptor = this.#descriptor;
    this.#descriptor = CLOSED; // the system gives the number to the next file
    if (descriptor !== CLOSED) await closeFile(descriptor);
  }
}
const CLOSED = -1;

/** The machine's own file system. */
export const realDisk: Disk = {
  mkdir,
  open: async (path, flags) => new RealFile(await openFile(path, flags, 0o600)),
  readdir: (path) => readdir(path),
  readFile: (path) => readFile(path),
  rename,
  size: async (path) => (await stat(path)).size,
  space: async (path) => {
    const { bavail, blocks, bsize } = await statfs(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  },
  unlink,
};

/** Node's error code (`ENOENT`, ...) of something caught. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
