import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';

/** A file open for writing. */
export interface DiskFile {
  writeFile(data: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The part of a file system that a chunk store needs; tests pass one that fails. Errors carry node's `code`. */
export interface Disk {
  mkdir(path: string, options: { readonly recursive: true }): Promise<unknown>;
  open(path: string, flags: 'r' | 'wx'): Promise<DiskFile>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  rename(from: string, to: string): Promise<void>;
  size(path: string): Promise<number>;
  unlink(path: string): Promise<void>;
}

/** The machine's own file system. */
export const realDisk: Disk = {
  mkdir,
  open,
  readdir: (path) => readdir(path),
  readFile: (path) => readFile(path),
  rename,
  size: async (path) => (await stat(path)).size,
  unlink,
};

/** Node's error code (`ENOENT`, ...) of something caught. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
