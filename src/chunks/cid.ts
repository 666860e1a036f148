import { createHash } from 'node:crypto';
import { CID } from 'multiformats/cid';
import * as digest from 'multiformats/hashes/digest';
import { z } from 'zod';

/** Multicodec of a chunk: bytes that mean nothing by themselves. */
export const RAW = 0x55;
/** Multicodec of a manifest: DAG-CBOR. */
export const DAG_CBOR = 0x71;
const SHA2_256 = 0x12;

export type Codec = typeof RAW | typeof DAG_CBOR;

/** The CID (version 1, sha2-256) of some bytes. */
export function cidOf(bytes: Uint8Array, codec: Codec = RAW): CID {
  return CID.createV1(codec, digest.create(SHA2_256, sha256(bytes)));
}

/** Whether bytes hash to the CID. False for every CID that {@link isBlockCid} refuses. */
export function matches(cid: CID, bytes: Uint8Array): boolean {
  return isBlockCid(cid) && Buffer.compare(sha256(bytes), cid.multihash.digest) === 0;
}

/** The only CIDs that exist here: version 1, raw or DAG-CBOR, sha2-256 of full length. */
export function isBlockCid(cid: CID): boolean {
  return (
    cid.version === 1 &&
    (cid.code === RAW || cid.code === DAG_CBOR) &&
    cid.multihash.code === SHA2_256 &&
    cid.multihash.digest.length === 32
  );
}

/** A link to a block, as DAG-CBOR carries it. */
export const cidSchema = z.custom<CID>((value) => {
  const cid = CID.asCID(value);
  return cid !== null && isBlockCid(cid);
}, 'must be a CID: version 1, raw or dag-cbor, sha2-256');

/**
 * The first letters are the same bits for every block (version, codec, hash, length), the last one has two bits to spare.
 * Multiformats reads capitals too, and remembers what it read as the CID's text.
 */
const NAME = /^baf[ky]rei[a-h][a-z2-7]{50}[aeimquy4]$/;

/** Whether a text is that of a block's CID, in its one canonical (base32) form. */
export const isBlockName = (text: string): boolean => NAME.test(text);

/** Parse the text of a block's CID; `undefined` when it is not one, or not in its canonical (base32) text form. */
export const parseBlockCid = (text: string): CID | undefined => (isBlockName(text) ? CID.parse(text) : undefined);

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}
