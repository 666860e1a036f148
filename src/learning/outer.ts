import type { Opened, Own, Parcel, Strategy } from './strategy.ts';

export interface OuterOptions {
  /** Size of an outer step: how much of the mean change is taken. */
  readonly learningRate: number;
  /** How much of the step before goes on. */
  readonly momentum: number;
  /** How fast slow weights come together, 0: never, 1: at once. */
  readonly consensus: number;
}

/**
 * Gossip learning with momentum (NoLoCo, arXiv 2506.10911). A validator trains from its slow weights phi to theta and
 * sends phi and the change D = theta - phi. With what came in since, it takes one outer step: over oneself and the
 * senders, d <- momentum d + learningRate mean(D) - consensus (phi - mean phi); phi <- phi + d. Nobody waits: who heard
 * nothing takes the step alone.
 */
export class OuterStrategy implements Strategy {
  readonly models = 2;
  readonly #options: OuterOptions;
  readonly #slow: Float32Array;
  readonly #step: Float32Array;
  /** Sums over senders of phi_j - phi and of D_j - D, each times its force. */
  readonly #apart: Float32Array;
  readonly #unlike: Float32Array;
  #heard = 0;
  #age = 0;
  #isTrained = false;

  constructor(size: number, options: OuterOptions) {
    this.#options = options;
    this.#slow = new Float32Array(size);
    this.#step = new Float32Array(size);
    this.#apart = new Float32Array(size);
    this.#unlike = new Float32Array(size);
  }

  reset(own: Own): void {
    this.#slow.set(own.flat);
    this.#step.fill(0);
    this.#forget();
    this.#isTrained = false;
  }

  outgoing(own: Own): Parcel {
    return { way: 'peer', age: own.age, weights: this.#slow, change: difference(own.flat, this.#slow) };
  }

  open(own: Own, parcel: Parcel): Opened | string {
    const { way, weights, change, part } = parcel;
    if (way !== 'peer' || weights === undefined || change === undefined || part !== undefined) {
      return 'it is of another strategy';
    }
    const flat = weights.map((phi, i) => phi + (change[i] as number));
    // A newcomer takes over what the fleet knows.
    return { parcel, flat, share: own.age === 0 && parcel.age > 0 ? 1 : 0.5 };
  }

  merge(own: Own, { parcel, share }: Opened, force: number): void {
    const { weights, change, age } = parcel;
    if (weights === undefined || change === undefined) return;
    if (share === 1) {
      own.flat.set(weights);
      own.age = age;
      this.reset(own);
      return;
    }
    for (let i = 0; i < this.#slow.length; i++) {
      const [phi, theta] = [this.#slow[i] as number, own.flat[i] as number];
      this.#apart[i] = (this.#apart[i] as number) + force * ((weights[i] as number) - phi);
      this.#unlike[i] = (this.#unlike[i] as number) + force * ((change[i] as number) - (theta - phi));
    }
    this.#heard++;
    this.#age = Math.max(this.#age, age);
  }

  prepare(own: Own): boolean {
    if (!this.#isTrained) {
      // Weights that were never trained, or came from outside, are where the first step starts.
      this.#slow.set(own.flat);
      return true;
    }
    const { learningRate, momentum, consensus } = this.#options;
    const all = this.#heard + 1;
    for (let i = 0; i < this.#slow.length; i++) {
      const phi = this.#slow[i] as number;
      const change = (own.flat[i] as number) - phi + (this.#unlike[i] as number) / all;
      const step =
        momentum * (this.#step[i] as number) + learningRate * change + (consensus * (this.#apart[i] as number)) / all;
      this.#step[i] = step;
      this.#slow[i] = phi + step;
    }
    own.flat.set(this.#slow);
    own.age = Math.max(own.age, this.#age);
    this.#forget();
    return true;
  }

  trained(): void {
    this.#isTrained = true;
  }

  #forget(): void {
    this.#apart.fill(0);
    this.#unlike.fill(0);
    this.#heard = 0;
    this.#age = 0;
  }
}

/** a - b */
export function difference(a: Float32Array, b: Float32Array): Float32Array {
  return a.map((x, i) => x - (b[i] as number));
}
