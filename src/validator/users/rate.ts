/** A bucket that fills by itself: so many at once, so many a second in the long run. */
export class Bucket {
  readonly #most: number;
  readonly #perSecond: number;
  #left: number;
  #at: number;

  /** @param now milliseconds, never going back */
  constructor(most: number, perSecond: number, now: number) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#left = most;
    this.#at = now;
  }

  /** Takes one, where there is one. */
  take(now: number): boolean {
    this.#fill(now);
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }

  /** Whether nothing was taken for so long that a new bucket would be the same. */
  isFull(now: number): boolean {
    this.#fill(now);
    return this.#left >= this.#most;
  }

  #fill(now: number): void {
    this.#left = Math.min(this.#most, this.#left + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
  }
}

/** A bucket for each of those who ask. Full ones are not remembered, so there are no more than have asked of late. */
export class Buckets {
  readonly #most: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  readonly #by = new Map<string, Bucket>();

  constructor(most: number, perSecond: number, now: () => number) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#now = now;
  }

  take(who: string): boolean {
    const now = this.#now();
    if (!this.#by.has(who)) for (const [other, bucket] of this.#by) if (bucket.isFull(now)) this.#by.delete(other);
    const bucket = this.#by.get(who) ?? new Bucket(this.#most, this.#perSecond, now);
    this.#by.set(who, bucket);
    return bucket.take(now);
  }
}
