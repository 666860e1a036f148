import type { CID } from 'multiformats/cid';
import { MalformedError } from '../codec/index.ts';
import { matches } from './cid.ts';
import type { Clock } from './clock.ts';
import { FetchStalledError, WrongBytesError } from './errors.ts';
import {
  CHUNKS_PROTOCOL,
  type ChunkNetwork,
  type ChunkReply,
  decodeReply,
  encodeRequest,
  MAX_REPLY_BYTES,
} from './exchange.ts';
import { backOff, mayHave, newPeer, outcomeOf, type Peer, shuffle } from './fetch-peer.ts';
import type { FetchOutcome, Misbehaviour, Source } from './fetch-source.ts';
import { pick } from './picker.ts';
import type { ChunkStore } from './store.ts';
import type { Block } from './version.ts';

export interface FetchRunOptions {
  readonly store: ChunkStore;
  readonly network: ChunkNetwork;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  readonly perPeer: number;
  readonly batch: number;
  readonly stallMs: number;
  readonly endgameAfterMs: number;
  readonly version: CID;
  /** What is missing; the indexes are the places of a chunk in the version (none: a manifest). */
  readonly blocks: readonly { readonly cid: CID; readonly indexes: readonly number[] }[];
  readonly sources: () => readonly Source[];
  readonly signal: AbortSignal | undefined;
  readonly onChunk: ((index: number, cid: CID) => void) | undefined;
  readonly onOutcome: (peer: string, outcome: FetchOutcome, detail: string) => void;
}

interface Missing {
  readonly key: string;
  readonly cid: CID;
  readonly indexes: readonly number[];
  inFlight: number;
  since: number;
}

interface Request {
  readonly peer: Peer;
  readonly blocks: readonly Missing[];
  readonly cancel: AbortController;
}

/** Peers taken from refusals' hints, at most; the gater decides whether they may be talked to at all. */
const MAX_HINTED = 16;
/** How often sources are asked for again while nothing else happens. */
const POLL_MS = 250;

/** One fetch from beginning to end. Single use. */
export class FetchRun {
  readonly #o: FetchRunOptions;
  readonly #missing = new Map<string, Missing>();
  readonly #peers = new Map<string, Peer>();
  readonly #hinted = new Set<string>();
  readonly #requests = new Set<Request>();
  readonly #stop = new AbortController();
  #wake: () => void = () => undefined;
  #failure: unknown;
  #lastProgress: number;
  #bytes = 0;
  #duplicateBytes = 0;

  constructor(options: FetchRunOptions) {
    this.#o = options;
    for (const { cid, indexes } of options.blocks)
      this.#missing.set(cid.toString(), { key: cid.toString(), cid, indexes, inFlight: 0, since: 0 });
    this.#lastProgress = options.clock.now();
  }

  /** Run until every block is in the store. */
  async finish(): Promise<{ readonly bytes: number; readonly duplicateBytes: number }> {
    const { clock, signal, stallMs, version } = this.#o;
    const running = new Set<Promise<void>>();
    try {
      while (this.#missing.size > 0) {
        signal?.throwIfAborted();
        if (this.#failure !== undefined) throw this.#failure;
        const stalled = clock.now() - this.#lastProgress;
        if (stalled >= stallMs)
          throw new FetchStalledError(version.toString(), this.#missing.size, stalled, [...this.#peers.keys()]);
        this.#refreshSources();
        for (const request of this.#plan()) {
          const task = this.#perform(request).finally(() => running.delete(task));
          running.add(task);
        }
        await this.#pause();
      }
    } finally {
      this.#stop.abort();
      await Promise.allSettled(running);
    }
    return { bytes: this.#bytes, duplicateBytes: this.#duplicateBytes };
  }

  /** Until a request ends, the caller aborts, or it is time to look at the sources and late requests again. */
  async #pause(): Promise<void> {
    const timer = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const wake = (): void => this.#wake();
    this.#o.signal?.addEventListener('abort', wake, { once: true });
    try {
      await Promise.race([woken, this.#o.clock.sleep(POLL_MS, timer.signal).catch(() => undefined)]); // rejects only when aborted below
    } finally {
      timer.abort();
      this.#o.signal?.removeEventListener('abort', wake);
    }
  }

  #refreshSources(): void {
    for (const { peer, map } of this.#o.sources()) {
      const known = this.#peer(peer);
      if (map !== undefined && (known.map === undefined || !known.map.equals(map))) {
        known.map = map;
        known.lacks.clear();
      }
    }
  }

  #peer(id: string): Peer {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const peer = newPeer(id);
    this.#peers.set(id, peer);
    return peer;
  }

  /** New requests for every peer that has room for one. */
  *#plan(): Generator<Request> {
    const now = this.#o.clock.now();
    const ready = [...this.#peers.values()].filter((peer) => !peer.dropped && peer.notBefore <= now);
    shuffle(ready, this.#o.random);
    for (let round = 0; round < this.#o.perPeer; round++)
      for (const peer of ready) {
        if (peer.inFlight > round) continue;
        const request = this.#requestFor(peer, ready.length, now);
        if (request !== undefined) yield request;
      }
  }

  #requestFor(peer: Peer, peers: number, now: number): Request | undefined {
    const asked = new Set(
      [...this.#requests].filter((request) => request.peer === peer).flatMap(({ blocks }) => blocks),
    );
    const keys = pick({
      missing: [...this.#missing.values()],
      mayHave: (key) => this.#mayHave(peer, key) && !asked.has(this.#missing.get(key) as Missing),
      holders: (key) => [...this.#peers.values()].filter((other) => !other.dropped && this.#mayHave(other, key)).length,
      most: Math.max(1, Math.min(this.#o.batch, Math.ceil(this.#missing.size / Math.max(1, peers * this.#o.perPeer)))),
      now,
      endgameAfterMs: this.#o.endgameAfterMs,
      random: this.#o.random,
    });
    const blocks = keys.flatMap((key) => this.#missing.get(key) ?? []);
    if (blocks.length === 0) return undefined;
    for (const block of blocks) {
      if (block.inFlight === 0) block.since = now;
      block.inFlight++;
    }
    peer.inFlight++;
    const request = { peer, blocks, cancel: new AbortController() };
    this.#requests.add(request);
    return request;
  }

  #mayHave(peer: Peer, key: string): boolean {
    return mayHave(peer, key, this.#missing.get(key)?.indexes ?? []);
  }

  async #perform(request: Request): Promise<void> {
    const { network, timeoutMs, version } = this.#o;
    const { peer, blocks, cancel } = request;
    try {
      let answer: Uint8Array;
      try {
        answer = await network.request(
          peer.id,
          CHUNKS_PROTOCOL,
          encodeRequest(
            version,
            blocks.map((block) => block.cid),
          ),
          { timeoutMs, maxReplyBytes: MAX_REPLY_BYTES, signal: AbortSignal.any([this.#stop.signal, cancel.signal]) },
        );
      } catch (error) {
        if (this.#stop.signal.aborted || cancel.signal.aborted) return;
        const outcome = outcomeOf(error);
        const detail = error instanceof Error ? error.message : String(error);
        if (outcome === 'oversize') {
          this.#drop(peer, outcome, detail);
          return;
        }
        backOff(peer, this.#o.clock.now(), this.#o.random);
        this.#o.onOutcome(peer.id, outcome, detail);
        return;
      }
      peer.failures = 0;
      await this.#take(request, answer);
    } catch (error) {
      this.#failure ??= error; // a full or broken disk ends the run: no other peer can repair it
    } finally {
      peer.inFlight--;
      this.#requests.delete(request);
      for (const block of blocks) block.inFlight--;
      this.#wake();
    }
  }

  async #take(request: Request, answer: Uint8Array): Promise<void> {
    const { peer } = request;
    const asked = new Map(request.blocks.map((block) => [block.key, block]));
    let reply: ChunkReply;
    try {
      reply = decodeReply(answer);
      for (const { cid } of [...reply.blocks, ...reply.refused])
        if (!asked.has(cid.toString()))
          throw new MalformedError('a chunk reply', `it answers ${cid.toString()}, which was not asked for`);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#drop(peer, 'malformed', error.message);
      return;
    }
    if (reply.map !== undefined) peer.map = reply.map;
    await Promise.all(reply.blocks.map((received) => this.#keep(peer, asked, received)));
    if (peer.dropped) return;
    for (const { cid, why, holders } of reply.refused) this.#refused(peer, cid.toString(), why, holders ?? []);
    for (const key of asked.keys())
      if (this.#missing.has(key) && !reply.refused.some(({ cid }) => cid.toString() === key)) peer.lacks.add(key);
    this.#o.onOutcome(peer.id, reply.blocks.length > 0 ? 'ok' : 'refused', '');
  }

  async #keep(peer: Peer, asked: ReadonlyMap<string, Missing>, { cid, bytes }: Block): Promise<void> {
    const block = asked.get(cid.toString());
    if (block === undefined) return;
    this.#bytes += bytes.byteLength;
    try {
      if (this.#missing.has(block.key)) await this.#o.store.putVerified(cid, bytes);
      else if (!matches(cid, bytes)) throw new WrongBytesError(cid.toString(), bytes.byteLength);
    } catch (error) {
      if (!(error instanceof WrongBytesError)) throw error;
      this.#drop(peer, 'wrong-bytes', error.message);
      return;
    }
    if (!this.#done(block)) this.#duplicateBytes += bytes.byteLength;
  }

  #refused(peer: Peer, key: string, why: 'busy' | 'not-here' | 'not-allowed', holders: readonly string[]): void {
    if (why === 'busy') peer.notBefore = this.#o.clock.now() + 100 + 200 * this.#o.random();
    else peer.lacks.add(key);
    for (const holder of holders) {
      if (this.#peers.has(holder) || this.#hinted.size >= MAX_HINTED) continue;
      this.#hinted.add(holder);
      this.#peer(holder);
    }
  }

  #drop(peer: Peer, why: Misbehaviour, detail: string): void {
    if (peer.dropped) return;
    peer.dropped = true;
    for (const request of this.#requests) if (request.peer === peer) request.cancel.abort();
    this.#o.onOutcome(peer.id, why, detail);
  }

  #done(block: Missing): boolean {
    if (!this.#missing.delete(block.key)) return false;
    this.#lastProgress = this.#o.clock.now();
    for (const request of this.#requests)
      if (request.blocks.every(({ key }) => !this.#missing.has(key)) && request.blocks.includes(block)) {
        const finishedItself = request.blocks.length === 1 && block.inFlight === 1;
        if (!finishedItself) request.cancel.abort();
      }
    for (const index of block.indexes) this.#o.onChunk?.(index, block.cid);
    return true;
  }
}
