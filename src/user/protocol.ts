import { z } from 'zod';
import { Layers } from '../api/index.ts';
import { bytesUpTo, decodeChecked, encodeChecked } from '../codec/index.ts';
import { count, uidText } from '../overlay/shapes.ts';

/** One question of a user, one answer of a validator: all that the two say to each other. */
export const USER_PROTOCOL = '/murmuration/user/1.0.0';

const mib = 1024 * 1024;
const kib = 1024;

/** A question: the whole of it is in memory before its asker's quota is known. */
export const MAX_USER_REQUEST_BYTES = 4 * mib;
/** A sealed box or a compressed model: what a question has room for. */
export const MAX_USER_PAYLOAD_BYTES = MAX_USER_REQUEST_BYTES - 4 * kib;
/** An offer names scaling for each column; `weights` is a compressed model. */
export const MAX_USER_REPLY_BYTES = 4 * mib + 4 * kib;

const v = z.literal(1);
/** Bytes of an X25519 public key. */
export const SEAL_KEY_BYTES = 32;

const bytesOf = (length: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.byteLength === length,
    `is no byte string of ${length} bytes`,
  );

/** A sealed box: HPKE's encapsulated key and ciphertext. */
export const sealedShape = z.strictObject({
  enc: bytesOf(SEAL_KEY_BYTES),
  ct: bytesUpTo(MAX_USER_PAYLOAD_BYTES),
});
export type Sealed = z.output<typeof sealedShape>;

const question = z.discriminatedUnion('k', [
  z.strictObject({ v, k: z.literal('offer'), model: uidText }),
  z.strictObject({ v, k: z.literal('data'), model: uidText, sealed: sealedShape }),
  z.strictObject({ v, k: z.literal('model'), model: uidText, frame: bytesUpTo(MAX_USER_PAYLOAD_BYTES) }),
  z.strictObject({ v, k: z.literal('weights'), model: uidText }),
  z.strictObject({ v, k: z.literal('forget'), model: uidText }),
]);
/** What a user asks. */
export type UserQuestion = z.output<typeof question>;

const finite = z.number().refine(Number.isFinite, 'is no finite number');
const columns = z.int().min(1).max(1_000_000);
const offer = z.strictObject({
  v,
  /** X25519 public key that data are sealed to, and the validator's signature over it (see `signSealKey`). */
  sealKey: bytesOf(SEAL_KEY_BYTES),
  signature: bytesOf(64),
  /** Updates that its model has seen. */
  age: count,
  accuracy: finite.min(0).max(1).nullable(),
  /** What rows look like: so many features, each made `(x - offset) * factor`; labels are 0 to classes - 1. */
  columns,
  /** How a row's features are arranged, where that is not one after another: [28, 28, 1]. */
  shape: z.array(columns).max(4).optional(),
  /** The layers, where the Model says only where they come from. */
  layers: Layers.optional(),
  classes: z.int().min(2).max(65_536),
  scaling: z.union([
    z.strictObject({ factor: finite }),
    z.strictObject({ factor: z.array(finite).max(1_000_000), offset: z.array(finite).max(1_000_000) }),
  ]),
  /** Rows that it would take of this user now, and rows of it that it has. */
  rowsFree: count,
  rowsHeld: count,
  /** Rows are forgotten after so long at the latest. Seconds. */
  retainSeconds: count,
});
/** What a validator says of itself to a user. */
export type UserOffer = z.output<typeof offer>;

const taken = z.strictObject({ v, rows: count, until: count });
/** What became of data: so many rows are kept until then (unix seconds). */
export type DataTaken = z.output<typeof taken>;

const merged = z.strictObject({ v, age: count, accepted: z.boolean(), reason: z.string().max(300).optional() });
/** What became of a model. */
export type ModelTaken = z.output<typeof merged>;

const weights = z.strictObject({ v, frame: bytesUpTo(MAX_USER_REPLY_BYTES) });
const forgotten = z.strictObject({ v, rows: count });

const asked = { what: "a user's question", maxBytes: MAX_USER_REQUEST_BYTES };
const said = { what: "an answer to a user's question", maxBytes: MAX_USER_REPLY_BYTES };
const codec = <S extends z.ZodType>(shape: S, limit: typeof asked) => ({
  /** @throws MalformedError */
  encode: (value: z.input<S>): Uint8Array => encodeChecked(value, shape, limit),
  /** @throws MalformedError */
  decode: (bytes: Uint8Array): z.output<S> => decodeChecked(bytes, shape, limit),
});

export const userQuestion = codec(question, asked);
/** Answers, by what they answer. */
export const userAnswer = {
  offer: codec(offer, said),
  data: codec(taken, said),
  model: codec(merged, said),
  weights: codec(weights, said),
  forget: codec(forgotten, said),
} as const;
