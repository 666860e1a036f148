import type { ModelSpec } from '../api/index.ts';

/** What this room needs of a Model's spec. */
export type LearnableModelSpec = Pick<ModelSpec, 'architecture' | 'data' | 'learning'>;
