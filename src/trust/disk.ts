import { mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';

export interface DiskFile {
  writeFile(data: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The part of a file system that the protection store and the signer need. Errors carry node's `code`. */
export interface Disk {
  mkdir(path: string, options: { readonly recursive: true }): Promise<unknown>;
  open(path: string, flags: 'r' | 'wx'): Promise<DiskFile>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  unlink(path: string): Promise<void>;
}

export const realDisk: Disk = {
  mkdir,
  open,
  readdir: (path) => readdir(path),
  readFile: (path) => readFile(path),
  unlink,
};

/** Node's error code (`ENOENT`, ...) of something caught. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
