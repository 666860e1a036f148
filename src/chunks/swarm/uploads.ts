/** Bytes that are under way to all peers together at least: enough to keep an uplink busy, little enough to choose late. */
const MIN_WINDOW_BYTES = 512 * 1024;
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/** The window holds what was acknowledged in so long. */
const WINDOW_MS = 200;
/** Chunks that one peer may have asked for and not got. */
export const MAX_WANTED = 128;

/** A chunk that a peer waits for. */
export interface Wanted {
  readonly version: string;
  /** The asker's number of the version. */
  readonly n: number;
  readonly index: number;
}

interface Asker {
  wanted: Wanted[];
  /** Under way to it, by `n/index`, the oldest first. */
  readonly sent: Map<string, { readonly bytes: number; readonly at: number }>;
  sentBytes: number;
  /** What it was served, over its weight; whoever has the least is next. */
  served: number;
  /** It takes no more for now. */
  isFull: boolean;
}

/**
 * Who is sent what next. What was sent counts until the receiver says that it has it: local buffers tell nothing of a slow
 * link. Pure but for the clock that is passed in.
 */
export class Uploads {
  readonly #now: () => number;
  readonly #weight: (peer: string) => number;
  readonly #askers = new Map<string, Asker>();
  #sentBytes = 0;
  /** Acknowledged lately, for the window. */
  #gotBytes = 0;
  #gotSince: number;
  #window = MIN_WINDOW_BYTES;
  /** What the least served one had when it was last served: where newcomers begin. */
  #floor = 0;

  /**
   * @param now milliseconds, never going back
   * @param weight a peer's share against others', above 0
   */
  constructor(now: () => number, weight: (peer: string) => number) {
    this.#now = now;
    this.#weight = weight;
    this.#gotSince = now();
  }

  /** Nobody waits, and nothing is under way that fills the uplink. */
  get isIdle(): boolean {
    if (this.#sentBytes * 2 > this.#window) return false;
    for (const { wanted } of this.#askers.values()) if (wanted.length > 0) return false;
    return true;
  }

  /** @returns false where it has asked for too much already, or for this one */
  want(peer: string, wanted: Wanted): boolean {
    const asker = this.#asker(peer);
    if (asker.wanted.length >= MAX_WANTED) return false;
    if (!asker.wanted.some(({ n, index }) => n === wanted.n && index === wanted.index)) asker.wanted.push(wanted);
    return true;
  }

  cancel(peer: string, n: number, isIt: (index: number) => boolean): void {
    const asker = this.#askers.get(peer);
    if (asker !== undefined) asker.wanted = asker.wanted.filter((one) => one.n !== n || !isIt(one.index));
  }

  /**
   * The next chunk to send, if there is room: of those who wait, to whom was served least; of what it wants, what left least often.
   * It counts as sent with `bytes` at once.
   */
  next(
    bytes: (wanted: Wanted) => number,
    times: (wanted: Wanted) => number,
  ): { readonly peer: string; readonly wanted: Wanted } | undefined {
    if (this.#sentBytes >= this.#window) return undefined;
    let weights = 0;
    for (const [id, { wanted, sentBytes }] of this.#askers)
      if (wanted.length > 0 || sentBytes > 0) weights += this.#weightOf(id);
    let peer: string | undefined;
    let asker: Asker | undefined;
    for (const [id, one] of this.#askers) {
      if (one.wanted.length === 0 || one.isFull) continue;
      // Its share of the window, but always one chunk.
      if (one.sentBytes > 0 && one.sentBytes >= (this.#window * this.#weightOf(id)) / weights) continue;
      if (asker === undefined || one.served < asker.served) [peer, asker] = [id, one];
    }
    if (peer === undefined || asker === undefined) return undefined;
    let at = 0;
    for (let i = 1; i < asker.wanted.length; i++)
      if (times(asker.wanted[i] as Wanted) < times(asker.wanted[at] as Wanted)) at = i;
    const [wanted] = asker.wanted.splice(at, 1);
    if (wanted === undefined) return undefined;
    const size = bytes(wanted);
    asker.sent.set(keyOf(wanted), { bytes: size, at: this.#now() });
    asker.sentBytes += size;
    this.#sentBytes += size;
    this.#floor = asker.served;
    asker.served += size / this.#weightOf(peer);
    return { peer, wanted };
  }

  /** It arrived, or was not sent after all. @returns whether it was under way */
  done(peer: string, n: number, index: number, arrived: boolean): boolean {
    const asker = this.#askers.get(peer);
    const key = keyOf({ n, index });
    const size = asker?.sent.get(key)?.bytes;
    if (asker === undefined || size === undefined) return false;
    asker.sent.delete(key);
    asker.sentBytes -= size;
    this.#sentBytes -= size;
    if (arrived) this.#measure(size);
    return true;
  }

  /** Whether anything is under way. */
  get isBusy(): boolean {
    return this.#sentBytes > 0;
  }

  /** Peers that have not said for so long that something has arrived. They take room from all others. */
  stuck(timeoutMs: number): readonly string[] {
    const before = this.#now() - timeoutMs;
    return [...this.#askers].flatMap(([peer, { sent }]) => {
      const [oldest] = sent.values();
      return oldest !== undefined && oldest.at < before ? [peer] : [];
    });
  }

  /** Whether a peer's buffers are full. */
  full(peer: string, isFull: boolean): void {
    const asker = this.#askers.get(peer);
    if (asker !== undefined) asker.isFull = isFull;
  }

  /** A peer is gone. */
  forget(peer: string): void {
    this.#sentBytes -= this.#askers.get(peer)?.sentBytes ?? 0;
    this.#askers.delete(peer);
  }

  #weightOf(peer: string): number {
    return Math.max(0.01, this.#weight(peer));
  }

  #measure(bytes: number): void {
    this.#gotBytes += bytes;
    const ms = this.#now() - this.#gotSince;
    if (ms < WINDOW_MS) return;
    const recent = (this.#gotBytes * WINDOW_MS) / ms;
    this.#window = Math.min(MAX_WINDOW_BYTES, Math.max(MIN_WINDOW_BYTES, recent));
    this.#gotBytes = 0;
    this.#gotSince = this.#now();
  }

  #asker(peer: string): Asker {
    const known = this.#askers.get(peer);
    if (known !== undefined) return known;
    const asker = { wanted: [], sent: new Map(), sentBytes: 0, served: this.#floor, isFull: false };
    this.#askers.set(peer, asker);
    return asker;
  }
}

const keyOf = ({ n, index }: Pick<Wanted, 'n' | 'index'>): string => `${n}/${index}`;
