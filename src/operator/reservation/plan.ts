import type { Existing, ObjectKey } from '../../kube/index.ts';
import type { Action } from '../action.ts';
import { StakeKeyReservation } from '../kinds.ts';

/** What the API server says of the holder's name now. */
export interface HolderNow {
  /** uid of the ValidatorNode of that name; undefined where there is none. */
  readonly nodeUid: string | undefined;
  /** uid of the controller of the pod of that name; undefined where there is none. */
  readonly podOwner: string | undefined;
}

/**
 * Releases the reservation where the ValidatorNode that took it is gone for good, and so is its pod. Its finalizer does
 * that in the normal course of things; this is for one whose finalizer was removed by force.
 */
export function planReservation(
  reservation: Existing<StakeKeyReservation>,
  holder: HolderNow,
  key: ObjectKey,
): readonly Action[] {
  const { uid } = reservation.spec.nodeRef;
  if (holder.nodeUid === uid || holder.podOwner === uid) return [];
  return [{ do: 'delete', kind: StakeKeyReservation, key, uid: reservation.metadata.uid }];
}
