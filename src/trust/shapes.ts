import { CID } from 'multiformats/cid';
import { z } from 'zod';

/** secp256k1 public key, compressed, 66 lower-case hex digits. */
export const publicKeySchema = z
  .string()
  .regex(/^0[23][0-9a-f]{64}$/, 'must be a compressed secp256k1 public key in hex');
/** Compact signature r || s with low s, 64 bytes. */
export const signatureSchema = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.byteLength === 64,
  'must be 64 bytes',
);
/** Text of a manifest's CID: version 1, dag-cbor, sha2-256, base32. */
export const versionSchema = z.string().refine(isVersion, 'must be the CID of a manifest');
export const nameSchema = z.string().min(1).max(128);
export const ageSchema = z.number().int().nonnegative();

function isVersion(text: string): boolean {
  if (text.length > 128) return false;
  try {
    const cid = CID.parse(text);
    return cid.version === 1 && cid.code === 0x71 && cid.multihash.code === 0x12 && cid.toString() === text;
  } catch {
    return false; // no CID at all
  }
}
