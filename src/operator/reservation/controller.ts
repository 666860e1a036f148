import { REASONS, reservationName } from '../../api/index.ts';
import { Controller, controllerOf, keyOf, Pod, type ReconcileContext, type ReconcileResult } from '../../kube/index.ts';
import { StakeKeyReservation, ValidatorNode } from '../kinds.ts';
import type { Parts } from '../parts.ts';
import { perform } from '../perform.ts';
import { judged, progress, yes } from '../verdicts.ts';
import { watched } from '../watched.ts';
import { planReservation } from './plan.ts';

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
  return new Controller(StakeKeyReservation)
    .watches(
      ValidatorNode,
      ({ status }) => {
        const publicKey = status?.stake?.publicKey;
        return publicKey === undefined ? [] : [{ namespace: '', name: reservationName(publicKey) }];
      },
      watched.nodes,
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
  const seen = stores.of(ValidatorNode).get({ namespace, name })?.metadata.uid;
  if (seen !== uid) {
    const age = parts.now() - Date.parse(reservation.metadata.creationTimestamp);
    if (age < SETTLE_MS) return { requeueAfterMs: SETTLE_MS - age };
    // A lock is given up on the API server's word only, never on a cache's.
    const [node, pod] = await Promise.all([
      context.client.find(ValidatorNode, { namespace, name }),
      context.client.find(Pod, { namespace, name }),
    ]);
    const podOwner = pod === undefined ? undefined : controllerOf(pod)?.uid;
    await perform(context, planReservation(reservation, { nodeUid: node?.metadata.uid, podOwner }, keyOf(reservation)));
    return node?.metadata.uid === uid || podOwner !== uid ? {} : { requeueAfterMs: SETTLE_MS };
  }
  const ready = yes('Ready', REASONS.Reconciled, `Held by ValidatorNode ${namespace}/${name}.`);
  const { generation } = reservation.metadata;
  await context.setStatus(reservation, {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    conditions: judged(reservation.status?.conditions, [ready, ...progress(ready)], generation, parts.now()),
  });
  return {};
}
