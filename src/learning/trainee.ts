import type { Layout } from './layout.ts';

/**
 * What learns, as strategies and the fleet simulator see it: flat weights, a way to train them on one's own rows, and
 * a loss on the shared probe. The training worker brings TensorFlow.js, the simulator a few loops over rows.
 */
export interface Trainee {
  readonly layout: Layout;
  /** Loss of who knows nothing: ln(classes) for cross-entropy. */
  readonly guessing: number;
  /**
   * Trains `weights` in place.
   * @param age updates that they have seen
   * @returns updates that were added, and their mean loss
   * @throws ModelError when training diverged; the weights are then as before
   */
  train(weights: Float32Array, age: number): { readonly steps: number; readonly loss: number };
  /** Mean loss on the shared probe. */
  probe(weights: Float32Array): number;
}
