import type { CID } from 'multiformats/cid';
import { type ChunkRequest, decodeRequest, encodeReply, MAX_BLOCKS_BYTES, type Refusal } from './exchange.ts';
import type { Holdings } from './holdings.ts';
import type { ChunkStore } from './store.ts';
import type { Block } from './version.ts';

export interface ChunkServerOptions {
  readonly store: ChunkStore;
  readonly holdings: Holdings;
  /** Whether a peer may have a block; everybody who got past the gater may, unless told. */
  readonly allowed?: (from: string, cid: CID) => boolean;
  /** Who else has a block, for a refusal (at most 8 are named). */
  readonly holders?: (version: CID, cid: CID) => readonly string[];
  /** Requests answered at once, for all peers together. Default 16. */
  readonly maxInFlight?: number;
  /** Requests answered at once for one peer. Default 4. */
  readonly maxPerPeer?: number;
  /** Told of what left: bytes of blocks to a peer. */
  readonly onServed?: (to: string, blocks: number, bytes: number) => void;
}

/** Answers {@link CHUNKS_PROTOCOL}. Every block is hashed when it is read from the store, so no unchecked byte leaves. */
export class ChunkServer {
  readonly #options: ChunkServerOptions;
  readonly #perPeer = new Map<string, number>();
  #inFlight = 0;

  constructor(options: ChunkServerOptions) {
    this.#options = options;
  }

  /**
   * The reply to one request of a peer.
   * @throws MalformedError when the request is malformed: the peer misbehaves and the stream is to be closed
   */
  async answer(requestBytes: Uint8Array, from: string): Promise<Uint8Array> {
    const request = decodeRequest(requestBytes);
    const mine = this.#perPeer.get(from) ?? 0;
    if (this.#inFlight >= (this.#options.maxInFlight ?? 16) || mine >= (this.#options.maxPerPeer ?? 4))
      return encodeReply({ blocks: [], refused: distinct(request.want).map((cid) => ({ cid, why: 'busy' as const })) });
    this.#inFlight++;
    this.#perPeer.set(from, mine + 1);
    try {
      return await this.#serve(request, from);
    } finally {
      this.#inFlight--;
      const left = (this.#perPeer.get(from) ?? 1) - 1;
      if (left === 0) this.#perPeer.delete(from);
      else this.#perPeer.set(from, left);
    }
  }

  async #serve(request: ChunkRequest, from: string): Promise<Uint8Array> {
    const { store, holdings, allowed, holders, onServed } = this.#options;
    const blocks: Block[] = [];
    const refused: Refusal[] = [];
    let bytesOut = 0;
    for (const cid of distinct(request.want)) {
      if (allowed !== undefined && !allowed(from, cid)) {
        refused.push({ cid, why: 'not-allowed' });
        continue;
      }
      if (bytesOut >= MAX_BLOCKS_BYTES) {
        refused.push({ cid, why: 'busy' });
        continue;
      }
      const bytes = await store.get(cid);
      if (bytes === undefined) {
        const known = holders?.(request.version, cid).slice(0, 8) ?? [];
        refused.push(known.length === 0 ? { cid, why: 'not-here' } : { cid, why: 'not-here', holders: known });
      } else if (blocks.length > 0 && bytesOut + bytes.byteLength > MAX_BLOCKS_BYTES) {
        refused.push({ cid, why: 'busy' });
      } else {
        blocks.push({ cid, bytes });
        bytesOut += bytes.byteLength;
      }
    }
    const reply = encodeReply({ blocks, refused, map: holdings.get(request.version)?.map });
    if (blocks.length > 0) onServed?.(from, blocks.length, bytesOut);
    return reply;
  }
}

function distinct(want: readonly CID[]): readonly CID[] {
  return [...new Map(want.map((cid) => [cid.toString(), cid])).values()];
}
