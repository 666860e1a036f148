import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import { bytesUpTo, decodeChecked, encode } from '../codec/index.ts';
import { BufferMap } from './buffer-map.ts';
import { cidSchema } from './cid.ts';
import { MAX_CHUNKS, MAX_MANIFEST_BYTES } from './manifest.ts';

/** One request and one reply a stream, each one DAG-CBOR frame. Manifests and chunks are served alike, by their CID. */
export const CHUNKS_PROTOCOL = '/murmuration/chunks/1.0.0';
/** Most blocks one request may want. */
export const MAX_WANT = 16;
export const MAX_REQUEST_BYTES = 4 * 1024;
/** Bytes of blocks in one reply; what does not fit is refused as busy. A manifest and any single chunk always fit. */
export const MAX_BLOCKS_BYTES = MAX_MANIFEST_BYTES;
/** The whole reply frame: blocks, refusals, the map. */
export const MAX_REPLY_BYTES = MAX_BLOCKS_BYTES + 64 * 1024;

/** The network as this room sees it; the overlay fits. Rejects when the peer cannot be reached, is late, or sends too much. */
export interface ChunkNetwork {
  request(
    peer: string,
    protocol: string,
    bytes: Uint8Array,
    options: { readonly timeoutMs: number; readonly maxReplyBytes: number; readonly signal?: AbortSignal },
  ): Promise<Uint8Array>;
}

const requestSchema = z
  .strictObject({ v: z.literal(1), version: cidSchema, want: z.array(cidSchema).max(MAX_WANT).readonly() })
  .readonly();

/** Blocks wanted of a version; an empty list asks for the map only. */
export type ChunkRequest = z.infer<typeof requestSchema>;

const why = z.enum(['busy', 'not-here', 'not-allowed']);
/** Why a block was not sent: try again later; ask somebody else (perhaps the named holders); do not ask here again. */
export type RefusalReason = z.infer<typeof why>;

const replySchema = z
  .strictObject({
    v: z.literal(1),
    blocks: z
      .array(z.strictObject({ cid: cidSchema, bytes: bytesUpTo(MAX_REPLY_BYTES) }).readonly())
      .max(MAX_WANT)
      .readonly(),
    refused: z
      .array(
        z
          .strictObject({ cid: cidSchema, why, holders: z.array(z.string().max(128)).max(8).readonly().optional() })
          .readonly(),
      )
      .max(MAX_WANT)
      .readonly(),
    /** What the answerer holds of the version; absent when it does not follow it. */
    map: z
      .strictObject({ length: z.number().int().min(0).max(MAX_CHUNKS), bits: bytesUpTo(MAX_CHUNKS / 8) })
      .readonly()
      .optional(),
  })
  .readonly();

type WireReply = z.infer<typeof replySchema>;

export interface Refusal {
  readonly cid: CID;
  readonly why: RefusalReason;
  /** Peer ids of who has it, as far as the answerer knows. */
  readonly holders?: readonly string[] | undefined;
}

export interface ChunkReply {
  readonly blocks: WireReply['blocks'];
  readonly refused: readonly Refusal[];
  readonly map?: BufferMap | undefined;
}

export function encodeRequest(version: CID, want: readonly CID[]): Uint8Array {
  return encode({ v: 1, version, want });
}

/** Throws MalformedError. */
export function decodeRequest(bytes: Uint8Array): ChunkRequest {
  return decodeChecked(bytes, requestSchema, { what: 'a chunk request', maxBytes: MAX_REQUEST_BYTES });
}

export function encodeReply(reply: ChunkReply): Uint8Array {
  const wire: WireReply = {
    v: 1,
    blocks: reply.blocks,
    refused: reply.refused.map(({ cid, why: reason, holders }) =>
      holders === undefined ? { cid, why: reason } : { cid, why: reason, holders },
    ),
    ...(reply.map === undefined ? {} : { map: { length: reply.map.length, bits: reply.map.bits() } }),
  };
  return encode(wire);
}

/** Throws MalformedError. The blocks are not yet held against their CIDs: the store does that. */
export function decodeReply(bytes: Uint8Array): ChunkReply {
  const { blocks, refused, map } = decodeChecked(bytes, replySchema, {
    what: 'a chunk reply',
    maxBytes: MAX_REPLY_BYTES,
  });
  return { blocks, refused, map: map === undefined ? undefined : BufferMap.fromBits(map.length, map.bits) };
}
