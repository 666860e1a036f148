import { createHash } from 'node:crypto';
import { LABELS } from './names.ts';

/**
 * How a user asks to be let into a network: a ConfigMap that the operator reads and never writes. Who may make one in a namespace
 * may let a peer in as a user, as who may make a ValidatorNode may let one in as a validator.
 */
export const USER_ENTRY_LABELS = {
  'app.kubernetes.io/part-of': 'murmuration',
  'app.kubernetes.io/component': 'user',
} as const;

/** Keys of its data, all of them required. */
export const USER_ENTRY_FIELDS = {
  /** Peer id of the user. */
  peerId: 'peerId',
  /** What the user is called, for people. */
  name: 'name',
  /** End of the membership, RFC 3339. */
  notAfter: 'notAfter',
} as const;

/** Name of the ConfigMap: one a network and peer. */
export const userEntryName = (network: string, peerId: string): string =>
  `${network}-user-${createHash('sha256').update(peerId).digest('hex').slice(0, 16)}`;

/** Labels of the ConfigMap of a user of a network. */
export const userEntryLabels = (network: string): Readonly<Record<string, string>> => ({
  ...USER_ENTRY_LABELS,
  [LABELS.network]: network,
});
