import { z } from 'zod';
import { decodeChecked, encodeChecked } from '../codec/index.ts';
import { maxHelloBytes } from './limits.ts';
import { cidText, count } from './shapes.ts';

/** First words on a connection, and again whenever the charter has changed: both sides say the same things. */
export interface Hello {
  /** Wire versions that the sender speaks; the highest common one is used. */
  readonly versions: readonly number[];
  readonly network: string;
  /** Charter that the sender obeys: its number and the CID of its root. */
  readonly seq: number;
  readonly charter: string;
  /** Unix milliseconds on the sender's clock. */
  readonly clock: number;
}

/** Wire versions that this build speaks. */
export const wireVersions: readonly number[] = [1];

const shape = z.object({
  versions: z.array(count.max(1000)).min(1).max(16),
  // Looser than a charter's: another network is told so, not called malformed.
  network: z.string().max(600),
  seq: count,
  charter: cidText,
  clock: count,
});
const limit = { what: 'hello', maxBytes: maxHelloBytes } as const;

export function encodeHello(hello: Hello): Uint8Array {
  return encodeChecked(hello, shape, limit);
}

/** @throws MalformedError */
export function decodeHello(bytes: Uint8Array): Hello {
  return decodeChecked(bytes, shape, limit);
}

/** Why two peers cannot go on, seen from `mine`; undefined: they can. */
export function mismatch(mine: Hello, theirs: Hello): { readonly code: string; readonly message: string } | undefined {
  if (theirs.network !== mine.network) {
    return { code: 'wrong-network', message: `this is network ${mine.network}, not ${theirs.network}` };
  }
  if (!theirs.versions.some((v) => mine.versions.includes(v))) {
    return { code: 'no-common-version', message: `wire versions spoken here: ${mine.versions.join(', ')}` };
  }
  return undefined;
}

/** Which charter a peer obeys. */
export interface Head {
  readonly seq: number;
  /** CID text of the root. */
  readonly charter: string;
}

/**
 * True when `a` replaces `b`: a higher number wins, and of two with one number (an authority that forgot what it had
 * said, from a restored backup) the greater CID, so that a network never stays divided.
 */
export function replaces(a: Head, b: Head | undefined): boolean {
  return b === undefined || a.seq > b.seq || (a.seq === b.seq && a.charter > b.charter);
}
