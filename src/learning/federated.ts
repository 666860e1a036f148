import { mergeInto, mergeShare } from './merge.ts';
import { difference } from './outer.ts';
import type { Opened, Own, Parcel, Relation, Strategy, Way } from './strategy.ts';

/**
 * Federated averaging (McMahan et al. 2017), both sides of it, and groups of it. A member trains once on each model
 * that comes down and sends up what that changed; an aggregator is a member too, and closes a round when its routing
 * lets it send down: the mean of what came up is the next model. Between aggregators of groups models are merged by
 * age, at the end of a round, so that everybody of a group starts from the same weights.
 *
 * A round is known by the age of the model that it starts from, which only grows. An aggregator that is behind (it was
 * away) is told so: the next message up brings it the newer model instead of a change.
 */
export class FederatedStrategy implements Strategy {
  readonly models = 1;
  /** The model that this round starts from. */
  readonly #start: Float32Array;
  /** Age of `#start`; own.age is that of the weights trained from it. */
  #base = 0;
  #isTrainedHere = false;
  #isToldUp = false;
  #isLeaderBehind = false;
  /** Sum over members of (their weights - start), and how many. */
  readonly #sum: Float32Array;
  #answers = 0;
  /** Whether members answered in the last round: an aggregator that is followed takes over nobody's model. */
  #isFollowed = false;
  /** Greatest age among the answers. */
  #age = 0;
  /** Models of other groups. */
  #fromGroups: { readonly flat: Float32Array; readonly age: number; readonly force: number }[] = [];

  constructor(size: number) {
    this.#start = new Float32Array(size);
    this.#sum = new Float32Array(size);
  }

  reset(own: Own): void {
    this.#start.set(own.flat);
    this.#begin(own.age);
  }

  outgoing(own: Own, way: Way): Parcel | undefined {
    if (way === 'peer') return { way, age: this.#base, weights: this.#start };
    if (way === 'down') {
      this.#close(own);
      return { way, age: this.#base, weights: this.#start };
    }
    if (this.#isLeaderBehind) {
      this.#isLeaderBehind = false;
      return { way, age: this.#base, weights: this.#start };
    }
    if (!this.#isTrainedHere || this.#isToldUp) return undefined;
    this.#isToldUp = true;
    return { way, age: own.age, base: this.#base, change: difference(own.flat, this.#start) };
  }

  open(_own: Own, parcel: Parcel, from: Relation): Opened | string {
    const { way, age, base, weights, change, part } = parcel;
    if (part !== undefined) return 'it is of another strategy';
    if (way === 'up' && from === 'member' && change !== undefined) {
      if (base !== this.#base) return `its round started at age ${base}, this one at ${this.#base}`;
      return { parcel, flat: this.#start.map((w, i) => w + (change[i] as number)), share: 0.5 };
    }
    if (weights === undefined) return 'it is of another strategy';
    if (way === 'peer' && from === 'peer') {
      return { parcel, flat: weights, share: mergeShare({ kind: 'ageWeighted' }, this.#base, age) };
    }
    // Down from one's aggregator; or to an aggregator, from whoever led while it was away.
    const isHandover = way !== 'peer' && from === 'member' && age > this.#base && !this.#isFollowed;
    if ((way === 'down' && from === 'leader') || isHandover) {
      if (age < this.#base) {
        this.#isLeaderBehind = true;
        return `it has age ${age}, here is a model of age ${this.#base}`;
      }
      return { parcel, flat: weights, share: 1, isWhole: true };
    }
    return 'its sender is no aggregator of this validator';
  }

  merge(own: Own, { parcel, flat, share }: Opened, force: number): void {
    if (parcel.way === 'peer') {
      this.#fromGroups.push({ flat, age: parcel.age, force: share * force });
    } else if (parcel.change !== undefined) {
      this.#answer(parcel.change, parcel.age, force);
      this.#isFollowed = true;
    } else {
      own.flat.set(flat);
      own.age = parcel.age;
      this.reset(own);
    }
  }

  prepare(own: Own): boolean {
    if (this.#isTrainedHere) return false;
    own.flat.set(this.#start);
    own.age = this.#base;
    return true;
  }

  trained(): void {
    this.#isTrainedHere = true;
  }

  #answer(change: Float32Array, age: number, force: number): void {
    for (let i = 0; i < change.length; i++) this.#sum[i] = (this.#sum[i] as number) + force * (change[i] as number);
    this.#answers++;
    this.#age = Math.max(this.#age, age);
  }

  #close(own: Own): void {
    this.#isFollowed = this.#answers > 0;
    if (this.#isTrainedHere) this.#answer(difference(own.flat, this.#start), own.age, 1);
    if (this.#answers > 0) {
      for (let i = 0; i < this.#sum.length; i++) {
        this.#start[i] = (this.#start[i] as number) + (this.#sum[i] as number) / this.#answers;
      }
    }
    let age = Math.max(this.#base, this.#age);
    for (const other of this.#fromGroups) {
      mergeInto(this.#start, other.flat, other.force);
      age = Math.max(age, other.age);
    }
    own.flat.set(this.#start);
    own.age = age;
    this.#begin(age);
  }

  #begin(age: number): void {
    this.#base = age;
    this.#isTrainedHere = false;
    this.#isToldUp = false;
    this.#isLeaderBehind = false;
    this.#sum.fill(0);
    this.#answers = 0;
    this.#age = 0;
    this.#fromGroups = [];
  }
}
