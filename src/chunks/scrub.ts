import type { Clock } from './clock.ts';

/**
 * What a look at one file found. `unreadable`: the disk gave an error, nothing is known of the bytes. `passed over`: it is gone,
 * or needs no first look any more.
 */
export type Look = 'sound' | 'corrupt' | 'unreadable' | 'passed over';

/** What a look at every file found. */
export interface Verification {
  readonly checked: number;
  /** Files whose bytes did not hash to their name; they are removed. */
  readonly corrupt: number;
}

/** What all looks since the store was opened found. */
export interface ScrubCounts {
  /** Files that were read and hashed. */
  readonly checked: number;
  readonly corrupt: number;
  /** Times that a file could not be read. */
  readonly unreadable: number;
  /** Times that every file was looked at. */
  readonly rounds: number;
  /** Milliseconds since the last of these ended; undefined before the first one has. */
  readonly sinceRoundMs: number | undefined;
}

export interface ScrubParts {
  readonly clock: Clock;
  /** Aborted to stop. */
  readonly signal: AbortSignal;
  /** Names of all files, always in roughly the same order. */
  readonly names: () => readonly string[];
  readonly usedBytes: () => number;
  /** Bytes of a file; undefined where it is gone. */
  readonly sizeOf: (name: string) => number | undefined;
  /** Reads and hashes a file, and removes it when it is corrupt. */
  readonly look: (name: string, when: 'first' | 'again') => Promise<Look>;
  /** Bytes hashed a second once every file was looked at; see {@link scrubRate}. */
  readonly bytesPerSecond: number | undefined;
  /** Remembers a name for the next process. Called now and then; must not throw. */
  readonly keepPlace: (name: string) => Promise<void>;
}

const HOUR_SECONDS = 3_600;
const DAY_SECONDS = 24 * HOUR_SECONDS;
const GIBIBYTE = 1024 ** 3;
/** Files read at once in the first round: one is hashed while others come from the disk. */
const FIRST_READERS = 4;
const PLACE_MILLISECONDS = 60_000;
/** Shorter pauses are put together. */
const SHORTEST_SLEEP_MILLISECONDS = 10;
/** Time that may be caught up after a pause was longer than asked for. */
const CATCH_UP_MILLISECONDS = 1_000;
/** Alarms that come sooner after one another are taken for the same. */
const ALARM_MILLISECONDS = 600_000;

/** Bytes a second that are hashed unless told: 1 GiB an hour, and never less than everything once a day. */
export const scrubRate = (usedBytes: number): number => Math.max(GIBIBYTE / HOUR_SECONDS, usedBytes / DAY_SECONDS);

/**
 * Looks at every file, again and again: the first time as fast as the disk gives them, since nothing is announced before, then
 * slowly, and at most once an hour, or at once and fast when one was found corrupt: it is seldom alone. A first round begins
 * where the process before came to, so that all files have their turn also where no process lives long enough for a round.
 *
 * Caveat: what the system still has in memory of a file is read from there; rot on the disk below shows when that is forgotten.
 */
export class Scrub {
  readonly #parts: ScrubParts;
  #checked = 0;
  #corrupt = 0;
  #unreadable = 0;
  #rounds = 0;
  #roundStartedAt: number;
  #roundEndedAt: number | undefined;
  /** Whether the round at hand, or else the next one, does not wait. */
  #isQuick = false;
  #alarmedAt = Number.NEGATIVE_INFINITY;
  #wake = new AbortController();
  #place: string | undefined;
  #keptPlace: string | undefined;
  #placeKeptAt: number;

  constructor(parts: ScrubParts) {
    this.#parts = parts;
    this.#roundStartedAt = parts.clock.now();
    this.#placeKeptAt = this.#roundStartedAt;
  }

  get counts(): ScrubCounts {
    return {
      checked: this.#checked,
      corrupt: this.#corrupt,
      unreadable: this.#unreadable,
      rounds: this.#rounds,
      sinceRoundMs: this.#roundEndedAt === undefined ? undefined : this.#parts.clock.now() - this.#roundEndedAt,
    };
  }

  /**
   * The first round: of all files that nobody has asked for meanwhile.
   * @param place the name that an earlier process came to
   */
  async first(place?: string): Promise<Verification> {
    const { names, signal } = this.#parts;
    const all = names();
    const from = place === undefined ? 0 : Math.max(0, all.indexOf(place));
    const rest = [...all.slice(from), ...all.slice(0, from)].values();
    const reader = async (): Promise<void> => {
      for (const name of rest) {
        if (signal.aborted) return;
        await this.#look(name, 'first');
        await turn();
      }
    };
    await Promise.all(Array.from({ length: FIRST_READERS }, reader));
    this.#isQuick = false;
    this.#endRound();
    return { checked: this.#checked, corrupt: this.#corrupt };
  }

  /** Round after round until aborted. Call it when the first one has ended. */
  async forever(): Promise<void> {
    const { clock, signal } = this.#parts;
    while (!signal.aborted) {
      await this.#sleep(this.#roundStartedAt + HOUR_SECONDS * 1000 - clock.now());
      this.#roundStartedAt = clock.now();
      await this.#round();
      this.#isQuick = false;
      this.#endRound();
    }
  }

  /** A file was found corrupt, by this check or by somebody who asked for it: the others are looked at without delay. */
  alarm(): void {
    const now = this.#parts.clock.now();
    if (now - this.#alarmedAt < ALARM_MILLISECONDS) return;
    this.#alarmedAt = now;
    this.#isQuick = true;
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Remembers the place that this process came to. */
  async keepPlace(): Promise<void> {
    this.#placeKeptAt = this.#parts.clock.now();
    if (this.#place === undefined || this.#place === this.#keptPlace) return;
    this.#keptPlace = this.#place;
    await this.#parts.keepPlace(this.#place);
  }

  async #round(): Promise<void> {
    const { clock, signal, names, sizeOf, usedBytes, bytesPerSecond } = this.#parts;
    let due = clock.now();
    for (const name of names()) {
      if (signal.aborted) return;
      const bytes = sizeOf(name) ?? 0;
      await this.#look(name, 'again');
      due = Math.max(due, clock.now() - CATCH_UP_MILLISECONDS);
      due += (1000 * bytes) / (bytesPerSecond ?? scrubRate(usedBytes()));
      const wait = this.#isQuick ? 0 : due - clock.now();
      if (wait >= SHORTEST_SLEEP_MILLISECONDS) await this.#sleep(wait);
      else await turn();
    }
  }

  async #look(name: string, when: 'first' | 'again'): Promise<void> {
    const { clock, look } = this.#parts;
    const found = await look(name, when);
    if (found === 'sound' || found === 'corrupt') this.#checked++;
    if (found === 'corrupt') this.#corrupt++;
    if (found === 'unreadable') this.#unreadable++;
    this.#place = name;
    if (clock.now() - this.#placeKeptAt >= PLACE_MILLISECONDS) await this.keepPlace();
  }

  #endRound(): void {
    if (this.#parts.signal.aborted) return;
    this.#rounds++;
    this.#roundEndedAt = this.#parts.clock.now();
  }

  /** Ends early at an alarm. */
  async #sleep(milliseconds: number): Promise<void> {
    const { clock, signal } = this.#parts;
    if (milliseconds <= 0 || this.#isQuick || signal.aborted) return;
    const until = AbortSignal.any([signal, this.#wake.signal]);
    try {
      await clock.sleep(milliseconds, until);
    } catch (error) {
      if (!until.aborted) throw error;
    }
  }
}

/** Lets the network have its turn between two files. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
