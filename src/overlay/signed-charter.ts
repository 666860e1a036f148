import type { Charter } from './charter.ts';

/** A charter as it travels: a small signed root that names three blocks by CID, and the blocks. */
export interface SignedCharter {
  /** DAG-CBOR `{v: 1, network, seq, issuedAt, members: CID, models: CID, placements: CID}`. */
  readonly root: Uint8Array;
  /** ed25519 over `murmuration/charter/1\0` followed by `root`. */
  readonly signature: Uint8Array;
  /** DAG-CBOR blocks named in the root; equal blocks are carried once. */
  readonly blocks: readonly Uint8Array[];
}

/** Why a charter is not accepted. Stable: used in conditions and metrics. */
export type InvalidCharterReason = 'TooLarge' | 'Malformed' | 'WrongSignature' | 'WrongNetwork';

/** When thrown, a charter was not signed by the authority, is for another network, or is not well formed. */
export class InvalidCharterError extends Error {
  override readonly name = 'InvalidCharterError';
  readonly reason: InvalidCharterReason;

  constructor(reason: InvalidCharterReason, message: string) {
    super(`charter refused (${reason}): ${message}`);
    this.reason = reason;
  }
}

/**
 * Signs a charter with the authority key (libp2p protobuf form, see `generateIdentity`).
 * @throws InvalidCharterError when a member, model or placement breaks the rules or the whole is too large.
 */
export async function signCharter(_charter: Charter, _authorityKey: Uint8Array): Promise<SignedCharter> {
  throw new Error('not written yet');
}

/**
 * Verifies the signature, every block's CID, the shapes and the network.
 * @throws InvalidCharterError
 */
export async function openCharter(
  _signed: SignedCharter,
  _expected: { readonly authority: string; readonly network: string },
): Promise<Charter> {
  throw new Error('not written yet');
}

/** One file, at most `maxCharterBytes`. */
export function encodeSignedCharter(_signed: SignedCharter): Uint8Array {
  throw new Error('not written yet');
}

/** @throws InvalidCharterError when the bytes are too many or of another form. */
export function decodeSignedCharter(_bytes: Uint8Array): SignedCharter {
  throw new Error('not written yet');
}
