import { REASONS, reservationName } from '../../api/index.ts';
import {
  Controller,
  controllerOf,
  type Existing,
  keyOf,
  Pod,
  type ReconcileContext,
  type ReconcileResult,
} from '../../kube/index.ts';
import { StakeKeyReservation, ValidatorNode } from '../kinds.ts';
import { keySecretName } from '../node/children/key-secret.ts';
import type { Parts } from '../parts.ts';
import { perform } from '../perform.ts';
import { judged, progress, yes } from '../verdicts.ts';
import { keysOf, told, watched } from '../watched.ts';
import { type HolderNow, planReservation } from './plan.ts';

/** Long enough that a cache of ours has caught up with whatever made the reservation. ms */
const SETTLE_MS = 10_000;

/**
 * StakeKeyReservation: released where its ValidatorNode is gone for good; the one writer of its status.
 * @param served whether this operator looks after the namespace
 */
export function reservationController(
  parts: Parts,
  served: (namespace: string) => boolean,
): Controller<StakeKeyReservation> {
  return new Controller(StakeKeyReservation, watched.reservations)
    .watches(
      ValidatorNode,
      ({ metadata, status }, stores) => {
        const publicKey = status?.stake?.publicKey;
        const held = keysOf(stores.of(StakeKeyReservation).byIndex('holder', metadata.uid));
        return publicKey === undefined ? held : [...held, { namespace: '', name: reservationName(publicKey) }];
      },
      { ...watched.nodes, on: told.node },
    )
    .run((context) => reconcileReservation(context, parts, served));
}

async function reconcileReservation(
  context: ReconcileContext,
  parts: Parts,
  served: (namespace: string) => boolean,
): Promise<ReconcileResult> {
  const { stores, key } = context;
  const reservation = stores.of(StakeKeyReservation).get(key);
  if (reservation === undefined || reservation.metadata.deletionTimestamp !== undefined) return {};
  const { namespace, name, uid } = reservation.spec.nodeRef;
  // Another operator's namespace is none of our business.
  if (!served(namespace)) return {};
  const seen = stores.of(ValidatorNode).get({ namespace, name });
  const recorded = seen?.status?.stake?.publicKey;
  const isInUse = seen?.metadata.uid === uid && (recorded === undefined || recorded === reservation.spec.publicKey);
  if (!isInUse) {
    const age = parts.now() - Date.parse(reservation.metadata.creationTimestamp);
    if (age < SETTLE_MS) return { requeueAfterMs: SETTLE_MS - age };
    // A lock is given up on the API server's word only, never on a cache's.
    const [node, pod] = await Promise.all([
      context.client.find(ValidatorNode, { namespace, name }),
      context.client.find(Pod, { namespace, name }),
    ]);
    const podOwner = pod === undefined ? undefined : controllerOf(pod)?.uid;
    const holder: HolderNow = {
      nodeUid: node?.metadata.uid,
      podOwner,
      ...(node === undefined ? {} : { signsWith: signsWith(node, pod) }),
    };
    const actions = planReservation(reservation, holder, keyOf(reservation));
    await perform(context, actions);
    if (actions.length > 0) return {};
    if (node?.metadata.uid !== uid) return podOwner !== uid ? {} : { requeueAfterMs: SETTLE_MS };
    return { requeueAfterMs: await tellHeld(context, parts, reservation) };
  }
  await tellHeld(context, parts, reservation);
  return {};
}

const signsWith = (node: ValidatorNode, pod: Pod | undefined): NonNullable<HolderNow['signsWith']> => ({
  publicKey: node.status?.stake?.publicKey,
  secrets: new Set([
    keySecretName(node, 'stake'),
    ...(pod?.spec?.volumes ?? []).flatMap(({ secret }) => secret?.secretName ?? []),
  ]),
});

/** @returns ms after which a lock that is held without need is looked at again */
async function tellHeld(
  context: ReconcileContext,
  parts: Parts,
  reservation: Existing<StakeKeyReservation>,
): Promise<number> {
  const { namespace, name } = reservation.spec.nodeRef;
  const ready = yes('Ready', REASONS.Reconciled, `Held by ValidatorNode ${namespace}/${name}.`);
  const { generation } = reservation.metadata;
  await context.setStatus(reservation, {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: judged(reservation.status?.conditions, [ready, ...progress(ready)], generation, parts.now()),
  });
  return SETTLE_MS;
}
