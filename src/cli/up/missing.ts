/** What is still missing until a manifest is as it should be. Pure. */
import type { FleetState } from '../fleet/state.ts';
import { count, measure, plural, share } from '../render/numbers.ts';

/** Names of the objects that a manifest holds. */
export interface Wished {
  readonly models: readonly string[];
  readonly fleets: readonly string[];
  readonly nodes: readonly string[];
}

/** A phrase for each thing that is missing; empty when all is there. A model without a target is there once it is Ready. */
export function missingOf(state: FleetState, wished: Wished): readonly string[] {
  return [
    ...wished.models.flatMap((name) => missingOfModel(state, name) ?? []),
    ...wished.fleets.flatMap((name) => missingOfFleet(state, name) ?? []),
    ...wished.nodes.flatMap((name) => missingOfNode(state, name) ?? []),
  ];
}

function missingOfModel(state: FleetState, name: string): string | undefined {
  const model = state.models.find((one) => one.name === name);
  if (model === undefined) return `model ${name} is not in the cluster`;
  if (model.target === undefined) return model.ready ? undefined : `model ${name} is not ready`;
  const { replicated, total } = model.shards;
  if (model.converged) {
    return replicated >= total
      ? undefined
      : `model ${name} has ${count(replicated)} of ${plural(total, 'shard')} replicated`;
  }
  const { metric, value } = model.target;
  const present = metric === 'accuracy' ? share(model.accuracy) : measure(model.loss);
  const after = (model.updates ?? 0) === 0 ? 'no updates yet' : `after ${plural(model.updates ?? 0, 'update')}`;
  return `model ${name} has ${metric} ${present} of ${value} (${after})`;
}

function missingOfFleet(state: FleetState, name: string): string | undefined {
  const fleet = state.fleets.find((one) => one.name === name);
  if (fleet === undefined) return `fleet ${name} is not in the cluster`;
  if (fleet.ready && fleet.readyReplicas >= fleet.desiredReplicas) return undefined;
  return `fleet ${name} has ${count(fleet.readyReplicas)} of ${plural(fleet.desiredReplicas, 'validator')} ready`;
}

function missingOfNode(state: FleetState, name: string): string | undefined {
  const node = state.validators.find((one) => one.name === name);
  if (node === undefined) return `validator ${name} is not in the cluster`;
  return node.ready ? undefined : `validator ${name} is not ready (${node.readyText})`;
}
