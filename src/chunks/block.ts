import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import { bytesUpTo, decodeChecked, encode } from '../codec/index.ts';
import { cidSchema } from './cid.ts';
import { MAX_MANIFEST_BYTES } from './manifest.ts';
import type { ChunkStore } from './store.ts';

/** One block by its name, one question and one answer: how a manifest is got, before there is anything to share in a swarm. */
export const BLOCK_PROTOCOL = '/murmuration/block/1.0.0';
export const MAX_BLOCK_REQUEST_BYTES = 256;
/** A manifest and any chunk fit. */
export const MAX_BLOCK_REPLY_BYTES = MAX_MANIFEST_BYTES + 1024;

const request = z.strictObject({ v: z.literal(1), cid: cidSchema });
const reply = z.strictObject({ v: z.literal(1), bytes: bytesUpTo(MAX_MANIFEST_BYTES).optional() });

export const encodeBlockRequest = (cid: CID): Uint8Array => encode({ v: 1, cid });

/** @throws MalformedError */
export const decodeBlockRequest = (bytes: Uint8Array): CID =>
  decodeChecked(bytes, request, { what: 'a block request', maxBytes: MAX_BLOCK_REQUEST_BYTES }).cid;

/** @param bytes undefined: it is not here */
export const encodeBlockReply = (bytes: Uint8Array | undefined): Uint8Array =>
  encode(bytes === undefined ? { v: 1 } : { v: 1, bytes });

/** Not yet held against the CID: the store does that. @throws MalformedError */
export const decodeBlockReply = (bytes: Uint8Array): Uint8Array | undefined =>
  decodeChecked(bytes, reply, { what: 'a block reply', maxBytes: MAX_BLOCK_REPLY_BYTES }).bytes;

/** Answers {@link BLOCK_PROTOCOL}; the store hashes what it gives. @throws MalformedError when the question is malformed */
export const answerBlock = async (store: Pick<ChunkStore, 'get'>, question: Uint8Array): Promise<Uint8Array> =>
  encodeBlockReply(await store.get(decodeBlockRequest(question)));
