import type { Logger } from 'pino';
import { wordsOf } from './words.ts';

/** Functions to be told of one kind of event. One that throws is logged and does not keep the others from hearing. */
export class Listeners<A extends readonly unknown[]> {
  readonly #what: string;
  readonly #log: Logger;
  readonly #all = new Set<(...args: A) => void>();

  constructor(what: string, log: Logger) {
    this.#what = what;
    this.#log = log;
  }

  /** @returns a function that takes it out again */
  add(f: (...args: A) => void): () => void {
    this.#all.add(f);
    return () => {
      this.#all.delete(f);
    };
  }

  tell(...args: A): void {
    for (const f of [...this.#all]) {
      try {
        f(...args);
      } catch (error) {
        this.#log.error({ event: this.#what, reason: wordsOf(error) }, 'a listener failed');
      }
    }
  }
}
