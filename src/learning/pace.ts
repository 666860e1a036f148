import type { Random } from './random.ts';

/** How often to send. */
export interface Pace {
  /** Whether messages that come in are looked at at once, not at the end of the wait. */
  readonly reacts: boolean;
  /** Messages to send at the end of a wait. */
  proactive(): number;
  /** Messages to send because of one that came in. */
  reactive(isNews: boolean): number;
}

/** One message a wait, whatever comes. */
export const STEADY: Pace = { reacts: false, proactive: () => 1, reactive: () => 0 };

/**
 * A token account (Danner and Jelasity 2018, randomized): a wait earns a token or, the likelier the fuller the account,
 * sends; news sends as many as the account's A-th part. So news runs through a fleet like a hot potato, nobody sends
 * more than one message a wait for long, and what is lost on the way is made up for.
 */
export class TokenAccount implements Pace {
  readonly reacts = true;
  readonly #capacity: number;
  readonly #reserve: number;
  readonly #random: Random;
  #tokens = 0;

  /** @param options capacity C and reserve A */
  constructor(options: { readonly capacity: number; readonly reserve: number }, random: Random) {
    this.#capacity = options.capacity;
    this.#reserve = options.reserve;
    this.#random = random;
  }

  get tokens(): number {
    return this.#tokens;
  }

  proactive(): number {
    const [a, least] = [this.#tokens, this.#reserve - 1];
    const chance = a < least ? 0 : Math.min(1, (a - least) / (this.#capacity - least));
    if (this.#random() < chance) return 1;
    this.#tokens = Math.min(this.#capacity, a + 1);
    return 0;
  }

  reactive(isNews: boolean): number {
    if (!isNews) return 0;
    const exact = this.#tokens / this.#reserve;
    const whole = Math.floor(exact);
    const count = Math.min(this.#tokens, whole + (this.#random() < exact - whole ? 1 : 0));
    this.#tokens -= count;
    return count;
  }
}
