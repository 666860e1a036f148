import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import { isBlockCid } from './cid.ts';
import { FormatError } from './errors.ts';

/** A link to a block, as DAG-CBOR carries it. */
export const cidSchema = z.custom<CID>((value) => {
  const cid = CID.asCID(value);
  return cid !== null && isBlockCid(cid);
}, 'must be a CID: version 1, raw or dag-cbor, sha2-256');

export const bytesSchema = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'must be bytes');

/** Decode DAG-CBOR of at most `maxBytes` and hold it against a schema. Throws only {@link FormatError}. */
export function decodeChecked<T>(what: string, schema: z.ZodType<T>, bytes: Uint8Array, maxBytes: number): T {
  if (bytes.byteLength > maxBytes)
    throw new FormatError(what, `${bytes.byteLength} bytes, at most ${maxBytes} are allowed`);
  let value: unknown;
  try {
    value = dagCbor.decode(bytes);
  } catch (cause) {
    throw new FormatError(what, `not DAG-CBOR (${cause instanceof Error ? cause.message : String(cause)})`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new FormatError(
    what,
    issue === undefined ? 'wrong shape' : `${issue.path.join('.') || 'it'}: ${issue.message}`,
  );
}

/** Encode as DAG-CBOR (canonical: one value has one encoding). */
export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(value);
}
