import { ANNOTATIONS, FINALIZER, LABELS } from '../../api/index.ts';
import {
  type AnyKind,
  controllerOf,
  difference,
  type Existing,
  type KubeObject,
  keyOf,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  sameQuantity,
} from '../../kube/index.ts';
import type { Action, KeyKind } from '../action.ts';
import { StakeKeyReservation, ValidatorNode } from '../kinds.ts';
import { REPLACE_POD } from '../labels.ts';
import { buildKeySecret, isBroughtKey, keySecretName } from './children/key-secret.ts';
import { buildPod, plannedPodHash, podHashOf } from './children/pod.ts';
import { buildReservation, isReservedFor } from './children/reservation.ts';
import { buildService } from './children/service.ts';
import { buildVolume } from './children/volume.ts';
import { drainOf } from './drain.ts';
import { judgeKey } from './keys.ts';
import type { NodeWorld } from './world.ts';

/**
 * The next wave for one validator. Order, and what each step waits for:
 *
 *     finalizer -> keys, volume, service -> reservation -> record in status -> (charter names it) -> pod
 *     drained -> pod gone -> volume and keys (unless retained), reservation -> finalizer
 *
 * Invariants (test/unit/operator/node-plan.test.ts): no key is made where one was recorded; no pod exists before its
 * keys are recorded and its stake key is reserved; the reservation outlives the pod.
 */
export function planNode(world: NodeWorld): readonly Action[] {
  const { node } = world;
  if (node.metadata.deletionTimestamp !== undefined) return planRemoval(world);
  if (node.spec.paused || world.namespaceTerminating) return [];
  if (!hasFinalizer(node)) return [{ do: 'finalizer', kind: ValidatorNode, object: node, present: true }];
  return [...planKeys(world), ...planVolume(world), ...planService(world), ...planPod(world)];
}

const hasFinalizer = (node: ValidatorNode): boolean => node.metadata.finalizers?.includes(FINALIZER) ?? false;

function planKeys(world: NodeWorld): readonly Action[] {
  const { node } = world;
  const identity = judgeKey(node, 'identity', world.identity, node.status?.peerId);
  const stake = judgeKey(node, 'stake', world.stake, node.status?.stake?.publicKey);
  const made: Action[] = [];
  if (identity.is === 'toMake') made.push(makeKey(node, 'identity'));
  if (stake.is === 'toMake') made.push(makeKey(node, 'stake'));
  if (made.length > 0 || identity.is !== 'ready' || stake.is !== 'ready' || world.twin !== undefined) return made;
  if (world.reservation === undefined) {
    return [{ do: 'create', kind: StakeKeyReservation, object: buildReservation(node, stake.name) }];
  }
  if (!isReservedFor(world.reservation, node)) return [];
  const recorded = node.status;
  const isRecorded =
    recorded?.peerId === identity.name && recorded.stake?.publicKey === stake.name && recorded.stake.reserved;
  return isRecorded ? [] : [{ do: 'record' }];
}

const makeKey = (node: ValidatorNode, which: KeyKind): Action => ({
  do: 'makeKey',
  which,
  secret: buildKeySecret(node, which),
});

function planVolume({ node, volume }: NodeWorld): readonly Action[] {
  const object = buildVolume(node);
  if (volume === undefined) return [{ do: 'create', kind: PersistentVolumeClaim, object }];
  if (volume.metadata.deletionTimestamp !== undefined || !isLabelled(volume, node)) return [];
  // All that can change is the size.
  const { storage } = volume.spec?.resources?.requests ?? {};
  return sameQuantity(storage, node.spec.storage.size) ? [] : [{ do: 'apply', kind: PersistentVolumeClaim, object }];
}

function planService({ node, service }: NodeWorld): readonly Action[] {
  const object = buildService(node);
  if (service === undefined) return [{ do: 'create', kind: Service, object }];
  if (service.metadata.deletionTimestamp !== undefined) return [];
  if (isOurs(service, node)) {
    // Put right also where somebody edited it: others find the validator by it.
    return difference(object, service) === undefined ? [] : [{ do: 'apply', kind: Service, object }];
  }
  return isNamesakes(service, node) ? [deletion(Service, service)] : [];
}

/** Whether keys are recorded and reserved: the gate before a pod that could sign. */
function mayRun(world: NodeWorld): boolean {
  const { node, reservation } = world;
  const identity = judgeKey(node, 'identity', world.identity, node.status?.peerId);
  const stake = judgeKey(node, 'stake', world.stake, node.status?.stake?.publicKey);
  return (
    world.twin === undefined &&
    identity.is === 'ready' &&
    stake.is === 'ready' &&
    node.status?.peerId === identity.name &&
    node.status.stake?.publicKey === stake.name &&
    reservation !== undefined &&
    isReservedFor(reservation, node)
  );
}

function planPod(world: NodeWorld): readonly Action[] {
  const { node, pod, setting } = world;
  if (pod === undefined) {
    if (setting === undefined || !mayRun(world) || !world.chartered) return [];
    if (world.volume?.metadata.deletionTimestamp !== undefined) return [];
    return [{ do: 'create', kind: Pod, object: buildPod(node, setting) }];
  }
  // Also on a lost machine: until the pod is proven gone, or a person says so, nothing takes its place.
  if (pod.metadata.deletionTimestamp !== undefined) return declaredGone(node, pod);
  if (!isOurs(pod, node)) return isNamesakes(pod, node) ? [deletion(Pod, pod)] : [];
  if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return [deletion(Pod, pod)];
  if (setting === undefined || !mayRun(world)) return [];
  const wanted = plannedPodHash(node, setting);
  if (wanted === podHashOf(pod) || !mayReplace(node, wanted)) return [];
  return [{ ...deletion(Pod, pod), successor: buildPod(node, setting) }];
}

/** A fleet hands out the permission, so that maxUnavailable holds whatever the reason of the change is. */
function mayReplace(node: ValidatorNode, wanted: string): boolean {
  return controllerOf(node)?.kind !== 'ValidatorFleet' || node.metadata.annotations?.[REPLACE_POD] === wanted;
}

function declaredGone(node: ValidatorNode, pod: Existing<Pod>): readonly Action[] {
  const said = node.metadata.annotations?.[ANNOTATIONS.podIsGone] === pod.metadata.uid;
  return said ? [deletion(Pod, pod, 0)] : [];
}

type Deletion = Extract<Action, { do: 'delete' }>;

const deletion = (kind: AnyKind, object: Existing<KubeObject>, graceSeconds?: number): Deletion => ({
  do: 'delete',
  kind,
  key: keyOf(object),
  uid: object.metadata.uid,
  ...(graceSeconds === undefined ? {} : { graceSeconds }),
});

/** Whether the object is controlled by this very ValidatorNode. */
export const isOurs = (object: Pod | Service, node: ValidatorNode): boolean =>
  controllerOf(object)?.uid === node.metadata.uid;

/** Left by an earlier ValidatorNode of the same name, which is gone for good. */
const isNamesakes = (object: Pod | Service, node: ValidatorNode): boolean => {
  const owner = controllerOf(object);
  return owner?.kind === 'ValidatorNode' && owner.name === node.metadata.name && owner.uid !== node.metadata.uid;
};

/** Whether the object, which outlives its ValidatorNode where retained, was made for one of this name. */
export const isLabelled = (object: KubeObject, node: ValidatorNode): boolean =>
  object.metadata.labels?.[LABELS.node] === node.metadata.name;

function planRemoval(world: NodeWorld): readonly Action[] {
  const { node, pod } = world;
  if (!hasFinalizer(node)) return [];
  if (pod !== undefined && isOurs(pod, node)) {
    if (pod.metadata.deletionTimestamp !== undefined) return declaredGone(node, pod);
    return drainOf(world).mayGo ? [deletion(Pod, pod)] : [];
  }
  // Its pod may have gone for another reason, and its volume may hold the last copy of something.
  if (!drainOf(world).mayGo) return [];
  const left = world.namespaceTerminating ? planRelease(world) : [...planCleanup(world), ...planRelease(world)];
  return left.length > 0 ? left : [{ do: 'finalizer', kind: ValidatorNode, object: node, present: false }];
}

function planRelease({ node, reservation }: NodeWorld): readonly Action[] {
  if (reservation === undefined || !isReservedFor(reservation, node)) return [];
  return reservation.metadata.deletionTimestamp === undefined ? [deletion(StakeKeyReservation, reservation)] : [];
}

function planCleanup(world: NodeWorld): readonly Action[] {
  const { node, service, volume } = world;
  const namespace = node.metadata.namespace ?? '';
  const actions: Action[] = [];
  if (service !== undefined && service.metadata.deletionTimestamp === undefined && isOurs(service, node)) {
    actions.push(deletion(Service, service));
  }
  if (node.spec.storage.retain === 'Retain') return actions;
  if (volume !== undefined && volume.metadata.deletionTimestamp === undefined && isLabelled(volume, node)) {
    actions.push(deletion(PersistentVolumeClaim, volume));
  }
  for (const which of ['identity', 'stake'] as const) {
    const secret = world[which];
    if (secret.is === 'absent' || isBroughtKey(node, which) || secret.node !== node.metadata.name) continue;
    actions.push({
      do: 'delete',
      kind: Secret,
      key: { namespace, name: keySecretName(node, which) },
      uid: secret.uid,
    });
  }
  return actions;
}
