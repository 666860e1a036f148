import type { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../api/index.ts';

/** What was listed. */
export interface Listed {
  readonly fleets: readonly ValidatorFleet[];
  readonly nodes: readonly ValidatorNode[];
  readonly models: readonly Model[];
  readonly shards: readonly ModelShard[];
}
