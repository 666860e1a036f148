import type { Clock } from '../../../src/kube/index.ts';

/** A clock that stands still until it is moved. */
export class StillClock implements Clock {
  #now: number;
  #jumped = 0;
  readonly #timers: { readonly at: number; readonly run: () => void }[] = [];

  constructor(now = 1_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now + this.#jumped;
  }

  /** The wall clock is set, forwards or backwards; nothing passes. */
  jump(ms: number): void {
    this.#jumped += ms;
  }

  monotonic(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  /** Moves time on; runs what comes due, in order, and lets promises settle after each. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    while (this.#runNext(until)) await settle();
    this.#now = until;
    await settle();
  }

  /** As {@link pass}, without letting promises settle. */
  passAtOnce(ms: number): void {
    const until = this.#now + ms;
    while (this.#runNext(until));
    this.#now = until;
  }

  get timers(): number {
    return this.#timers.length;
  }

  /** Runs what comes due next, at its time. @returns whether there was something */
  #runNext(until: number): boolean {
    const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
    if (next === undefined) return false;
    this.#timers.splice(this.#timers.indexOf(next), 1);
    this.#now = Math.max(this.#now, next.at);
    next.run();
    return true;
  }
}

/** Lets everything that can go on without time go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
