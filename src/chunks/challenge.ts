import { createHmac, timingSafeEqual } from 'node:crypto';
import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import { bytesUpTo, decodeChecked, encode, MalformedError } from '../codec/index.ts';
import { cidSchema, matches } from './cid.ts';
import type { ChunkNetwork } from './network.ts';
import type { ChunkStore } from './store.ts';

/** A storage challenge: a nonce and a CID in, a keyed hash of the chunk's bytes out. */
export const CHALLENGE_PROTOCOL = '/murmuration/challenge/1.0.0';
export const NONCE_BYTES = 32;
const MAX_CHALLENGE_BYTES = 256;

const nonceSchema = bytesUpTo(NONCE_BYTES).refine(
  (bytes) => bytes.byteLength === NONCE_BYTES,
  `must be ${NONCE_BYTES} bytes`,
);
const requestSchema = z.strictObject({ v: z.literal(1), nonce: nonceSchema, cid: cidSchema }).readonly();
const replySchema = z.discriminatedUnion('kind', [
  z.strictObject({ v: z.literal(1), kind: z.literal('proof'), proof: nonceSchema }).readonly(),
  z.strictObject({ v: z.literal(1), kind: z.literal('not-here') }).readonly(),
]);

/** `no-answer`: unreachable or late, which alone proves nothing; `failed`: it answered, and does not hold the bytes. */
export type ChallengeOutcome = 'passed' | 'failed' | 'no-answer';

/**
 * HMAC-SHA256 over the chunk with the nonce and the answerer's own peer id as key. The peer id keeps a peer from passing the
 * challenge on to an honest holder, whose answer would be for another id; it can still fetch the chunk in time.
 */
export function challengeProof(nonce: Uint8Array, answerer: string, bytes: Uint8Array): Uint8Array {
  return createHmac('sha256', Buffer.concat([nonce, Buffer.from(answerer)]))
    .update(bytes)
    .digest();
}

export interface ChallengeQuestion {
  readonly network: ChunkNetwork;
  readonly peer: string;
  readonly cid: CID;
  /** The asker's own copy. */
  readonly bytes: Uint8Array;
  /** 32 bytes that were never used before. */
  readonly nonce: Uint8Array;
  /** Default 5 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Ask a peer to prove that it holds a chunk. Never throws for what the peer does. */
export async function challenge(question: ChallengeQuestion): Promise<ChallengeOutcome> {
  const { network, peer, cid, bytes, nonce, timeoutMs = 5_000, signal } = question;
  if (!matches(cid, bytes)) throw new RangeError(`the asker's own copy of ${cid.toString()} is not that chunk`);
  let answer: Uint8Array;
  try {
    answer = await network.request(peer, CHALLENGE_PROTOCOL, encode({ v: 1, nonce, cid }), {
      timeoutMs,
      maxReplyBytes: MAX_CHALLENGE_BYTES,
      ...(signal === undefined ? {} : { signal }),
    });
  } catch {
    return 'no-answer'; // the network's error is the overlay's to log; what counts here is that no proof came
  }
  try {
    const reply = decodeChecked(answer, replySchema, { what: 'a challenge reply', maxBytes: MAX_CHALLENGE_BYTES });
    return reply.kind === 'proof' && timingSafeEqual(reply.proof, challengeProof(nonce, peer, bytes))
      ? 'passed'
      : 'failed';
  } catch (error) {
    if (error instanceof MalformedError) return 'failed';
    throw error;
  }
}

/** Answers {@link CHALLENGE_PROTOCOL} from the store, as peer `self`. */
export class ChallengeResponder {
  readonly #store: ChunkStore;
  readonly #self: string;

  constructor(store: ChunkStore, self: string) {
    this.#store = store;
    this.#self = self;
  }

  /** Throws MalformedError when the question is malformed. */
  async answer(requestBytes: Uint8Array): Promise<Uint8Array> {
    const { nonce, cid } = decodeChecked(requestBytes, requestSchema, {
      what: 'a challenge',
      maxBytes: MAX_CHALLENGE_BYTES,
    });
    const bytes = await this.#store.get(cid);
    return bytes === undefined
      ? encode({ v: 1, kind: 'not-here' })
      : encode({ v: 1, kind: 'proof', proof: challengeProof(nonce, this.#self, bytes) });
  }
}
