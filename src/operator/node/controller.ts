import { type Condition, NODE_CONDITIONS, type ValidatorNodeStatus } from '../../api/index.ts';
import {
  type AnyKind,
  Conflict,
  Controller,
  Namespace,
  Node,
  type ObjectKey,
  PersistentVolumeClaim,
  Pod,
  type ReconcileContext,
  type ReconcileResult,
  Secret,
  Service,
  type Stores,
} from '../../kube/index.ts';
import type { Action } from '../action.ts';
import { canonical } from '../digest.ts';
import { Model, ModelShard, StakeKeyReservation, ValidatorNode } from '../kinds.ts';
import { rests } from '../model/toward.ts';
import { sourcesOf } from '../model-sources.ts';
import type { Parts } from '../parts.ts';
import { perform } from '../perform.ts';
import type { Refusal } from '../refusal.ts';
import { proveSeen } from '../seen.ts';
import { StatusWriter, transitions } from '../status-writer.ts';
import { keysOf, labelledNode, look, watched } from '../watched.ts';
import { observeNode } from './observe.ts';
import { isOurs, planNode } from './plan.ts';
import { nodeStatus } from './status.ts';
import type { NodeWorld } from './world.ts';

/** More waves than any validator needs from nothing to its pod. */
const MAX_WAVES = 8;
/** A refusal, or a key that a person brings, is looked at again after so long. ms */
const RETRY_MS = 10_000;

/** Conditions whose changes are worth an event. */
const TOLD = ['Ready', 'KeysReady', 'Drained'] as const;

/** ValidatorNode: keys, reservation, volume, Service, pod; the one writer of its status. */
export function nodeController(parts: Parts): Controller<ValidatorNode> {
  const writer = new StatusWriter<ValidatorNode, ValidatorNodeStatus>(loud, (_, before, next) =>
    transitions(TOLD, before?.conditions, next.conditions),
  );
  return new Controller(ValidatorNode, { ...watched.nodes, concurrency: 32 })
    .owns(Pod, watched.pods)
    .owns(Service, watched.services)
    .watches(Secret, labelledNode, watched.secrets)
    .watches(PersistentVolumeClaim, volumeKeys, watched.volumes)
    .watches(
      StakeKeyReservation,
      (reservation, stores) => [
        reservation.spec.nodeRef,
        ...keysOf(stores.of(ValidatorNode).byIndex('publicKey', reservation.spec.publicKey)),
      ],
      watched.reservations,
    )
    .watches(
      Model,
      ({ metadata, spec }, stores) => keysOf(look.nodesOf(stores, metadata.namespace ?? '', spec.network)),
      { ...watched.models, on: 'spec' },
    )
    .watches(
      ModelShard,
      ({ metadata, status }) =>
        (status?.holders ?? []).map(({ node }) => ({ namespace: metadata.namespace ?? '', name: node })),
      watched.shards,
    )
    .watches(Namespace, (namespace, stores) =>
      namespace.metadata.deletionTimestamp === undefined
        ? []
        : keysOf(stores.of(ValidatorNode).list(namespace.metadata.name)),
    )
    .watches(Node, (machine, stores) => keysOf(look.podsOn(stores, machine)), watched.machines)
    .on(parts.view.nodes)
    .run((context) => reconcileNode(context, parts, writer));
}

/** Its own volume, and the claims that models of some network read. */
function volumeKeys(volume: PersistentVolumeClaim, stores: Stores): readonly ObjectKey[] {
  const own = labelledNode(volume);
  if (own.length > 0) return own;
  const { namespace = '', name } = volume.metadata;
  return stores
    .of(Model)
    .list(namespace)
    .filter((model) => sourcesOf(model).some(({ claim }) => claim?.claimName === name))
    .flatMap(({ spec }) => keysOf(look.nodesOf(stores, namespace, spec.network)));
}

const loud = (status: ValidatorNodeStatus): unknown => [
  status.peerId,
  status.podName,
  status.nodeName,
  status.version,
  status.stake,
  status.chunks?.assigned,
];

async function reconcileNode(
  context: ReconcileContext,
  parts: Parts,
  writer: StatusWriter<ValidatorNode, ValidatorNodeStatus>,
): Promise<ReconcileResult> {
  let refused: readonly Refusal[] = [];
  let last = '';
  for (let wave = 0; wave < MAX_WAVES; wave++) {
    const world = await observeNode(context, parts, refused);
    if (world === undefined) return {};
    const actions = planNode(world);
    const plan = canonical(actions.map((action) => ({ ...action, kind: undefined })));
    // The same plan again: what was done is not seen yet, or was refused. Its change wakes the key.
    if (actions.length === 0 || plan === last) return finish(context, world, parts, writer, actions.length > 0);
    last = plan;
    await proveWorld(context, world, actions);
    refused = await perform(context, actions, {
      keys: parts.keys,
      onDone: (action) => tell(context, world, action),
      record: async () => {
        await writer.write(context, world.node, statusOf(context, world), parts.now());
      },
    });
    const [refusal] = refused;
    if (refusal !== undefined) {
      const note = refusal.message;
      context.events.record(world.node, { type: 'Warning', reason: 'Refused', action: 'Apply', note });
      const now = await observeNode(context, parts, refused);
      return now === undefined ? {} : finish(context, now, parts, writer, true);
    }
    for (const action of actions) {
      if (action.do === 'finalizer' && !action.present) return {};
    }
  }
  throw new Error(
    `ValidatorNode ${context.key.name} is not settled after ${MAX_WAVES} rounds; its plan does not converge`,
  );
}

/**
 * Nothing is taken away, no volume is made a second time, and keys and volumes are not given up, on a cache's word alone.
 * @throws Conflict
 */
async function proveWorld(context: ReconcileContext, { node }: NodeWorld, actions: readonly Action[]): Promise<void> {
  const going = actions.filter((action) => action.do === 'delete');
  const again =
    node.status?.peerId !== undefined &&
    actions.some((action) => action.do === 'create' && action.kind === PersistentVolumeClaim);
  if (going.length === 0 && !again) return;
  await proveSeen(context, ValidatorNode, node);
  if (!going.some(({ kind }) => isForGood(kind))) return;
  const pod = await context.client.find(Pod, context.key);
  if (pod === undefined || !isOurs(pod, node)) return;
  const attempt = `give up the keys and the volume of ${context.key.name}`;
  throw new Conflict({ attempt, code: 0 }, 'its pod is still there');
}

const isForGood = (kind: AnyKind): boolean => kind === Secret || kind === PersistentVolumeClaim;

/** Events for what a person would ask about: new keys, and a pod that comes or goes. */
function tell({ events }: ReconcileContext, { node, pod }: NodeWorld, action: Action): void {
  const say = (reason: string, action: string, note: string): void =>
    events.record(node, { type: 'Normal', reason, action, note });
  if (action.do === 'makeKey') {
    say('KeyMade', 'MakeKey', `Made the ${action.which} key in Secret ${action.secret.metadata.name}.`);
  } else if (action.do === 'create' && action.kind === Pod) {
    say('PodCreated', 'CreatePod', `Created pod ${action.object.metadata.name}.`);
  } else if (action.do === 'delete' && action.kind === Pod) {
    const { phase, message = '' } = pod?.status ?? {};
    if (node.metadata.deletionTimestamp !== undefined) {
      say('PodStopped', 'DeletePod', 'Stopped the pod, as the validator is deleted.');
    } else if (phase === 'Failed') say('PodReplaced', 'DeletePod', `Replacing the pod, which failed. ${message}`);
    else say('PodReplaced', 'DeletePod', 'Replacing the pod, as its spec, image or data sources have changed.');
  }
}

async function finish(
  context: ReconcileContext,
  world: NodeWorld,
  parts: Parts,
  writer: StatusWriter<ValidatorNode, ValidatorNodeStatus>,
  again: boolean,
): Promise<ReconcileResult> {
  const status = statusOf(context, world);
  const afterMs = await writer.write(context, world.node, status, parts.now());
  parts.metrics.observeNode(world.node, status);
  const waits = [afterMs, again || waitsForPerson(status.conditions) ? RETRY_MS : undefined, drainWait(world)];
  const next = waits.filter((wait) => wait !== undefined);
  return next.length === 0 ? {} : { requeueAfterMs: Math.min(...next) };
}

/** Secrets that people bring are in no watch of ours. */
const waitsForPerson = (conditions: readonly Condition[] | undefined): boolean =>
  conditions?.some(({ type, status }) => type === NODE_CONDITIONS.KeysReady && status !== 'True') ?? false;

/** A deletion that waits for its chunks looks again, since time alone may end the wait. */
const drainWait = ({ node }: NodeWorld): number | undefined =>
  node.metadata.deletionTimestamp === undefined ? undefined : 5_000;

function statusOf({ stores, key }: ReconcileContext, world: NodeWorld): ValidatorNodeStatus {
  const models = look.modelsOf(stores, key.namespace, world.node.spec.network);
  return nodeStatus(
    world,
    new Map(models.map(({ metadata }) => [metadata.uid, metadata.name])),
    new Set(models.filter((model) => rests(model, model.status ?? {})).map(({ metadata }) => metadata.uid)),
  );
}
