import { Client } from 'undici';
import type { z } from 'zod';
import {
  identityReplySchema,
  MAX_BODY_BYTES,
  refusalSchema,
  type SignerRefusal,
  voteReplySchema,
} from './signer-api.ts';
import { type Vote, verifyVote } from './vote.ts';

/** The signer answered, and did not sign. `code` says why; `DoubleVote` stays so for ever, the others may be tried again. */
export class SignerRefusedError extends Error {
  override readonly name = 'SignerRefusedError';
  readonly code: SignerRefusal;

  constructor(code: SignerRefusal, message: string) {
    super(message);
    this.code = code;
  }
}

/** The signer did not answer, or not as a signer does: it is starting, gone, or something else listens on its socket. */
export class SignerUnavailableError extends Error {
  override readonly name = 'SignerUnavailableError';
  readonly code = 'SignerUnavailable';

  constructor(socket: string, why: string, options?: ErrorOptions) {
    super(`the signer at ${socket} did not answer as it should: ${why}; see the signer container's log`, options);
  }
}

export interface SignerClientOptions {
  /** Path of the Unix socket. */
  readonly socket: string;
  /** Deadline of one request. Default 5 s. */
  readonly timeoutMs?: number;
}

/** Asks the signer for signatures. The connection is made when it is first needed and again after a loss. */
export class SignerClient {
  readonly #socket: string;
  readonly #timeoutMs: number;
  readonly #client: Client;

  constructor({ socket, timeoutMs = 5_000 }: SignerClientOptions) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#client = new Client('http://signer', {
      socketPath: socket,
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: MAX_BODY_BYTES,
    });
  }

  /** The stake public key, hex. Throws SignerRefusedError (NotReady) or SignerUnavailableError. */
  async identity(signal?: AbortSignal): Promise<string> {
    return (await this.#ask('GET', '/v1/identity', undefined, identityReplySchema, signal)).publicKey;
  }

  /**
   * Sign a vote; the signature is checked before it is given out.
   * @throws SignerRefusedError, SignerUnavailableError
   */
  async sign(vote: Vote, signal?: AbortSignal): Promise<Uint8Array> {
    const { network, model, age, version } = vote;
    const reply = await this.#ask('POST', '/v1/votes', { network, model, age, version }, voteReplySchema, signal);
    const signature = new Uint8Array(Buffer.from(reply.signature, 'hex'));
    if (!verifyVote({ vote, signature }))
      throw new SignerUnavailableError(this.#socket, `its signature is not by the key ${vote.voter}`);
    return signature;
  }

  async close(): Promise<void> {
    await this.#client.destroy();
  }

  async #ask<T>(
    method: 'GET' | 'POST',
    path: string,
    body: unknown,
    schema: z.ZodType<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(this.#timeoutMs);
    let status: number;
    let json: unknown;
    try {
      const answer = await this.#client.request({
        method,
        path,
        signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      });
      status = answer.statusCode;
      json = await answer.body.json();
    } catch (cause) {
      signal?.throwIfAborted();
      throw new SignerUnavailableError(this.#socket, cause instanceof Error ? cause.message : String(cause), { cause });
    }
    if (status === 200) {
      const reply = schema.safeParse(json);
      if (reply.success) return reply.data;
    }
    const refusal = refusalSchema.safeParse(json);
    if (refusal.success) throw new SignerRefusedError(refusal.data.reason, refusal.data.message);
    throw new SignerUnavailableError(
      this.#socket,
      `${method} ${path} was answered with status ${status} and an unknown body`,
    );
  }
}
