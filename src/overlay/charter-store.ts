import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { wordsOf } from './codec.ts';
import { decodeSignedCharter, encodeSignedCharter, type SignedCharter } from './signed-charter.ts';

/** Where a peer keeps the last charter that it adopted. */
export interface CharterStore {
  /** The last one saved; undefined where there is none or it cannot be read. It is verified again by whoever loads it. */
  load(): Promise<SignedCharter | undefined>;
  /** Atomic: after a crash either the old or the new one is there. */
  save(signed: SignedCharter): Promise<void>;
}

/** A store in one file: written beside it, synced, renamed over it. One process at a time. */
export function fileCharterStore(path: string, log?: Logger): CharterStore {
  return {
    async load() {
      let bytes: Uint8Array;
      try {
        bytes = await readFile(path);
      } catch (error) {
        if (!isMissing(error))
          log?.warn({ path, reason: wordsOf(error) }, 'stored charter cannot be read, going on without it');
        return undefined;
      }
      try {
        return decodeSignedCharter(bytes);
      } catch (error) {
        log?.warn({ path, reason: wordsOf(error) }, 'stored charter is damaged, going on without it');
        return undefined;
      }
    },
    async save(signed) {
      await mkdir(dirname(path), { recursive: true });
      const beside = `${path}.new`;
      const file = await open(beside, 'w', 0o600);
      try {
        await file.writeFile(encodeSignedCharter(signed));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(beside, path);
      await syncFolder(dirname(path));
    },
  };
}

/** A store that forgets at exit: for the operator, which makes charters, and for tests. */
export function memoryCharterStore(initial?: SignedCharter): CharterStore {
  let kept = initial;
  return {
    load: async () => kept,
    save: async (signed) => {
      kept = signed;
    },
  };
}

/** Without it the rename itself may be lost at a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
