import type { FastifyInstance } from 'fastify';
import { CID } from 'multiformats/cid';
import { isBlockCid } from '../chunks/index.ts';
import { createServer } from './http.ts';

const RAW_BLOCK = 'application/vnd.ipld.raw';
/** Blocks read and hashed at a time, for all who ask: a manifest has up to 4 MiB. */
const MAX_IN_FLIGHT = 16;
/** A CID in base32 has 59 characters, in other bases somewhat more or less. */
const MAX_CID_LENGTH = 128;

/**
 * `GET /ipfs/<cid>?format=raw`: one block of this store, as IPFS trustless gateways give it. Nothing is fetched from
 * elsewhere: what is not here is 404, and the asker goes to the next validator. Whoever asks checks the bytes.
 *
 * Chunks are weights, and HTTP encrypts nothing: so it is a server of its own, for who is in the pod or comes in by the
 * API server's port-forward.
 * @param block the bytes, hashed just now; undefined where they are not here
 */
export function createGateway(block: (cid: CID) => Promise<Uint8Array | undefined>): FastifyInstance {
  const http = createServer();
  let inFlight = 0;
  http.get<{ Params: { cid: string }; Querystring: { format?: unknown } }>('/ipfs/:cid', async (request, reply) => {
    const { format } = request.query;
    const accepted = format === undefined ? String(request.headers.accept ?? '').includes(RAW_BLOCK) : format === 'raw';
    if (!accepted) {
      return reply.code(406).send({ error: `Only raw blocks are served: add ?format=raw, or Accept: ${RAW_BLOCK}.` });
    }
    const cid = cidFrom(request.params.cid);
    if (cid === undefined) {
      return reply.code(400).send({ error: `"${request.params.cid.slice(0, MAX_CID_LENGTH)}" is no CID.` });
    }
    const etag = `"${cid}.raw"`;
    void reply.headers({
      'cache-control': 'public, max-age=29030400, immutable',
      etag,
      'x-ipfs-path': `/ipfs/${cid}`,
      'x-content-type-options': 'nosniff',
    });
    if (request.headers['if-none-match']?.includes(etag) === true) return reply.code(304).send();
    const answer = (code: number, error: string) =>
      reply.code(code).headers({ 'cache-control': 'no-store' }).removeHeader('etag').send({ error });
    if (inFlight >= MAX_IN_FLIGHT) {
      return answer(503, 'Too many blocks are being read; try again in a second, or ask another validator.');
    }
    inFlight += 1;
    try {
      const bytes = isBlockCid(cid) ? await block(cid) : undefined;
      if (bytes === undefined) return answer(404, `Block ${cid} is not here; another validator may have it.`);
      return reply
        .type(RAW_BLOCK)
        .header('content-disposition', `attachment; filename="${cid}.bin"`)
        .send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    } finally {
      inFlight -= 1;
    }
  });
  return http;
}

function cidFrom(text: string): CID | undefined {
  if (text.length > MAX_CID_LENGTH) return undefined;
  try {
    return CID.parse(text);
  } catch {
    return undefined; // any other text
  }
}
