import type { Clock } from './time.ts';

/**
 * Whether writes may leave this process. The client asks before each write, asks again in the moment before its first
 * byte leaves (a process may be frozen in between, or the write may wait for a connection), and cuts the write's deadline
 * to what is left, so that no write can be under way when another process may already lead.
 */
export interface Fence {
  /** How many ms writes are still allowed, on the monotonic clock; 0 or less when they are not; Infinity for no fence. */
  remainingMs(): number;
}

/** No fence: a process that is alone by construction. */
export const open: Fence = { remainingMs: () => Number.POSITIVE_INFINITY };

/** A fence that an elector moves forward at each renewal. Closed at first. */
export class LeaseFence implements Fence {
  readonly #clock: Clock;
  #until = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  remainingMs(): number {
    return this.#until - this.#clock.monotonic();
  }

  /** Writes are allowed until `monotonic` (ms on the monotonic clock). */
  allowUntil(monotonic: number): void {
    this.#until = monotonic;
  }

  close(): void {
    this.#until = Number.NEGATIVE_INFINITY;
  }
}
