import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { MalformedError } from './malformed.ts';

/** Multicodec of DAG-CBOR. */
export const DAG_CBOR = dagCbor.code;

/** Of what there may be how much. `what` names it in errors (`a manifest`). */
export interface Limit {
  readonly what: string;
  readonly maxBytes: number;
}

/**
 * The one way in: size, then strict DAG-CBOR, then shape. Whether unknown fields are dropped or refused is the shape's to say.
 * @throws MalformedError, and nothing else
 */
export function decodeChecked<S extends z.ZodType>(bytes: Uint8Array, schema: S, limit: Limit): z.output<S> {
  assertFits(bytes, limit);
  let value: unknown;
  try {
    value = dagCbor.decode(plain(bytes));
  } catch (cause) {
    // Also a RangeError of the decoder's own recursion: deep nesting is refused like any other nonsense.
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MalformedError(limit.what, `not DAG-CBOR (${why.slice(0, 200)})`, { cause });
  }
  return checked(value, schema, limit.what);
}

/**
 * The one way out for what is made of others' words: what would be refused on the other side is not sent.
 * @throws MalformedError
 */
export function encodeChecked<S extends z.ZodType>(value: unknown, schema: S, limit: Limit): Uint8Array {
  const bytes = encode(checked(value, schema, limit.what));
  assertFits(bytes, limit);
  return bytes;
}

/** DAG-CBOR of a value that is known to be right. One value has one encoding. */
export function encode(value: unknown): Uint8Array {
  return plain(dagCbor.encode(value));
}

/** Node's sockets and files give Buffers, whose `slice` shares memory where a Uint8Array's copies: this is a view that does not. */
export function plain(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : bytes;
}

/** Shape of bytes, at most `max` of them: a view, whatever Buffer subclass it was. */
export const bytesUpTo = (max: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.byteLength <= max,
    `is no byte string of at most ${max} bytes`,
  );

function assertFits({ byteLength }: Uint8Array, { what, maxBytes }: Limit): void {
  if (byteLength > maxBytes) throw new MalformedError(what, `${byteLength} bytes, at most ${maxBytes} are allowed`);
}

function checked<S extends z.ZodType>(value: unknown, schema: S, what: string): z.output<S> {
  const result = parsed(value, schema, what);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path.map(String).join('.') || 'the whole';
  throw new MalformedError(what, `${where}: ${(issue?.message ?? 'is of another shape').slice(0, 200)}`);
}

/** zod freezes what is to be `readonly` also where it is of another kind, and bytes cannot be frozen. */
function parsed<S extends z.ZodType>(value: unknown, schema: S, what: string): z.ZodSafeParseResult<z.output<S>> {
  try {
    return schema.safeParse(value);
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new MalformedError(what, 'bytes stand where none belong', { cause });
  }
}
