import type { Logger } from 'pino';
import { type Disk, readIfThere, realDisk, replaceFile } from '../disk/index.ts';
import { decodeSignedCharter, encodeSignedCharter, type SignedCharter } from './signed-charter.ts';
import { wordsOf } from './words.ts';

/** Where a peer keeps the last charter that it adopted. */
export interface CharterStore {
  /** The last one saved; undefined where there is none or it cannot be read. It is verified again by whoever loads it. */
  load(): Promise<SignedCharter | undefined>;
  /** Atomic: after a crash either the old or the new one is there. */
  save(signed: SignedCharter): Promise<void>;
}

/** A store in one file. One process at a time. */
export function fileCharterStore(path: string, log?: Logger, disk: Disk = realDisk): CharterStore {
  return {
    async load() {
      try {
        const bytes = await readIfThere(disk, path);
        return bytes && decodeSignedCharter(bytes);
      } catch (error) {
        log?.warn({ path, reason: wordsOf(error) }, 'stored charter cannot be read, going on without it');
        return undefined;
      }
    },
    save: (signed) => replaceFile(disk, path, encodeSignedCharter(signed)),
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
