import { type MergeRule, mergeInto, mergeShare } from './merge.ts';
import { type Opened, type Own, type Parcel, rangeOf, type Strategy } from './strategy.ts';

/**
 * Gossip learning, Algorithm 1 (Ormandi, Hegedus, Jelasity 2013): models merged by age, whose age is the maximum.
 * With more than one part, parts travel in turn and each has an age of its own (Hegedus, Danner, Jelasity 2021), so
 * that a part that came late weighs what it knows.
 */
export class GossipStrategy implements Strategy {
  readonly models = 1;
  readonly #rule: MergeRule;
  readonly #ages: number[];
  #next = 0;

  /** @param parts runs of weights, of which one travels at a time */
  constructor(rule: MergeRule, parts = 1) {
    this.#rule = rule;
    this.#ages = new Array<number>(parts).fill(0);
  }

  reset(own: Own): void {
    this.#ages.fill(own.age);
  }

  outgoing(own: Own): Parcel {
    const of = this.#ages.length;
    if (of === 1) return { way: 'peer', age: own.age, weights: own.flat };
    const part = { index: this.#next, of };
    this.#next = (this.#next + 1) % of;
    const [from, to] = rangeOf(part, own.flat.length);
    return { way: 'peer', age: this.#ages[part.index] ?? 0, part, weights: own.flat.subarray(from, to) };
  }

  open(own: Own, parcel: Parcel): Opened | string {
    const { part = { index: 0, of: 1 }, weights, age } = parcel;
    if (parcel.way !== 'peer' || weights === undefined) return 'it is of another strategy';
    if (part.of !== this.#ages.length) return `it is one part of ${part.of}, here there are ${this.#ages.length}`;
    let flat = weights;
    if (part.of > 1) {
      flat = own.flat.slice();
      flat.set(weights, rangeOf(part, flat.length)[0]);
    }
    return { parcel, flat, share: mergeShare(this.#rule, this.#ages[part.index] ?? 0, age) };
  }

  merge(own: Own, { parcel, flat, share }: Opened, force: number): void {
    const { index, of } = parcel.part ?? { index: 0, of: 1 };
    const [from, to] = rangeOf({ index, of }, flat.length);
    mergeInto(own.flat.subarray(from, to), flat.subarray(from, to), share * force);
    this.#ages[index] = Math.max(this.#ages[index] ?? 0, parcel.age);
    own.age = Math.max(own.age, parcel.age);
  }

  prepare(): boolean {
    return true;
  }

  trained(_own: Own, steps: number): void {
    for (let i = 0; i < this.#ages.length; i++) this.#ages[i] = (this.#ages[i] ?? 0) + steps;
  }
}
