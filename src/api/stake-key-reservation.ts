import { z } from 'zod';
import { statusBase } from './conditions.ts';
import { object, objectName } from './metadata.ts';
import { immutable, ruled, type Transition, text } from './rules.ts';

/** A reservation is made and deleted, never changed: that is the lock. */
export const reservationTransitions: readonly Transition[] = [
  immutable('publicKey', 'Delete the reservation instead, once no pod can sign with the key.'),
  immutable('nodeRef', 'Delete the reservation instead, once no pod can sign with the key.'),
];

/** Spec of a reservation. */
export const StakeKeyReservationSpec = ruled(
  z.object({
    publicKey: text(
      /^([0-9a-f]{64}|[0-9a-f]{66})$/,
      66,
      'publicKey must be the public stake key in lower-case hex: 64 or 66 characters.',
    ).describe('Public half of the stake key.'),
    nodeRef: z
      .object({
        namespace: objectName('nodeRef.namespace').describe('Namespace of the ValidatorNode.'),
        name: objectName('nodeRef.name'),
        uid: z.string().min(1).max(64).describe('So that a namesake made later is not taken for the holder.'),
      })
      .describe('The one ValidatorNode that may sign with the key.'),
  }),
  [],
  reservationTransitions,
);
export type StakeKeyReservationSpec = z.output<typeof StakeKeyReservationSpec>;

const reservationStatus = z.object({ ...statusBase });

const DIGEST = /^[0-9a-f]{64}$/;
/** The lock that a stake key is used by one ValidatorNode at a time. Cluster-scoped; named by the key's digest. */
export const StakeKeyReservation = object('StakeKeyReservation', StakeKeyReservationSpec, reservationStatus, [
  {
    cel: `self.metadata.name.matches(r'${DIGEST.source}')`,
    says: 'metadata.name of a StakeKeyReservation must be the sha256 of the public key in lower-case hex.',
    holds: ({ metadata }) => DIGEST.test(metadata.name),
  },
]);
export type StakeKeyReservation = z.output<typeof StakeKeyReservation>;
