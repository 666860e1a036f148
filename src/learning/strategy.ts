import { type MergeRule, mergeInto, mergeShare } from './merge.ts';
import type { LearnableModelSpec } from './spec.ts';

/** Weights on the move: flat values in the model's layout, and their age. */
export interface AgedWeights {
  readonly flat: Float32Array;
  readonly age: number;
}

/**
 * A way to learn together: what is sent, and what a received model does to one's own. Whom to send to and when is the
 * validator's (peer choice, waiting); how to train a step is the engine's. Implementations hold state of their own
 * where they need it (momentum of an outer step, partitions, error feedback).
 */
export interface Strategy {
  /** The weights that go to a neighbour now. */
  outgoing(own: AgedWeights): AgedWeights;
  /** How much of the merged model `received` would be, 0..1. */
  share(own: AgedWeights, received: AgedWeights): number;
  /** Merges `received` into `own.flat`, in place; gives the merged model's age. */
  merge(own: AgedWeights, received: AgedWeights): number;
}

/** Gossip learning, Algorithm 1 (Ormandi, Hegedus, Jelasity 2013): whole models, merged by age; age is the maximum. */
export class GossipStrategy implements Strategy {
  readonly #rule: MergeRule;

  constructor(rule: MergeRule) {
    this.#rule = rule;
  }

  outgoing(own: AgedWeights): AgedWeights {
    return own;
  }

  share(own: AgedWeights, received: AgedWeights): number {
    return mergeShare(this.#rule, own.age, received.age);
  }

  merge(own: AgedWeights, received: AgedWeights): number {
    mergeInto(own.flat, received.flat, this.share(own, received));
    return Math.max(own.age, received.age);
  }
}

export function createStrategy(learning: LearnableModelSpec['learning']): Strategy {
  switch (learning.strategy) {
    case 'gossip':
      return new GossipStrategy({ kind: learning.merge, limit: learning.mergeLimit });
  }
}
