import { API_VERSION, reservationName } from '../../../api/index.ts';
import type { StakeKeyReservation, ValidatorNode } from '../../kinds.ts';
import { managed, STAKE_SECRET } from '../../labels.ts';
import { keySecretName } from './key-secret.ts';

/** The lock on a stake key, taken before any pod that could sign with it. @param publicKey lower-case hex */
export function buildReservation(node: ValidatorNode, publicKey: string): StakeKeyReservation {
  const { name, namespace = '', uid = '' } = node.metadata;
  return {
    apiVersion: API_VERSION,
    kind: 'StakeKeyReservation',
    metadata: {
      name: reservationName(publicKey),
      labels: { ...managed },
      annotations: { [STAKE_SECRET]: keySecretName(node, 'stake') },
    },
    spec: { publicKey, nodeRef: { namespace, name, uid } },
  };
}

/** Whether the reservation is this very node's, not a namesake's. */
export function isReservedFor(reservation: StakeKeyReservation, node: ValidatorNode): boolean {
  return reservation.spec.nodeRef.uid === node.metadata.uid;
}
