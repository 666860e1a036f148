import type { Clock, Random } from './time.ts';

/** `high`: something happened. `low`: a start-up resync, which must not make a person wait. */
export type Priority = 'high' | 'low';

export interface AddOptions {
  /** Not before this many ms from now. Default 0. */
  readonly afterMs?: number | undefined;
  /** Default `high`. */
  readonly priority?: Priority | undefined;
}

/** Where the queue counts. */
export interface QueueMeter {
  added(): void;
  retried(): void;
  depth(priority: Priority, depth: number): void;
  /** Seconds from being ready to being taken. */
  waited(seconds: number): void;
  worked(seconds: number): void;
}

export interface WorkQueueInit {
  readonly clock: Clock;
  readonly random: Random;
  readonly meter?: QueueMeter | undefined;
  /** First delay of a failing key, ms. Default 5. */
  readonly backoffBaseMs?: number | undefined;
  /** Longest delay of a failing key before its jitter, ms. Default 16 min. */
  readonly backoffMaxMs?: number | undefined;
  /** While both wait, every n-th key taken is a low one, so that none waits for ever. Default 16. */
  readonly lowEvery?: number | undefined;
}

interface Entry {
  priority: Priority;
  /** Due at this time, ms on the monotonic clock. */
  due: number;
  /** Ready since; undefined while it is not due yet. */
  readySince: number | undefined;
}

/**
 * Keys that wait to be worked on.
 *
 * Guarantees: a key is handed out to one worker at a time; a key added while it is worked on is handed out once more
 * afterwards. A key waits at most once: of two times the earlier one wins, of two priorities the higher one. A failing
 * key comes back after 5 ms, 10 ms, ... 16 min, each with jitter, until `forget`.
 */
export class WorkQueue {
  readonly #init: WorkQueueInit;
  readonly #waiting = new Map<string, Entry>();
  readonly #ready: Readonly<Record<Priority, Set<string>>> = { high: new Set(), low: new Set() };
  readonly #delayed = new Heap();
  readonly #working = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  #cancelTimer: (() => void) | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #highInARow = 0;
  #stopped = false;

  constructor(init: WorkQueueInit) {
    this.#init = init;
  }

  /** Keys ready to be taken. */
  get depth(): number {
    return this.#ready.high.size + this.#ready.low.size;
  }

  /** Keys handed out and not done. */
  get working(): number {
    return this.#working.size;
  }

  /** Seconds since the first of the keys now worked on was taken, and the sum over all of them. */
  unfinished(): { readonly longest: number; readonly total: number } {
    const now = this.#init.clock.monotonic();
    let longest = 0;
    let total = 0;
    for (const since of this.#working.values()) {
      longest = Math.max(longest, (now - since) / 1000);
      total += (now - since) / 1000;
    }
    return { longest, total };
  }

  add(key: string, options: AddOptions = {}): void {
    if (this.#stopped) return;
    const { afterMs = 0, priority = 'high' } = options;
    const now = this.#init.clock.monotonic();
    const due = now + Math.max(0, afterMs);
    const entry = this.#waiting.get(key);
    if (entry === undefined) {
      const fresh: Entry = { priority, due, readySince: undefined };
      this.#waiting.set(key, fresh);
      this.#init.meter?.added();
      this.#place(key, fresh, now);
    } else {
      const sooner = due < entry.due;
      const higher = priority === 'high' && entry.priority === 'low';
      if (!sooner && !higher) return;
      if (entry.readySince !== undefined) {
        if (!higher) return;
        this.#ready.low.delete(key);
        this.#measure('low');
      }
      // A far-off low entry that someone wants soon, or a soon low one that someone wants high: keep the better of both.
      if (higher) entry.priority = 'high';
      if (sooner) entry.due = due;
      this.#place(key, entry, now);
    }
    this.#serve();
  }

  /** The next key, or `undefined` once the queue is stopped. */
  take(): Promise<string | undefined> {
    if (this.#stopped) return Promise.resolve(undefined);
    const key = this.#next();
    if (key !== undefined) return Promise.resolve(key);
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  /** The worker is through with `key`. */
  done(key: string): void {
    const since = this.#working.get(key);
    if (since === undefined) return;
    const now = this.#init.clock.monotonic();
    this.#working.delete(key);
    this.#init.meter?.worked((now - since) / 1000);
    const entry = this.#waiting.get(key);
    if (entry !== undefined) this.#place(key, entry, now);
    this.#serve();
  }

  /** Adds `key` after its backoff, which grows to `mostMs` at most; returns the delay, ms. */
  retry(key: string, priority: Priority = 'high', mostMs = Number.POSITIVE_INFINITY): number {
    const { backoffBaseMs = 5, backoffMaxMs = 16 * 60_000, random } = this.#init;
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    const afterMs = Math.min(mostMs, backoffMaxMs, backoffBaseMs * 2 ** Math.min(failures, 40)) * (1 + 0.5 * random());
    this.#init.meter?.retried();
    this.add(key, { afterMs, priority });
    return afterMs;
  }

  /** The key has succeeded: its next failure starts the backoff anew. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** How often `key` has failed in a row. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Hands out nothing more: everyone who waits in `take` gets `undefined`. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#waiting.clear();
    for (const priority of ['high', 'low'] as const) {
      this.#ready[priority].clear();
      this.#measure(priority);
    }
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  /** Puts an entry where it belongs now: nowhere while worked on, among the ready, or among the delayed. */
  #place(key: string, entry: Entry, now: number): void {
    if (this.#working.has(key)) return;
    if (entry.due <= now) {
      entry.readySince ??= now;
      this.#ready[entry.priority].add(key);
      this.#measure(entry.priority);
    } else {
      this.#delayed.push({ key, due: entry.due });
      this.#arm(now);
    }
  }

  /** Makes ready what has come due. Heap items of entries that moved since are skipped. */
  #ripen(): void {
    const now = this.#init.clock.monotonic();
    for (let top = this.#delayed.peek(); top !== undefined && top.due <= now; top = this.#delayed.peek()) {
      this.#delayed.pop();
      const entry = this.#waiting.get(top.key);
      if (entry !== undefined && entry.readySince === undefined && entry.due <= now) this.#place(top.key, entry, now);
    }
    this.#arm(now);
    this.#serve();
  }

  #arm(now: number): void {
    const due = this.#delayed.peek()?.due ?? Number.POSITIVE_INFINITY;
    if (due === this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = due;
    this.#cancelTimer =
      due === Number.POSITIVE_INFINITY
        ? undefined
        : this.#init.clock.after(Math.max(0, due - now), () => {
            this.#timerAt = Number.POSITIVE_INFINITY;
            this.#cancelTimer = undefined;
            this.#ripen();
          });
  }

  #serve(): void {
    while (this.#takers.length > 0) {
      const key = this.#next();
      if (key === undefined) return;
      this.#takers.shift()?.(key);
    }
  }

  #next(): string | undefined {
    const { high, low } = this.#ready;
    const lowsTurn = low.size > 0 && (high.size === 0 || this.#highInARow >= (this.#init.lowEvery ?? 16) - 1);
    const priority: Priority = lowsTurn ? 'low' : 'high';
    const [key] = this.#ready[priority];
    if (key === undefined) return undefined;
    this.#highInARow = lowsTurn ? 0 : this.#highInARow + 1;
    this.#ready[priority].delete(key);
    this.#measure(priority);
    const now = this.#init.clock.monotonic();
    const since = this.#waiting.get(key)?.readySince ?? now;
    this.#waiting.delete(key);
    this.#working.set(key, now);
    this.#init.meter?.waited((now - since) / 1000);
    return key;
  }

  #measure(priority: Priority): void {
    this.#init.meter?.depth(priority, this.#ready[priority].size);
  }
}

interface Timed {
  readonly key: string;
  readonly due: number;
}

/** A binary heap, soonest first. */
class Heap {
  readonly #items: Timed[] = [];

  peek(): Timed | undefined {
    return this.#items[0];
  }

  push(item: Timed): void {
    const items = this.#items;
    let at = items.push(item) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = items[up];
      if (parent === undefined || parent.due <= item.due) break;
      items[at] = parent;
      at = up;
    }
    items[at] = item;
  }

  pop(): Timed | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      const left = items[down];
      const right = items[down + 1];
      if (left === undefined) break;
      let child = left;
      if (right !== undefined && right.due < left.due) {
        down += 1;
        child = right;
      }
      if (child.due >= last.due) break;
      items[at] = child;
      at = down;
    }
    items[at] = last;
    return top;
  }
}
