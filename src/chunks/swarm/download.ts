import type { CID } from 'multiformats/cid';

/** Requests under way to one peer: at least, and for one that answers fast. */
const MIN_DEPTH = 3;
const MAX_DEPTH = 64;
/** As many as came in so long, so that a fast peer never waits for our next question. */
const DEPTH_MS = 250;
/** The first chunks are taken by chance: then there is something to give at once. */
const BY_CHANCE = 2;
/** Of so many that may be asked for, the rarest is taken; quick for 65 536 chunks too. */
const SAMPLE = 128;
/** Sources of one chunk at the end. */
const ENDGAME_SOURCES = 2;
/** Chunks that a peer may still send after we have stopped waiting for them. */
const MAX_LATE = 1_024;

/** A chunk that is to be had; the same bytes may stand at several places of a version. */
export interface Unit {
  readonly cid: CID;
  /** The first of its places: by this one it is asked for. */
  readonly index: number;
  readonly indexes: readonly number[];
}

/** What a download sees of the swarm. */
export interface DownloadInit {
  readonly units: readonly Unit[];
  /** Milliseconds, never going back. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Whether a peer said that it has a chunk. */
  readonly has: (peer: string, index: number) => boolean;
  /** How many peers said so. */
  readonly available: (index: number) => number;
  readonly want: (peer: string, at: readonly number[]) => void;
  readonly cancel: (peer: string, at: readonly number[]) => void;
}

interface Missing extends Unit {
  /** Whom it was asked of. */
  readonly sources: Set<Peer>;
  /** Its bytes are here and being written. */
  isWriting: boolean;
}

interface Peer {
  readonly id: string;
  readonly asked: Map<number, Missing>;
  /** Asked for and then not waited for. */
  readonly late: Set<number>;
  readonly lacks: Set<number>;
  /** When it last sent something, or began to be waited for. */
  since: number;
  /** Not asked before. */
  notBefore: number;
  failures: number;
  arrivals: number;
  arrivalsSince: number;
  depth: number;
}

/** Which chunks to ask whom for: one version's, from beginning to end. It sends and stores nothing itself. */
export class Download {
  readonly #o: DownloadInit;
  /** By index; those that are not here yet, being written ones included. */
  readonly #missing = new Map<number, Missing>();
  /** Those that nobody was asked for, in no order. */
  readonly #free: Missing[];
  readonly #peers = new Map<string, Peer>();
  #stored = 0;
  #lastProgress: number;

  constructor(init: DownloadInit) {
    this.#o = init;
    this.#free = init.units.map((unit) => ({ ...unit, sources: new Set<Peer>(), isWriting: false }));
    for (const unit of this.#free) this.#missing.set(unit.index, unit);
    this.#lastProgress = init.now();
  }

  /** Chunks that are not in the store yet. */
  get missing(): number {
    return this.#missing.size;
  }

  /** Milliseconds since a chunk came. */
  get stalledMs(): number {
    return this.#o.now() - this.#lastProgress;
  }

  /** Ask a peer for as much as it may be asked for now. */
  plan(id: string): void {
    const peer = this.#peer(id);
    const now = this.#o.now();
    if (peer.notBefore > now) return;
    const at: number[] = [];
    while (peer.asked.size < peer.depth) {
      const unit = this.#pick(peer);
      if (unit === undefined) break;
      if (peer.asked.size === 0) peer.since = now;
      unit.sources.add(peer);
      peer.asked.set(unit.index, unit);
      at.push(unit.index);
    }
    if (at.length > 0) this.#o.want(id, at);
  }

  /**
   * A chunk came. `wanted`: keep it, then say `stored` or `failed`; `late`: it is here already, or was given up; `unasked`: a lie.
   * @param isOwed whether the peer may have been asked by a download before this one
   */
  took(
    id: string,
    index: number,
    isOwed: () => boolean,
  ): { readonly is: 'wanted'; readonly cid: CID } | { readonly is: 'late' | 'unasked' } {
    const peer = this.#peers.get(id);
    const unit = peer?.asked.get(index);
    if (peer === undefined || unit === undefined) {
      if (peer?.late.delete(index) !== true && !isOwed()) return { is: 'unasked' };
      const missing = this.#missing.get(index);
      if (missing === undefined || missing.isWriting) return { is: 'late' };
      this.#accept(missing);
      return { is: 'wanted', cid: missing.cid };
    }
    this.#arrived(peer);
    peer.asked.delete(index);
    unit.sources.delete(peer);
    this.#accept(unit);
    return { is: 'wanted', cid: unit.cid };
  }

  /** Its bytes are in the store. Returns the places of the version that are complete now. */
  stored(index: number): readonly number[] {
    const unit = this.#missing.get(index);
    if (unit === undefined) return [];
    this.#missing.delete(index);
    this.#stored += 1;
    this.#lastProgress = this.#o.now();
    return unit.indexes;
  }

  /** Its bytes were wrong: it is to be had elsewhere. */
  failed(index: number): void {
    const unit = this.#missing.get(index);
    if (unit === undefined) return;
    unit.isWriting = false;
    this.#release(unit);
  }

  /** A peer does not send a chunk. */
  refused(id: string, index: number, why: 'busy' | 'not-here' | 'not-allowed'): void {
    const peer = this.#peers.get(id);
    const unit = peer?.asked.get(index);
    if (peer === undefined || unit === undefined) return;
    peer.asked.delete(index);
    unit.sources.delete(peer);
    if (why === 'busy') peer.notBefore = this.#o.now() + 100 + 200 * this.#o.random();
    else peer.lacks.add(index);
    this.#release(unit);
  }

  /** It says that it has them now. */
  has(id: string, at: readonly number[]): void {
    const lacks = this.#peers.get(id)?.lacks;
    if (lacks !== undefined && lacks.size > 0) for (const index of at) lacks.delete(index);
  }

  /** A peer is gone, or follows the version no longer. Returns how many chunks it may still send. */
  left(id: string): number {
    const peer = this.#peers.get(id);
    if (peer === undefined) return 0;
    this.#peers.delete(id);
    for (const unit of peer.asked.values()) {
      unit.sources.delete(peer);
      this.#release(unit);
    }
    return peer.asked.size + peer.late.size;
  }

  /** The download is over. Returns how many chunks a peer may still send. */
  abandon(id: string): number {
    const peer = this.#peers.get(id);
    if (peer === undefined) return 0;
    if (peer.asked.size > 0) this.#o.cancel(id, [...peer.asked.keys()]);
    return peer.asked.size + peer.late.size;
  }

  /** Peers that were asked and sent nothing for so long; what they were asked for is free again, and they are left alone for a while. */
  overdue(timeoutMs: number): readonly string[] {
    const now = this.#o.now();
    const late: string[] = [];
    for (const peer of this.#peers.values()) {
      if (peer.asked.size === 0 || now - peer.since < timeoutMs) continue;
      late.push(peer.id);
      peer.failures += 1;
      peer.notBefore = now + Math.min(30_000, 250 * 2 ** peer.failures) * (0.5 + this.#o.random() / 2);
      const at = [...peer.asked.keys()];
      this.#o.cancel(peer.id, at);
      for (const unit of peer.asked.values()) {
        unit.sources.delete(peer);
        this.#release(unit);
      }
      peer.asked.clear();
      this.#expectLate(peer, at);
    }
    return late;
  }

  #arrived(peer: Peer): void {
    const now = this.#o.now();
    peer.since = now;
    peer.failures = 0;
    peer.arrivals += 1;
    if (now - peer.arrivalsSince < DEPTH_MS) {
      peer.depth = Math.min(MAX_DEPTH, Math.max(peer.depth, peer.arrivals));
      return;
    }
    peer.depth = Math.min(
      MAX_DEPTH,
      Math.max(MIN_DEPTH, Math.round((peer.arrivals * DEPTH_MS) / (now - peer.arrivalsSince))),
    );
    peer.arrivals = 0;
    peer.arrivalsSince = now;
  }

  /** Nobody else need send it. */
  #accept(unit: Missing): void {
    unit.isWriting = true;
    this.#take(unit);
    for (const other of unit.sources) {
      other.asked.delete(unit.index);
      this.#expectLate(other, [unit.index]);
      this.#o.cancel(other.id, [unit.index]);
    }
    unit.sources.clear();
  }

  #expectLate(peer: Peer, at: readonly number[]): void {
    for (const index of at) {
      if (peer.late.size >= MAX_LATE) peer.late.delete(peer.late.values().next().value as number);
      peer.late.add(index);
    }
  }

  #pick(peer: Peer): Missing | undefined {
    const unit = this.#free.length > 0 ? this.#rarest(peer) : this.#atTheEnd(peer);
    if (unit !== undefined) this.#take(unit);
    return unit;
  }

  #rarest(peer: Peer): Missing | undefined {
    const { available, random } = this.#o;
    const free = this.#free;
    const start = Math.floor(random() * free.length);
    const byChance = this.#stored < BY_CHANCE;
    let best: Missing | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    let seen = 0;
    for (let step = 0; step < free.length && seen < SAMPLE; step++) {
      const unit = free[(start + step) % free.length] as Missing;
      if (!this.#mayAsk(peer, unit)) continue;
      if (byChance) return unit;
      seen += 1;
      const rank = available(unit.index) + random();
      if (rank < bestRank) [best, bestRank] = [unit, rank];
    }
    return best;
  }

  /** Everything is asked for: a second source for what is not here yet. */
  #atTheEnd(peer: Peer): Missing | undefined {
    let best: Missing | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (const unit of this.#missing.values()) {
      if (unit.isWriting || unit.sources.size >= ENDGAME_SOURCES || unit.sources.has(peer)) continue;
      if (!this.#mayAsk(peer, unit)) continue;
      const rank = this.#o.random();
      if (rank < bestRank) [best, bestRank] = [unit, rank];
    }
    return best;
  }

  #mayAsk(peer: Peer, unit: Missing): boolean {
    return !peer.lacks.has(unit.index) && this.#o.has(peer.id, unit.index);
  }

  #take(unit: Missing): void {
    const at = this.#free.indexOf(unit);
    if (at < 0) return;
    const last = this.#free.pop() as Missing;
    if (last !== unit) this.#free[at] = last;
  }

  #release(unit: Missing): void {
    if (unit.isWriting || unit.sources.size > 0 || this.#missing.get(unit.index) !== unit) return;
    if (!this.#free.includes(unit)) this.#free.push(unit);
  }

  #peer(id: string): Peer {
    const known = this.#peers.get(id);
    if (known !== undefined) return known;
    const now = this.#o.now();
    const peer: Peer = {
      id,
      asked: new Map(),
      late: new Set(),
      lacks: new Set(),
      since: now,
      notBefore: 0,
      failures: 0,
      arrivals: 0,
      arrivalsSince: now,
      depth: MIN_DEPTH,
    };
    this.#peers.set(id, peer);
    return peer;
  }
}
