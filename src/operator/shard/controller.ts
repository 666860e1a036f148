import type { ModelShardStatus } from '../../api/index.ts';
import {
  ConfigMap,
  Controller,
  type EventNote,
  type Existing,
  Node,
  type ObjectKey,
  Pod,
  type ReconcileContext,
  type ReconcileResult,
  type Stores,
} from '../../kube/index.ts';
import { Model, ModelShard, ValidatorNode } from '../kinds.ts';
import { labelledNetwork, networkKey, networkOfKey } from '../network/key.ts';
import { isLost } from '../node/pod-state.ts';
import { type Parts, paced } from '../parts.ts';
import { StatusWriter, transitions } from '../status-writer.ts';
import { look, told, watched } from '../watched.ts';
import { earsFor } from './candidates.ts';
import { isWanted } from './holders.ts';
import { judgeShards, type Machine, type Outcome } from './observe.ts';
import { planShards } from './plan.ts';

/** News that come together are looked at once. ms */
const PACE_MS = 250;
/** Statuses that are written at once. */
const WRITERS = 16;

/**
 * ModelShard: its holders; the one writer of its status. All shards of a network are looked at together, since they share
 * the room on its volumes.
 */
export function shardController(parts: Parts): Controller<ConfigMap> {
  const writer = new StatusWriter<ModelShard, ModelShardStatus>(
    // Chunks come and go with every version; who holds it is what the charter says.
    ({ versionCid, holders, repair }) => [versionCid, holders?.map((one) => [one.node, isWanted(one)]), repair],
    (shard, before, next) => {
      parts.metrics.observeRepair(shard, before?.repair, next.repair, parts.now());
      return [
        ...transitions(['Available', 'FullyReplicated'], before?.conditions, next.conditions),
        ...repaired(before, next),
      ];
    },
  );
  const planned = new Map<string, ReturnType<typeof remembered>>();
  return new Controller(ConfigMap, { ...watched.charters, name: 'modelshard', on: () => undefined })
    .watches(ModelShard, (shard, stores) => [keyOfShard(shard, stores)], {
      ...watched.shards,
      on: 'spec',
    })
    .watches(
      Model,
      ({ metadata, spec }) => [
        networkKey(metadata.namespace, spec.network),
        networkKey(metadata.namespace, NO_NETWORK),
      ],
      { ...watched.models, on: told.version },
    )
    .watches(ValidatorNode, ({ metadata, spec }) => [networkKey(metadata.namespace, spec.network)], {
      ...watched.nodes,
      on: told.node,
    })
    .watches(Pod, labelledNetwork, { ...watched.pods, on: told.machine })
    .watches(Node, (machine, stores) => look.podsOn(stores, machine).flatMap(labelledNetwork), {
      ...watched.machines,
      on: told.standing,
    })
    .on(parts.view.shards)
    .run(
      paced(PACE_MS, parts.now, (context) => {
        const { namespace, name } = context.key;
        const id = `${namespace}/${name}`;
        const plan = planned.get(id) ?? remembered();
        planned.set(id, plan);
        if (look.isTerminating(context.stores, namespace)) planned.delete(id);
        return reconcileShards(context, parts, writer, plan);
      }),
    );
}

/** Shards whose Model does not exist are looked at under this name, which no network has. */
const NO_NETWORK = '';

function keyOfShard({ metadata, spec }: ModelShard, stores: Stores): ObjectKey {
  const model = stores.of(Model).get({ namespace: metadata.namespace ?? '', name: spec.modelRef.name });
  return networkKey(metadata.namespace, model?.spec.network ?? NO_NETWORK);
}

/** The last plan is given again for equal questions: most looks find that nothing has changed. */
function remembered(): typeof planShards {
  let question: string | undefined;
  let answer: ReturnType<typeof planShards> = new Map();
  return (demands, places) => {
    const asked = JSON.stringify([demands, places]);
    if (asked !== question) answer = planShards(demands, places);
    question = asked;
    return answer;
  };
}

/** An event for copies that are there again. */
function repaired(before: ModelShardStatus | undefined, next: ModelShardStatus): readonly EventNote[] {
  if (before?.repair === undefined || next.repair !== undefined) return [];
  const note = `${next.availableReplicas} validators hold every chunk again, after the loss of ${before.repair.lost.join(', ')}.`;
  return [{ type: 'Normal', reason: 'Repaired', action: 'Observe', note }];
}

async function reconcileShards(
  context: ReconcileContext,
  parts: Parts,
  writer: StatusWriter<ModelShard, ModelShardStatus>,
  plan: typeof planShards,
): Promise<ReconcileResult> {
  const { stores, key } = context;
  const now = parts.now();
  const { shards, lookAt } = observe(stores, parts, key, plan);
  const waits = lookAt === undefined ? [] : [lookAt - now];
  let failure: { readonly error: unknown } | undefined;
  for (let at = 0; at < shards.length; at += WRITERS) {
    const written = await Promise.allSettled(
      shards.slice(at, at + WRITERS).map(async ({ shard, status }) => {
        const afterMs = await writer.write(context, shard, status, parts.now());
        if (afterMs !== undefined) waits.push(afterMs);
        parts.metrics.observeShard(shard, status);
      }),
    );
    // One that has changed meanwhile does not hold up the others.
    for (const one of written) if (one.status === 'rejected') failure ??= { error: one.reason };
  }
  if (failure !== undefined) throw failure.error;
  return waits.length === 0 ? {} : { requeueAfterMs: Math.max(1, Math.min(...waits)) };
}

/** Reads all that is known of the shards of one network, and judges them. */
function observe(stores: Stores, parts: Parts, key: ObjectKey, plan: typeof planShards): Outcome<Existing<ModelShard>> {
  const { namespace } = key;
  const network = networkOfKey(key);
  const overlay = `${namespace}/${network}`;
  const isOrphans = network === NO_NETWORK;
  const models = isOrphans ? [] : look.modelsOf(stores, namespace, network);
  const nodes = isOrphans ? [] : look.nodesOf(stores, namespace, network);
  const shards = isOrphans
    ? orphans(stores, namespace)
    : models.flatMap(({ metadata }) => look.shardsOf(stores, namespace, metadata.name));
  const said = new Map(nodes.map(({ metadata }) => [metadata.name, parts.view.heard(overlay, metadata.name)]));
  return judgeShards(
    {
      now: parts.now(),
      ears: earsFor(parts, overlay, nodes),
      models,
      shards,
      nodes,
      heard: (node) => said.get(node),
      machineOf: (node) => look.machineOf(stores, namespace, node),
      machine: (name) => machineOf(stores, name),
    },
    plan,
  );
}

const orphans = (stores: Stores, namespace: string): readonly Existing<ModelShard>[] =>
  stores
    .of(ModelShard)
    .list(namespace)
    .filter(({ spec }) => stores.of(Model).get({ namespace, name: spec.modelRef.name }) === undefined);

function machineOf(stores: Stores, name: string): Machine | undefined {
  const found = stores.of(Node).get({ namespace: '', name });
  if (found === undefined) return undefined;
  const { labels } = found.metadata;
  return { name, labels, isCordoned: found.spec?.unschedulable === true, isLost: isLost(found) };
}
