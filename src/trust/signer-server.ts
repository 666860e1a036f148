import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyReply, LogController } from 'fastify';
import { DoubleVoteError, type ProtectionStore, ProtectionTakenError } from './protection.ts';
import { MAX_BODY_BYTES, type SignerRefusal, voteBodySchema } from './signer-api.ts';
import type { StakeKey } from './stake-key.ts';
import { type Vote, voteDigest } from './vote.ts';

/** A key and what protects it, once both could be opened. */
export interface Signing {
  readonly key: StakeKey;
  readonly protection: ProtectionStore;
}

export interface SignerServerOptions {
  /** The key, or why there is none yet. */
  readonly signing: () => Signing | { readonly waiting: string };
  readonly log: FastifyBaseLogger;
}

const STATUS: Readonly<Record<SignerRefusal, number>> = {
  DoubleVote: 409,
  NotReady: 503,
  ProtectionTaken: 503,
  ProtectionFailed: 503,
  BadRequest: 400,
};

/**
 * The signer's HTTP server, not yet listening. It signs votes and nothing else: what a caller sends is never hashed as it is, but
 * read as a vote and encoded again, so no other message can be had signed through it.
 */
export function signerServer({ signing, log }: SignerServerOptions): FastifyInstance {
  const server: FastifyInstance = Fastify({
    loggerInstance: log,
    bodyLimit: MAX_BODY_BYTES,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: 'idle',
    requestTimeout: 10_000,
    connectionTimeout: 60_000,
  });

  server.setErrorHandler((error, _request, reply) => {
    const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
    if (typeof status === 'number' && status < 500)
      return refuse(reply, 'BadRequest', error instanceof Error ? error.message : 'the request could not be read');
    log.error({ err: error }, 'could not answer a request');
    return refuse(reply, 'ProtectionFailed', 'the signer failed inside; its log says how; nothing was signed');
  });

  server.get('/healthz', (_request, reply) => {
    const now = signing();
    if ('waiting' in now) return refuse(reply, 'NotReady', now.waiting);
    if (now.protection.taken)
      return refuse(
        reply,
        'ProtectionTaken',
        'another signer runs on the protection store; this one signs nothing more',
      );
    return reply.send({ ready: true });
  });

  server.get('/v1/identity', (_request, reply) => {
    const now = signing();
    if ('waiting' in now) return refuse(reply, 'NotReady', now.waiting);
    return reply.send({ publicKey: now.key.publicKey });
  });

  server.post('/v1/votes', async (request, reply) => {
    const now = signing();
    if ('waiting' in now) return refuse(reply, 'NotReady', now.waiting);
    const body = voteBodySchema.safeParse(request.body);
    if (!body.success) {
      const issue = body.error.issues[0];
      return refuse(
        reply,
        'BadRequest',
        `${issue?.path.join('.') || 'the body'}: ${issue?.message ?? 'has the wrong shape'}`,
      );
    }
    const vote: Vote = { v: 1, ...body.data, voter: now.key.publicKey };
    try {
      const signature = await now.protection.protect(body.data, () => now.key.sign(voteDigest(vote)));
      log.debug({ model: vote.model, age: vote.age, version: vote.version }, 'signed a vote');
      return reply.send({ signature: Buffer.from(signature).toString('hex') });
    } catch (error) {
      if (error instanceof DoubleVoteError) return refuse(reply, 'DoubleVote', error.message);
      log.error({ err: error, model: vote.model, age: vote.age }, 'could not record a vote, so it was not signed');
      if (error instanceof ProtectionTakenError) return refuse(reply, 'ProtectionTaken', error.message);
      const message = error instanceof Error ? error.message : String(error);
      return refuse(reply, 'ProtectionFailed', `the vote could not be recorded, so it was not signed: ${message}`);
    }
  });

  return server;
}

function refuse(reply: FastifyReply, reason: SignerRefusal, message: string): FastifyReply {
  return reply.code(STATUS[reason]).send({ reason, message });
}
