/** Time and chance are passed in, so that a test can hold both still. */

export interface Clock {
  /** Wall clock, ms since 1970. May jump: only for what others read (a Lease, an Event). */
  now(): number;
  /** Monotonic clock, ms since some start. Every deadline and every delay is measured on it. */
  monotonic(): number;
  /** Calls `run` once after `ms`; returns how to cancel it. */
  after(ms: number, run: () => void): () => void;
}

/** A number in [0, 1). */
export type Random = () => number;

const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), longestTimer));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or rejects with the signal's reason as soon as it is aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.after(ms, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Lets timers and I/O have their turn while there is much to do: reconciles that find nothing to do never wait for anything
 * by themselves, and thousands of them in a row would keep the answers to others' requests waiting. Those who pause go on
 * one after the other, first come first served, as many as there is time for before the next turn of timers and I/O.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #waiting: (() => void)[] = [];
  #since = Number.NEGATIVE_INFINITY;
  #armed = false;

  /** @param ms how long work goes on before the next pause, as far as those who work ask for it */
  constructor(clock: Clock, ms = 10) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** The pause to wait for before going on; undefined while there is time left. */
  pause(): Promise<void> | undefined {
    if (!this.#isOver()) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#arm();
    });
  }

  #isOver(): boolean {
    return this.#clock.monotonic() - this.#since >= this.#ms;
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    setImmediate(() => {
      this.#armed = false;
      this.#since = this.#clock.monotonic();
      this.#serve();
    });
  }

  #serve(): void {
    if (this.#waiting.length === 0) return;
    if (this.#isOver()) {
      this.#arm();
      return;
    }
    this.#waiting.shift()?.();
    // A tick that is asked for in a microtask comes when all microtasks are done: when that one waits for something.
    queueMicrotask(() => process.nextTick(() => this.#serve()));
  }
}

export interface BackoffInit {
  readonly clock: Clock;
  readonly random: Random;
  readonly baseMs: number;
  readonly maxMs: number;
  /** The series starts over when this long has passed since the last failure. */
  readonly resetAfterMs: number;
}

/** Exponential delays with full-width jitter: base, 2 x base, ... max, each times 0.5..1.5, never above max. */
export class Backoff {
  readonly #init: BackoffInit;
  #failures = 0;
  #lastFailure = Number.NEGATIVE_INFINITY;

  constructor(init: BackoffInit) {
    this.#init = init;
  }

  /** The series starts over: what was tried has worked. */
  forget(): void {
    this.#failures = 0;
  }

  /** Counts a failure; returns how many ms to wait before the next try. */
  next(): number {
    const { clock, random, baseMs, maxMs, resetAfterMs } = this.#init;
    const now = clock.monotonic();
    if (now - this.#lastFailure > resetAfterMs) this.#failures = 0;
    this.#lastFailure = now;
    const delay = Math.min(maxMs, baseMs * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.min(maxMs, delay * (0.5 + random()));
  }
}

/** A signal which aborts with its parents or at a deadline; `done` frees its timer and listeners. */
export interface Deadline {
  readonly signal: AbortSignal;
  abort(reason: unknown): void;
  done(): void;
}

/** AbortSignal.any keeps long-lived parents growing; this one lets go of them in `done`. */
export function deadline(
  clock: Clock,
  parents: readonly (AbortSignal | undefined)[],
  ms?: number,
  reason?: () => Error,
): Deadline {
  const controller = new AbortController();
  const undo: (() => void)[] = [];
  const abort = (why: unknown) => controller.abort(why);
  for (const parent of parents) {
    if (parent === undefined) continue;
    if (parent.aborted) {
      abort(parent.reason);
      continue;
    }
    const onAbort = () => abort(parent.reason);
    parent.addEventListener('abort', onAbort, { once: true });
    undo.push(() => parent.removeEventListener('abort', onAbort));
  }
  if (ms !== undefined) {
    undo.push(clock.after(ms, () => abort(reason?.() ?? new Error(`not done within ${Math.round(ms)} ms`))));
  }
  return {
    signal: controller.signal,
    abort,
    done() {
      for (const step of undo.splice(0)) step();
    },
  };
}
