import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { z } from 'zod';

/** Bytes that are not what a trust message says it is: too long, not DAG-CBOR, a wrong shape. Only hostile or broken peers send them. */
export class TrustFormatError extends Error {
  override readonly name = 'TrustFormatError';
  readonly code = 'Format';

  constructor(what: string, why: string, options?: ErrorOptions) {
    super(`${what} could not be read: ${why}`, options);
  }
}

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

/** Decode DAG-CBOR of at most `maxBytes` and hold it against a schema. Throws only {@link TrustFormatError}. */
export function decodeChecked<T>(what: string, schema: z.ZodType<T>, bytes: Uint8Array, maxBytes: number): T {
  if (bytes.byteLength > maxBytes)
    throw new TrustFormatError(what, `${bytes.byteLength} bytes, at most ${maxBytes} are allowed`);
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
  } catch (cause) {
    throw new TrustFormatError(what, `not DAG-CBOR (${cause instanceof Error ? cause.message : String(cause)})`, {
      cause,
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new TrustFormatError(
    what,
    issue === undefined ? 'wrong shape' : `${issue.path.join('.') || 'it'}: ${issue.message}`,
  );
}

export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(value);
}
