import * as dagCbor from '@ipld/dag-cbor';
import type { z } from 'zod';

/** When thrown, bytes from a peer (or a message to be sent) break the limits of the format. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

/**
 * The one way in: size, then strict DAG-CBOR, then shape. Unknown fields are dropped, so that a newer peer may say more.
 * @throws MalformedMessageError
 */
export function decodeChecked<S extends z.ZodType>(
  bytes: Uint8Array,
  schema: S,
  limit: { readonly what: string; readonly maxBytes: number },
): z.output<S> {
  if (bytes.byteLength > limit.maxBytes) {
    throw new MalformedMessageError(`${limit.what} has ${bytes.byteLength} bytes, ${limit.maxBytes} are allowed`);
  }
  let value: unknown;
  try {
    value = dagCbor.decode(plain(bytes));
  } catch (error) {
    // Also a RangeError of the decoder's own recursion: deep nesting is refused like any other nonsense.
    throw new MalformedMessageError(`${limit.what} is not DAG-CBOR: ${wordsOf(error)}`);
  }
  return checked(value, schema, limit.what);
}

/**
 * The one way out: what would be refused on the other side is not sent.
 * @throws MalformedMessageError
 */
export function encodeChecked<S extends z.ZodType>(
  value: unknown,
  schema: S,
  limit: { readonly what: string; readonly maxBytes: number },
): Uint8Array {
  const bytes = plain(dagCbor.encode(checked(value, schema, limit.what)));
  if (bytes.byteLength > limit.maxBytes) {
    throw new MalformedMessageError(`${limit.what} has ${bytes.byteLength} bytes, ${limit.maxBytes} are allowed`);
  }
  return bytes;
}

function checked<S extends z.ZodType>(value: unknown, schema: S, what: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.map(String).join('.') || 'the whole';
  throw new MalformedMessageError(`${what}: ${where}: ${(issue?.message ?? 'is of another shape').slice(0, 200)}`);
}

/**
 * Node's sockets and files give Buffers, whose `slice` shares memory where a Uint8Array's copies: nobody outside this
 * room gets to see one.
 */
export function plain(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes;
}

/** The words of anything thrown, cut to a line. */
export function wordsOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200);
}
