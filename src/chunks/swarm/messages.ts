import { z } from 'zod';
import { bytesUpTo, decodeChecked, encode, MalformedError } from '../../codec/index.ts';
import { cidSchema } from '../cid.ts';
import { MAX_CHUNK_BYTES, MAX_CHUNKS } from '../manifest.ts';

/** Long-lived: one stream a pair of peers, over which both follow versions, ask for chunks and send them. */
export const CHUNKS_PROTOCOL = '/murmuration/chunks/1.0.0';
/** A block frame: its kind, the asker's number of the version, the chunk's index, its bytes. */
const BLOCK_HEADER_BYTES = 9;
export const MAX_CHUNKS_FRAME_BYTES = MAX_CHUNK_BYTES + BLOCK_HEADER_BYTES;
/** Most indexes in one message, and most messages in one frame. */
export const MAX_INDEXES = 1_024;
const MAX_MESSAGES = 64;
/** A frame of messages: a full map of 64 Ki chunks has 8 KiB. */
const MAX_WORDS_BYTES = 256 * 1024;

const WORDS = 0;
const BLOCK = 1;

const number = z.number().int().min(0).max(0xffff_ffff);
const index = z
  .number()
  .int()
  .min(0)
  .max(MAX_CHUNKS - 1);
const at = z.array(index).max(MAX_INDEXES).readonly();
const length = z.number().int().min(0).max(MAX_CHUNKS);
const why = z.enum(['busy', 'not-here', 'not-allowed']);

const message = z.discriminatedUnion('k', [
  z.strictObject({ k: z.literal('open'), n: number, version: cidSchema, length, bits: bytesUpTo(MAX_CHUNKS / 8) }),
  z.strictObject({ k: z.literal('shut'), n: number }),
  z.strictObject({ k: z.literal('have'), n: number, at }),
  z.strictObject({ k: z.literal('lost'), n: number, at }),
  z.strictObject({ k: z.literal('want'), n: number, at }),
  z.strictObject({ k: z.literal('cancel'), n: number, at }),
  z.strictObject({ k: z.literal('got'), n: number, at }),
  z.strictObject({
    k: z.literal('no'),
    n: number,
    at: index,
    why,
    holders: z.array(z.string().max(128)).max(8).readonly().optional(),
  }),
]);
const words = z.array(message).max(MAX_MESSAGES).readonly();

/**
 * What peers say. `n` is a number that the sender gave a version with `open`; in `no`, and in a block, it is the
 * receiver's.
 * - `open`: I follow this version, and this is what I (say that I) hold of it; again for a new map
 * - `shut`: I follow it no longer
 * - `have`, `lost`: what changed in my map
 * - `want`, `cancel`: send me these; do not send them any more
 * - `got`: I have received them, so there is room for more
 * - `no`: I do not send this one: ask later, ask one of these, do not ask again
 */
export type Message = z.infer<typeof message>;
/** Why a block is not sent: try again later; ask somebody else (perhaps the named holders); do not ask here again. */
export type RefusalReason = z.infer<typeof why>;

/** A chunk that was asked for. */
export interface BlockFrame {
  /** The receiver's number of the version. */
  readonly n: number;
  readonly index: number;
  readonly bytes: Uint8Array;
}

export function encodeWords(messages: readonly Message[]): readonly Uint8Array[] {
  return [Uint8Array.of(WORDS), encode(messages)];
}

export function encodeBlock({ n, index: at, bytes }: BlockFrame): readonly Uint8Array[] {
  const header = new Uint8Array(BLOCK_HEADER_BYTES);
  header[0] = BLOCK;
  const view = new DataView(header.buffer);
  view.setUint32(1, n);
  view.setUint32(5, at);
  return [header, bytes];
}

/** @throws MalformedError */
export function decodeFrame(
  frame: Uint8Array,
): { readonly words: readonly Message[] } | { readonly block: BlockFrame } {
  if (frame[0] === WORDS)
    return { words: decodeChecked(frame.subarray(1), words, { what: 'a swarm message', maxBytes: MAX_WORDS_BYTES }) };
  if (frame[0] !== BLOCK || frame.byteLength < BLOCK_HEADER_BYTES)
    throw new MalformedError(
      'a swarm frame',
      `it begins with ${frame[0] ?? 'nothing'} and has ${frame.byteLength} bytes`,
    );
  const view = new DataView(frame.buffer, frame.byteOffset, BLOCK_HEADER_BYTES);
  return { block: { n: view.getUint32(1), index: view.getUint32(5), bytes: frame.subarray(BLOCK_HEADER_BYTES) } };
}

/** Two messages as one, where they say the same of different chunks. */
export function join(a: Message, b: Message): Message | undefined {
  if (a.k === 'open' || a.k === 'shut' || a.k === 'no' || a.k !== b.k || a.n !== b.n) return undefined;
  return a.at.length + b.at.length > MAX_INDEXES ? undefined : { ...a, at: [...a.at, ...b.at] };
}

/** Lists of indexes as long as one message may carry. */
export function* inMessages(indexes: readonly number[]): Generator<readonly number[]> {
  for (let from = 0; from < indexes.length; from += MAX_INDEXES) yield indexes.slice(from, from + MAX_INDEXES);
}

/** Messages as many as one frame may carry. */
export function* inFrames(messages: readonly Message[]): Generator<readonly Message[]> {
  for (let from = 0; from < messages.length; from += MAX_MESSAGES) yield messages.slice(from, from + MAX_MESSAGES);
}
