import { mkdir, open, readdir, readFile, rename, stat, statfs, unlink } from 'node:fs/promises';

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

/** The machine's own file system. */
export const realDisk: Disk = {
  mkdir,
  open: (path, flags) => open(path, flags, 0o600),
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
