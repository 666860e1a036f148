/** Weights in training: flat values in the model's layout, changed in place, and the updates that they have seen. */
export interface Own {
  readonly flat: Float32Array;
  age: number;
}

/** Where a message goes: to an equal, up to an aggregator, or down from one. */
export type Way = 'peer' | 'up' | 'down';

/** What a sender is to the one who receives: an equal, one's aggregator, one who is aggregated here, or none of these. */
export type Relation = 'peer' | 'leader' | 'member' | 'stranger';

/** Part `index` of `of` equal runs of the flat weights. */
export interface Part {
  readonly index: number;
  readonly of: number;
}

/** What travels, before compression. */
export interface Parcel {
  readonly way: Way;
  /** Updates that the weights (those of the part) have seen. */
  readonly age: number;
  readonly part?: Part | undefined;
  /** Of the part, or all. */
  readonly weights?: Float32Array | undefined;
  /** What training did, as a difference of all weights. */
  readonly change?: Float32Array | undefined;
  /** Age of the weights that `change` started from. */
  readonly base?: number | undefined;
}

/** A received parcel as the strategy understands it. */
export interface Opened {
  readonly parcel: Parcel;
  /** The sender's model as far as it is known: what the guard judges. */
  readonly flat: Float32Array;
  /** How much of the merged model it would be, 0..1. */
  readonly share: number;
  /** Taken over as it is or not at all: a part of it would be of no use. */
  readonly isWhole?: boolean;
}

/**
 * A way to learn together: what is sent, and what a received model does to one's own. It sees no network (whom to send
 * to is the routing's), no bytes (compression's) and no attacker (the guard's). Implementations keep what they need
 * between calls: ages of parts, momentum, the answers of a round.
 */
export interface Strategy {
  /** Models of full length in one parcel: 1, or 2 where weights and their change travel together. */
  readonly models: 1 | 2;
  /** One's own weights were replaced from outside: a checkpoint, a certified version. */
  reset(own: Own): void;
  /** What goes out now; undefined where there is nothing to say. Its arrays are read before the next call. */
  outgoing(own: Own, way: Way): Parcel | undefined;
  /** Looks at a parcel, changing nothing; a string says why it cannot be used. */
  open(own: Own, parcel: Parcel, from: Relation): Opened | string;
  /** Takes it in. @param force 0..1: how far to go towards it; less than 1 where it is clipped or its sender little trusted */
  merge(own: Own, opened: Opened, force: number): void;
  /** Before training; false where there is nothing to train on now. */
  prepare(own: Own): boolean;
  /** After training: `own.age` has grown by `steps`. */
  trained(own: Own, steps: number): void;
}

/** First and one after the last number of a part of `size` numbers. */
export function rangeOf({ index, of }: Part, size: number): readonly [from: number, to: number] {
  return [Math.floor((index * size) / of), Math.floor(((index + 1) * size) / of)];
}
