import { charterName, LABELS } from '../api/index.ts';
import type { ValidatorNode } from './kinds.ts';

/** Value of `app.kubernetes.io/managed-by` on everything that the operator makes. */
const MANAGED_BY = 'murmuration';

/** Label that selects what the operator made; its caches hold nothing else of the kinds that others use too. */
export const managed = { 'app.kubernetes.io/managed-by': MANAGED_BY } as const;

/** Annotation on a ValidatorNode: hash of the pod that its fleet allows it to be replaced by. */
export const REPLACE_POD = 'murmuration.dev/replace-pod';

/** Annotation on a ValidatorNode that its fleet, not a person, has cordoned. */
export const CORDONED_BY_FLEET = 'murmuration.dev/cordoned-by-fleet';

/** Annotation on a StakeKeyReservation: the Secret that its key came from. */
export const STAKE_SECRET = 'murmuration.dev/stake-secret';

/** Labels of everything that belongs to one validator. */
export function validatorLabels(node: ValidatorNode): Readonly<Record<string, string>> {
  const fleet = node.metadata.labels?.[LABELS.fleet];
  return {
    'app.kubernetes.io/name': 'murmuration-validator',
    'app.kubernetes.io/instance': node.metadata.name,
    'app.kubernetes.io/component': 'validator',
    ...managed,
    [LABELS.node]: node.metadata.name,
    [LABELS.network]: node.spec.network,
    ...(fleet === undefined ? {} : { [LABELS.fleet]: fleet }),
  };
}

/** Names of the objects of one validator. */
export const names = {
  identity: (node: string): string => `${node}-identity`,
  stake: (node: string): string => `${node}-stake`,
  volume: (node: string): string => `${node}-data`,
  charter: charterName,
} as const;
