import type { SignedCharter } from './signed-charter.ts';

/** Where a peer keeps the last charter that it adopted. */
export interface CharterStore {
  /** The last one saved; undefined where there is none or it cannot be read. */
  load(): Promise<SignedCharter | undefined>;
  /** Atomic: after a crash either the old or the new one is there. */
  save(signed: SignedCharter): Promise<void>;
}

/** A store in one file, written beside it, synced and renamed. */
export function fileCharterStore(_path: string): CharterStore {
  throw new Error('not written yet');
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
