import type { CID } from 'multiformats/cid';
import { MalformedError } from '../codec/index.ts';
import { DAG_CBOR } from './cid.ts';
import { type Clock, realClock } from './clock.ts';
import type { ChunkNetwork } from './exchange.ts';
import { FetchRun } from './fetch-run.ts';
import type { FetchOutcome, Misbehaviour, Source } from './fetch-source.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import type { ChunkStore } from './store.ts';

export interface ChunkFetcherOptions {
  readonly store: ChunkStore;
  readonly network: ChunkNetwork;
  /** A peer sent wrong or malformed bytes. It is not asked again for five minutes. */
  readonly onMisbehaviour?: (peer: string, why: Misbehaviour, detail: string) => void;
  /** How each request ended, for reputation. */
  readonly onOutcome?: (peer: string, outcome: FetchOutcome) => void;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Deadline of one request. Default 10 s. */
  readonly timeoutMs?: number;
  /** Requests under way to one peer. Default 2. */
  readonly perPeer?: number;
  /** Blocks in one request. Default 4. */
  readonly batch?: number;
  /** Give up when nothing came for so long. Default 60 s. */
  readonly stallMs?: number;
  /** When every missing block is under way, a second source is asked for one that is so late. Default 300 ms. */
  readonly endgameAfterMs?: number;
}

export interface FetchRequest {
  /** Which chunks of the version; what is here already is not fetched again. */
  readonly chunks: 'all' | readonly number[];
  /** Who may have them: asked again and again while the fetch runs, so sources may come and go. */
  readonly sources: () => readonly Source[];
  readonly signal?: AbortSignal;
  /** A chunk is in the store; called once an index, also for those that were there before. */
  readonly onChunk?: (index: number, cid: CID) => void;
}

export interface FetchResult {
  readonly manifest: Manifest;
  /** Chunks that came over the network. */
  readonly fetched: number;
  /** Chunks that were here before. */
  readonly present: number;
  /** Bytes that came, duplicates included. */
  readonly bytes: number;
  /** Bytes that came twice. */
  readonly duplicateBytes: number;
}

const AVOID_MS = 5 * 60 * 1000;

/**
 * Gets the blocks of a version from many peers at once: rarest first, a few requests a peer, a deadline each, endgame with at most
 * two sources a block. A block is in the store only after its bytes hashed to its CID; a peer that sent wrong ones is reported and
 * avoided, and the block is asked for elsewhere.
 */
export class ChunkFetcher {
  readonly #options: Required<Omit<ChunkFetcherOptions, 'onMisbehaviour' | 'onOutcome'>> & ChunkFetcherOptions;
  readonly #avoid = new Map<string, number>();

  constructor(options: ChunkFetcherOptions) {
    this.#options = {
      clock: realClock,
      random: Math.random,
      timeoutMs: 10_000,
      perPeer: 2,
      batch: 4,
      stallMs: 60_000,
      endgameAfterMs: 300,
      ...options,
    };
  }

  /**
   * Get a version's manifest and chunks into the store.
   * @throws FetchStalledError when nobody serves what is missing, VolumeFullError, MalformedError when the version's manifest is no
   * manifest, or the signal's reason
   */
  async fetch(manifestCid: CID, request: FetchRequest): Promise<FetchResult> {
    if (manifestCid.code !== DAG_CBOR)
      throw new MalformedError(`version ${manifestCid.toString()}`, 'its CID is not that of a manifest (dag-cbor)');
    const manifest = await this.manifest(manifestCid, request);
    const indexes = request.chunks === 'all' ? manifest.chunks.keys() : request.chunks;
    const wanted = new Map<string, { readonly cid: CID; readonly indexes: number[] }>();
    for (const index of new Set(indexes)) {
      const cid = manifest.chunks[index];
      if (cid === undefined)
        throw new RangeError(`chunk ${index} does not exist: the version has ${manifest.chunks.length}`);
      const entry = wanted.get(cid.toString()) ?? { cid, indexes: [] };
      entry.indexes.push(index);
      wanted.set(cid.toString(), entry);
    }
    let present = 0;
    for (const [key, { cid, indexes: at }] of [...wanted]) {
      request.signal?.throwIfAborted();
      if (!(await this.#options.store.check(cid))) continue;
      wanted.delete(key);
      present += at.length;
      for (const index of at) request.onChunk?.(index, cid);
    }
    const run = this.#run(manifestCid, [...wanted.values()], request);
    const { bytes, duplicateBytes } = await run.finish();
    const fetched = [...wanted.values()].reduce((sum, { indexes: at }) => sum + at.length, 0);
    return { manifest, fetched, present, bytes, duplicateBytes };
  }

  /** Get a version's manifest only. Throws as {@link ChunkFetcher.fetch}. */
  async manifest(manifestCid: CID, request: Pick<FetchRequest, 'sources' | 'signal'>): Promise<Manifest> {
    if (!(await this.#options.store.check(manifestCid)))
      await this.#run(manifestCid, [{ cid: manifestCid, indexes: [] }], request).finish();
    const block = await this.#options.store.get(manifestCid);
    if (block === undefined)
      throw new MalformedError(`version ${manifestCid.toString()}`, 'its manifest was lost from the disk just now');
    return decodeManifest(block);
  }

  #run(
    version: CID,
    blocks: readonly { readonly cid: CID; readonly indexes: readonly number[] }[],
    request: Pick<FetchRequest, 'sources' | 'signal' | 'onChunk'>,
  ): FetchRun {
    const { clock, onMisbehaviour, onOutcome } = this.#options;
    return new FetchRun({
      ...this.#options,
      version,
      blocks,
      signal: request.signal,
      onChunk: request.onChunk,
      sources: () => request.sources().filter(({ peer }) => (this.#avoid.get(peer) ?? 0) <= clock.now()),
      onOutcome: (peer, outcome, detail) => {
        if (outcome === 'malformed' || outcome === 'wrong-bytes' || outcome === 'oversize') {
          this.#avoid.set(peer, clock.now() + AVOID_MS);
          onMisbehaviour?.(peer, outcome, detail);
        }
        onOutcome?.(peer, outcome);
      },
    });
  }
}
