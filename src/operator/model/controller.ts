import type { ModelStatus } from '../../api/index.ts';
import {
  Controller,
  type EventNote,
  Namespace,
  type ReconcileContext,
  type ReconcileResult,
} from '../../kube/index.ts';
import { Model, ModelShard, ValidatorNode } from '../kinds.ts';
import { type Parts, paced } from '../parts.ts';
import { perform } from '../perform.ts';
import { proveSeen } from '../seen.ts';
import { StatusWriter, transitions } from '../status-writer.ts';
import { keysOf, look, watched } from '../watched.ts';
import { Curves } from './curve.ts';
import { planModel, takenNames, tooLarge } from './plan.ts';
import { furthest, type ModelWorld, modelStatus } from './status.ts';

const PACE_MS = 500;

/** Model: its ModelShards; the one writer of its status. */
export function modelController(parts: Parts): Controller<Model> {
  const writer = new StatusWriter<Model, ModelStatus>(
    ({ version, shards, startedAt, target }) => [version?.cid, shards, startedAt, target?.reachedAt],
    (_, before, next) => [
      ...transitions(['Ready', 'Learning', 'Converged', 'Replicated'], before?.conditions, next.conditions),
      ...certified(before, next),
    ],
  );
  const curves = new Curves();
  return new Controller(Model, watched.models)
    .watches(
      ModelShard,
      ({ metadata, spec }) => [{ namespace: metadata.namespace ?? '', name: spec.modelRef.name }],
      watched.shards,
    )
    .watches(
      ValidatorNode,
      ({ metadata, spec }, stores) => keysOf(look.modelsOf(stores, metadata.namespace ?? '', spec.network)),
      { ...watched.nodes, on: 'spec' },
    )
    .reads(Namespace)
    .on(parts.view.models)
    .run(paced(PACE_MS, parts.now, (context) => reconcileModel(context, parts, writer, curves)));
}

function certified(before: ModelStatus | undefined, next: ModelStatus): readonly EventNote[] {
  const { version } = next;
  if (version === undefined || before?.version?.cid === version.cid) return [];
  const note = `Version ${version.short} at ${version.age} updates is certified by ${version.certifiedBy ?? 'a quorum'}.`;
  return [{ type: 'Normal', reason: 'Certified', action: 'Certify', note }];
}

async function reconcileModel(
  context: ReconcileContext,
  parts: Parts,
  writer: StatusWriter<Model, ModelStatus>,
  curves: Curves,
): Promise<ReconcileResult> {
  const { stores, key } = context;
  const model = stores.of(Model).get(key);
  if (model === undefined) return {};
  const { namespace } = key;
  const namespaceTerminating = look.isTerminating(stores, namespace);
  const shards = (): ReturnType<typeof look.shardsOf> => look.shardsOf(stores, namespace, key.name);
  const seen = { model, shards: shards(), namespaceTerminating };
  const actions = planModel(seen);
  if (actions.length > 0) await proveSeen(context, Model, model);
  const refused = [
    ...(await perform(context, actions)),
    ...takenNames(seen),
    ...tooLarge(model, look.modelsOf(stores, namespace, model.spec.network)),
  ];
  const overlay = `${namespace}/${model.spec.network}`;
  const heard = {
    model,
    now: parts.now(),
    learners: look.nodesOf(stores, namespace, model.spec.network).map((node) => ({
      node: node.metadata.name,
      weight: node.spec.stake.amount,
      leaving: node.metadata.deletionTimestamp !== undefined,
      heard: parts.view.heard(overlay, node.metadata.name),
    })),
  };
  const { target } = model.spec.learning;
  const world: ModelWorld = {
    ...heard,
    curve: target === undefined ? [] : curves.note(model.metadata.uid, target, furthest(heard)),
    shards: shards().filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === model.metadata.uid)),
    version: parts.view.version(overlay, model.metadata.uid),
    listening: parts.view.isListening(overlay),
  };
  const status = modelStatus(world, refused);
  const afterMs = await writer.write(context, model, status, parts.now());
  parts.metrics.observeModel(world, status);
  const [refusal] = refused;
  if (refusal !== undefined) {
    context.events.record(model, { type: 'Warning', reason: refusal.reason, action: 'Apply', note: refusal.message });
    return { requeueAfterMs: 10_000 };
  }
  return afterMs === undefined ? {} : { requeueAfterMs: afterMs };
}
