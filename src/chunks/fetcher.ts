import type { CID } from 'multiformats/cid';
import { MalformedError } from '../codec/index.ts';
import { BLOCK_PROTOCOL, decodeBlockReply, encodeBlockRequest, MAX_BLOCK_REPLY_BYTES } from './block.ts';
import { DAG_CBOR } from './cid.ts';
import { type Clock, realClock } from './clock.ts';
import { FetchStalledError, WrongBytesError } from './errors.ts';
import type { Holdings } from './holdings.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { type ChunkNetwork, isOversize, type Misbehaviour } from './network.ts';
import type { ChunkStore } from './store.ts';
import type { Unit } from './swarm/download.ts';
import type { Swarm } from './swarm/swarm.ts';

export interface ChunkFetcherOptions {
  readonly store: ChunkStore;
  readonly holdings: Holdings;
  readonly swarm: Pick<Swarm, 'download' | 'isAvoided' | 'report'>;
  /** For manifests; chunks come through the swarm. */
  readonly network: ChunkNetwork;
  /** Chunks that were asked for have come, all of them, and are durable. */
  readonly onFetched?: () => void;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Deadline of a question for a manifest. Default 10 s. */
  readonly timeoutMs?: number;
  /** Give up on a manifest when nobody gave it for so long. Default 60 s. */
  readonly stallMs?: number;
}

export interface FetchRequest {
  /** Which chunks of the version; what is here already is not fetched again. */
  readonly chunks: 'all' | readonly number[];
  /** Who may have them: asked again and again while the fetch runs, so sources may come and go. */
  readonly sources: () => readonly string[];
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

/** Somebody else is asked when one has not answered for so long. */
const NEXT_AFTER_MS = 500;
/** Peers asked at a time. */
const ASKED_AT_ONCE = 3;
/** How soon the same peers are asked again, when none had it. */
const AGAIN_MS = 250;

/** Gets versions: the manifest from one peer, its chunks from the swarm. */
export class ChunkFetcher {
  readonly #options: Required<ChunkFetcherOptions>;
  readonly #underWay = new Map<string, Promise<unknown>>();

  constructor(options: ChunkFetcherOptions) {
    this.#options = {
      onFetched: () => undefined,
      clock: realClock,
      random: Math.random,
      timeoutMs: 10_000,
      stallMs: 60_000,
      ...options,
    };
  }

  /**
   * Get a version's manifest and chunks into the store, durably. It is followed from then on.
   * @throws FetchStalledError when nobody serves what is missing, VolumeFullError, MalformedError when the version's manifest is no
   * manifest, or the signal's reason
   */
  async fetch(manifestCid: CID, request: FetchRequest): Promise<FetchResult> {
    const { store, holdings, swarm, onFetched } = this.#options;
    const { sources, signal, onChunk } = request;
    const manifest = await this.manifest(manifestCid, request);
    holdings.follow(manifestCid, manifest);
    const indexes = request.chunks === 'all' ? manifest.chunks.keys() : request.chunks;
    const wanted = new Map<string, { readonly cid: CID; readonly index: number; readonly indexes: number[] }>();
    for (const index of new Set(indexes)) {
      const cid = manifest.chunks[index];
      if (cid === undefined)
        throw new RangeError(`chunk ${index} does not exist: the version has ${manifest.chunks.length}`);
      const unit = wanted.get(cid.toString());
      if (unit === undefined) wanted.set(cid.toString(), { cid, index, indexes: [index] });
      else unit.indexes.push(index);
    }
    return this.#alone(manifestCid, signal, async () => {
      const units: Unit[] = [];
      let [present, fetched] = [0, 0];
      for (const unit of wanted.values()) {
        signal?.throwIfAborted();
        if (!(await store.check(unit.cid))) {
          units.push(unit);
          fetched += unit.indexes.length;
          continue;
        }
        present += unit.indexes.length;
        for (const index of unit.indexes) onChunk?.(index, unit.cid);
      }
      const { bytes, duplicateBytes } = await swarm.download(manifestCid, { units, sources, signal, onChunk });
      await store.flush();
      if (fetched > 0) onFetched();
      return { manifest, fetched, present, bytes, duplicateBytes };
    });
  }

  /** Get a version's manifest only. Throws as {@link ChunkFetcher.fetch}. */
  async manifest(cid: CID, request: Pick<FetchRequest, 'sources' | 'signal'>): Promise<Manifest> {
    if (cid.code !== DAG_CBOR)
      throw new MalformedError(`version ${cid.toString()}`, 'its CID is not that of a manifest (dag-cbor)');
    const { store } = this.#options;
    if (!(await store.check(cid))) await this.#block(cid, request);
    const block = await store.get(cid);
    if (block === undefined)
      throw new MalformedError(`version ${cid.toString()}`, 'its manifest was lost from the disk just now');
    return decodeManifest(block);
  }

  /** One fetch of a version at a time: the second finds what the first has got. */
  async #alone<T>(version: CID, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const key = version.toString();
    for (let before = this.#underWay.get(key); before !== undefined; before = this.#underWay.get(key)) {
      await untilAborted(
        before.catch(() => undefined),
        signal,
      );
    }
    const working = work().finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, working);
    return working;
  }

  /** A block from whoever gives it first: a few are asked, each a while after the other, round and round. */
  async #block(cid: CID, { sources, signal }: Pick<FetchRequest, 'sources' | 'signal'>): Promise<void> {
    const { clock, random, stallMs, store, swarm } = this.#options;
    const begun = clock.now();
    const over = new AbortController();
    const until = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
    const asking = new Map<string, Promise<void>>();
    const asked = new Set<string>();
    let round = new Set<string>();
    let failure: unknown;
    try {
      while (!store.has(cid)) {
        signal?.throwIfAborted();
        if (failure !== undefined) throw failure;
        const ms = clock.now() - begun;
        if (ms >= stallMs) throw new FetchStalledError(cid.toString(), 1, ms, [...asked]);
        const left = sources().filter((peer) => !round.has(peer) && !swarm.isAvoided(peer));
        const peer = asking.size < ASKED_AT_ONCE ? left[Math.floor(random() * left.length)] : undefined;
        if (peer !== undefined) {
          round.add(peer);
          asked.add(peer);
          const answer = this.#ask(peer, cid, until)
            .catch((error: unknown) => {
              failure = error;
            })
            .finally(() => asking.delete(peer));
          asking.set(peer, answer);
        } else if (asking.size === 0) round = new Set();
        const pause = new AbortController();
        const wait = clock.sleep(asking.size === 0 ? AGAIN_MS : NEXT_AFTER_MS, AbortSignal.any([until, pause.signal]));
        await Promise.race([wait.catch(() => undefined), ...asking.values()]);
        pause.abort();
      }
    } finally {
      over.abort();
      await Promise.allSettled(asking.values());
    }
  }

  /** Rejects only when the store cannot take what is right. */
  async #ask(peer: string, cid: CID, signal: AbortSignal): Promise<void> {
    const { network, store, swarm, timeoutMs } = this.#options;
    const tell = (why: Misbehaviour, detail: string): void => swarm.report(peer, why, detail);
    let answer: Uint8Array;
    try {
      const options = { timeoutMs, maxReplyBytes: MAX_BLOCK_REPLY_BYTES, signal };
      answer = await network.request(peer, BLOCK_PROTOCOL, encodeBlockRequest(cid), options);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      if (!signal.aborted && isOversize(error)) tell('oversize', detail);
      return; // how it ended was told to whoever counts interactions, by the network
    }
    try {
      const bytes = decodeBlockReply(answer);
      if (bytes !== undefined) await store.putVerified(cid, bytes);
    } catch (error) {
      if (error instanceof MalformedError) tell('malformed', error.message);
      else if (error instanceof WrongBytesError) tell('wrong-bytes', error.message);
      else throw error;
    }
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
