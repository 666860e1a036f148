import { API_VERSION, LABELS, ordinalOf, shardName } from '../../api/index.ts';
import { controllerOf, type Existing, keyOf, ownerReference } from '../../kube/index.ts';
import type { Action } from '../action.ts';
import { same } from '../digest.ts';
import { type Model, ModelShard } from '../kinds.ts';
import { managed } from '../labels.ts';
import { fittingModels, MODELS_BYTES } from '../network/plan.ts';
import type { Refusal } from '../refusal.ts';

/** What of the cluster a model's shards depend on. */
export interface ModelShards {
  readonly model: Existing<Model>;
  /** Every ModelShard of the namespace that names the model. */
  readonly shards: readonly Existing<ModelShard>[];
  readonly namespaceTerminating: boolean;
}

/**
 * One ModelShard for each part that a version is divided into. A shard of another division is deleted and, once it is
 * gone, made anew: its range is not the same chunks any more. Shards that a person made are left alone.
 */
export function planModel({ model, shards, namespaceTerminating }: ModelShards): readonly Action[] {
  if (model.metadata.deletionTimestamp !== undefined || namespaceTerminating) return [];
  const { count } = model.spec.shards;
  const mine = shards.filter((shard) => controllerOf(shard)?.uid === model.metadata.uid);
  const actions: Action[] = [];
  for (let index = 0; index < count; index++) {
    const wanted = buildShard(model, index);
    const there = shards.find(({ metadata }) => metadata.name === wanted.metadata.name);
    if (there === undefined) actions.push({ do: 'apply', kind: ModelShard, object: wanted });
    else if (!mine.includes(there) || there.metadata.deletionTimestamp !== undefined) continue;
    else if (there.spec.of !== count) actions.push(deletion(there));
    else if (!same(pick(there), pick(wanted))) actions.push({ do: 'apply', kind: ModelShard, object: wanted });
  }
  for (const shard of mine) {
    if (shard.spec.index >= count && shard.metadata.deletionTimestamp === undefined) actions.push(deletion(shard));
  }
  return actions;
}

/** Shards that the model cannot have, since a person made ones of their names. */
export function takenNames({ model, shards }: ModelShards): readonly Refusal[] {
  return shards
    .filter((shard) => controllerOf(shard)?.uid !== model.metadata.uid)
    .filter(({ metadata }) => {
      const index = ordinalOf(model.metadata.name, metadata.name);
      return index !== undefined && index < model.spec.shards.count;
    })
    .map(({ metadata }) => ({
      reason: 'NameTaken',
      message: `ModelShard ${metadata.name} exists and is not this Model's. Delete it, or make it anew under another name.`,
    }));
}

/** Where the charter of the network has no room for the model, so that no validator ever hears of it. */
export function tooLarge(model: Model, ofNetwork: readonly Model[]): readonly Refusal[] {
  if (fittingModels(ofNetwork).some(({ metadata }) => metadata.uid === model.metadata.uid)) return [];
  const bytes = Buffer.byteLength(JSON.stringify(model.spec));
  return [
    {
      reason: 'SpecInvalid',
      message:
        `The spec has ${bytes} bytes, and all models of network ${model.spec.network} together may have ${MODELS_BYTES}. ` +
        `Shorten architecture.layers, or make the Model in another network.`,
    },
  ];
}

/** What the model says of a shard; placement may be a person's. */
const pick = ({ spec, metadata }: ModelShard): unknown => [
  spec.modelRef,
  spec.index,
  spec.of,
  spec.replicas,
  metadata.labels?.[LABELS.network],
];

const deletion = (shard: Existing<ModelShard>): Action => ({
  do: 'delete',
  kind: ModelShard,
  key: keyOf(shard),
  uid: shard.metadata.uid,
});

/** One part of a model's versions. */
function buildShard(model: Model, index: number): ModelShard {
  const { name, namespace } = model.metadata;
  const { count, replicas } = model.spec.shards;
  return {
    apiVersion: API_VERSION,
    kind: 'ModelShard',
    metadata: {
      name: shardName(name, index),
      ...(namespace === undefined ? {} : { namespace }),
      labels: {
        ...managed,
        [LABELS.model]: name,
        [LABELS.shard]: String(index),
        [LABELS.network]: model.spec.network,
      },
      ownerReferences: [ownerReference(model)],
    },
    // The API server fills in the placement.
    spec: { modelRef: { name }, index, of: count, replicas } as ModelShard['spec'],
  };
}
