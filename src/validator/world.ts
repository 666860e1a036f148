import { randomBytes } from 'node:crypto';
import { statfs } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Disk, realDisk } from '../disk/index.ts';

/** Time, randomness and disk of a validator: the machine's own, or what a test passes in. */
export interface World {
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  /** Resolves after so many milliseconds, rejects when aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** 0 <= x < 1. */
  readonly random: () => number;
  /** Bytes that nobody can guess. */
  readonly nonce: (bytes: number) => Uint8Array;
  /** File system of the chunk store. */
  readonly disk: Disk;
  /** Free bytes on the volume of a folder. */
  readonly freeBytes: (folder: string) => Promise<number>;
}

export const realWorld: World = {
  now: Date.now,
  monotonic: () => performance.now(),
  sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  random: Math.random,
  nonce: randomBytes,
  disk: realDisk,
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};
