import type { Learner, LearnerInit } from './contract.ts';

/** Starts the training worker of one model. */
export function createLearner(init: LearnerInit): Learner {
  throw new Error(`no training worker yet for model ${init.model.name}`);
}
