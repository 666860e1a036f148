import type { BufferMap } from '../buffer-map.ts';

/** Chunks that are shown to one peer before others have them. */
const CREDIT = 4;

interface Shown {
  /** All that was ever shown to it. */
  readonly chunks: Set<number>;
  /** Shown to it, and nobody else has it yet. */
  readonly open: Set<number>;
}

/**
 * The first holder's modesty: it shows each chunk to one peer, a few a peer at a time, so that no chunk leaves it twice before
 * every chunk has left it once. A peer is shown the next one when another peer has what it was shown: who passes on gets more.
 * When every chunk was shown, the rarest are shown again. Super-seeding of BitTorrent (BEP 16), with more than one chunk a peer.
 */
export class Revealing {
  readonly #random: () => number;
  readonly #times: Uint16Array;
  readonly #peers = new Map<string, Shown>();

  constructor(chunks: number, random: () => number) {
    this.#times = new Uint16Array(chunks);
    this.#random = random;
  }

  /** What was shown to a peer. */
  shown(peer: string): ReadonlySet<number> {
    return this.#of(peer).chunks;
  }

  /** Peers that are shown something. */
  peers(): Iterable<string> {
    return this.#peers.keys();
  }

  /** A peer is gone: what only it was shown counts as not shown. */
  forget(peer: string): void {
    for (const chunk of this.#peers.get(peer)?.open ?? [])
      this.#times[chunk] = Math.max(0, (this.#times[chunk] ?? 1) - 1);
    this.#peers.delete(peer);
  }

  /** A peer has a chunk: whoever else was shown it has passed it on. Returns whose credit is back. */
  passedOn(chunk: number, to: string): readonly string[] {
    const back: string[] = [];
    for (const [peer, { open }] of this.#peers) if (peer !== to && open.delete(chunk)) back.push(peer);
    return back;
  }

  /**
   * Chunks to show a peer now.
   * @param theirs what it has
   * @param available how many peers have a chunk
   * @param more beyond its credit, where our uplink would stand still
   */
  next(peer: string, theirs: BufferMap, available: (chunk: number) => number, more = 0): readonly number[] {
    const { chunks, open } = this.#of(peer);
    const next: number[] = [];
    while (open.size < CREDIT || next.length < more) {
      const chunk = this.#choose(chunks, theirs, available);
      if (chunk === undefined) break;
      this.#times[chunk] = (this.#times[chunk] ?? 0) + 1;
      chunks.add(chunk);
      open.add(chunk);
      next.push(chunk);
    }
    return next;
  }

  /** Everything that a peer lacks and was not shown. It may be the only one that comes: others are shown the same again. */
  rest(peer: string, theirs: BufferMap): readonly number[] {
    const { chunks } = this.#of(peer);
    const rest: number[] = [];
    for (let chunk = 0; chunk < this.#times.length; chunk++)
      if (!chunks.has(chunk) && !theirs.has(chunk)) rest.push(chunk);
    for (const chunk of rest) chunks.add(chunk);
    return rest;
  }

  /** One that nobody has or was shown, by chance; then the rarest. */
  #choose(chunks: ReadonlySet<number>, theirs: BufferMap, available: (chunk: number) => number): number | undefined {
    let best: number | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let chunk = 0; chunk < this.#times.length; chunk++) {
      if (chunks.has(chunk) || theirs.has(chunk)) continue;
      const rank = available(chunk) * 64 + Math.min(this.#times[chunk] ?? 0, 63) + this.#random();
      if (rank >= bestRank) continue;
      best = chunk;
      bestRank = rank;
    }
    return best;
  }

  #of(peer: string): Shown {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const shown = { chunks: new Set<number>(), open: new Set<number>() };
    this.#peers.set(peer, shown);
    return shown;
  }
}
