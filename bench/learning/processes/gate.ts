import type { Count } from './contract.ts';

/**
 * Stands in the wait before each update of a validator, and so counts updates and stops it where it was told to: after
 * exactly so many, while all else in the process goes on.
 */
export class Gate {
  readonly #times: () => Omit<Count, 'updates'>;
  readonly #onHeld: (count: Count) => void;
  #limit = 0;
  #updates = -1;
  #last: Omit<Count, 'updates'> = { at: 0, cpuMs: 0 };
  #opened = Promise.withResolvers<void>();

  /**
   * @param times asked when an update is done
   * @param onHeld called when the next update has to wait for `open`
   */
  constructor(times: () => Omit<Count, 'updates'>, onHeld: (count: Count) => void) {
    this.#times = times;
    this.#onHeld = onHeld;
  }

  /** Updates that are done, and when the last of them was. */
  get count(): Count {
    return { updates: Math.max(0, this.#updates), ...this.#last };
  }

  /** Lets updates pass until there were so many in all. */
  open(limit: number): void {
    this.#limit = limit;
    this.#opened.resolve();
    this.#opened = Promise.withResolvers();
  }

  /** One is done, and the next is about to begin. Rejects when aborted while it is held. */
  async pass(signal: AbortSignal): Promise<void> {
    this.#updates += 1;
    this.#last = this.#times();
    if (this.#updates < this.#limit) return;
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    this.#onHeld(this.count);
    await Promise.race([this.#opened.promise, aborted.promise]).finally(() =>
      signal.removeEventListener('abort', abort),
    );
  }
}
