import type { Existing, ObjectKey } from '../../kube/index.ts';
import type { Action } from '../action.ts';
import { StakeKeyReservation } from '../kinds.ts';
import { STAKE_SECRET } from '../labels.ts';

/** What the API server says of the holder's name now. */
export interface HolderNow {
  /** uid of the ValidatorNode of that name; undefined where there is none. */
  readonly nodeUid: string | undefined;
  /** uid of the controller of the pod of that name; undefined where there is none. */
  readonly podOwner: string | undefined;
  /** What that ValidatorNode signs with, where it is there. */
  readonly signsWith?: {
    /** The recorded public key. */
    readonly publicKey: string | undefined;
    /** Secrets with a stake key that its spec names, or that its pod has mounted. */
    readonly secrets: ReadonlySet<string>;
  };
}

/**
 * Releases the reservation where the ValidatorNode that took it is gone for good, and so is its pod. Its finalizer does
 * that in the normal course of things; this is for one whose finalizer was removed by force, and for a
 * key that its ValidatorNode has exchanged for that of another Secret, once no pod has the old one mounted.
 */
export function planReservation(
  reservation: Existing<StakeKeyReservation>,
  holder: HolderNow,
  key: ObjectKey,
): readonly Action[] {
  const { uid } = reservation.spec.nodeRef;
  const lives = holder.nodeUid === uid || holder.podOwner === uid;
  if (lives && !hasMovedOn(reservation, holder)) return [];
  return [{ do: 'delete', kind: StakeKeyReservation, key, uid: reservation.metadata.uid }];
}

function hasMovedOn({ metadata, spec }: StakeKeyReservation, { nodeUid, signsWith }: HolderNow): boolean {
  const secret = metadata.annotations?.[STAKE_SECRET];
  // A key that was exchanged within its Secret may still be in the memory of a signer.
  if (nodeUid !== spec.nodeRef.uid || secret === undefined || signsWith?.publicKey === undefined) return false;
  return signsWith.publicKey !== spec.publicKey && !signsWith.secrets.has(secret);
}
