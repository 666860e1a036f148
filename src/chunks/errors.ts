/** Bytes that do not hash to the CID they came with. Nothing of them was written. */
export class WrongBytesError extends Error {
  override readonly name = 'WrongBytesError';
  readonly code = 'WrongBytes';

  constructor(cid: string, length: number) {
    super(`${length} bytes were given as block ${cid}, but they do not hash to it; they were thrown away`);
  }
}

/** A fetch ended without all its blocks: nobody who can be reached serves them. */
export class FetchStalledError extends Error {
  override readonly name = 'FetchStalledError';
  readonly code = 'FetchStalled';
  readonly missing: number;

  constructor(version: string, missing: number, stalledMs: number, tried: readonly string[]) {
    super(
      `${missing} blocks of version ${version} are missing and none came for ${Math.round(stalledMs / 1000)} s; ` +
        `asked ${tried.length === 0 ? 'nobody (no source is known)' : tried.join(', ')}; try again when a holder is back`,
    );
    this.missing = missing;
  }
}
