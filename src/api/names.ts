import { createHash } from 'node:crypto';

/** API group of every kind. */
export const GROUP = 'murmuration.dev';
/** The one served version of the group. */
export const VERSION = 'v1alpha1';
/** `apiVersion` of every object of ours. */
export const API_VERSION = `${GROUP}/${VERSION}` as const;

/** Labels on the objects that the operator makes; selectors and NetworkPolicies rely on them. */
export const LABELS = {
  /** Name of the ValidatorFleet that the object belongs to. */
  fleet: 'murmuration.dev/fleet',
  /** Name of the overlay network; on every validator pod, so a NetworkPolicy can select them. */
  network: 'murmuration.dev/network',
  /** Name of the ValidatorNode that the object belongs to. */
  node: 'murmuration.dev/node',
  /** Name of the Model that the object belongs to. */
  model: 'murmuration.dev/model',
  /** Index of the ModelShard within its model, in decimal. */
  shard: 'murmuration.dev/shard',
  /** Hash of the fleet's template that a ValidatorNode was made from. */
  templateHash: 'murmuration.dev/template-hash',
} as const;

/** Annotations that the operator reads or writes. */
export const ANNOTATIONS = {
  /** Hash of the pod as the operator planned it; a pod whose hash differs is replaced. */
  podHash: 'murmuration.dev/pod-hash',
  /** A person's word that the pod of a lost node is gone for good and may be replaced. Value: the pod's uid. */
  podIsGone: 'murmuration.dev/pod-is-gone',
  /** A person's word that a ValidatorNode that is being deleted may go before its chunks are held elsewhere. Value: its uid. */
  skipDrain: 'murmuration.dev/skip-drain',
} as const;

/** The one finalizer, on ValidatorNode only: drain, then release the stake key. */
export const FINALIZER = 'murmuration.dev/validator';
/** Field manager of server-side apply. */
export const FIELD_MANAGER = 'murmuration';
/** Name of the network where none is given. */
export const DEFAULT_NETWORK = 'default';

/** Name of the ConfigMap that a network's charter is recorded in. */
export const charterName = (network: string): string => `${network}-charter`;
/** Key of its binary data. */
export const CHARTER_FILE = 'charter.bin';
/** Name of the ConfigMap, in the operator's namespace, that remembers which key signs charters. */
export const AUTHORITY_RECORD = 'murmuration-authority-record';
/** Keys of its data: the peer ids of the authority and of the operator. */
export const RECORD_FIELDS = { authority: 'authorityPeerId', overlay: 'overlayPeerId' } as const;

/** Longest ValidatorNode and Model name: room for suffixes of children within the 63 characters of a label. */
export const NAME_MAX = 52;
/** Longest ValidatorFleet name: a ValidatorNode name less `-` and an ordinal of four digits. */
export const FLEET_NAME_MAX = 47;

/** Name of the ValidatorNode with this ordinal in a fleet: `flock-0`. */
export const nodeName = (fleet: string, ordinal: number): string => `${fleet}-${ordinal}`;

/** The ordinal in a ValidatorNode's name, or undefined where the name is not one that {@link nodeName} makes. */
export function ordinalOf(fleet: string, name: string): number | undefined {
  if (!name.startsWith(`${fleet}-`)) return undefined;
  const digits = name.slice(fleet.length + 1);
  return /^(0|[1-9][0-9]{0,8})$/.test(digits) ? Number(digits) : undefined;
}

/** Name of a ModelShard: `digits-0`. */
export const shardName = (model: string, index: number): string => `${model}-${index}`;

/**
 * Name of the StakeKeyReservation of a key: sha2-256 of the public key's bytes in lower-case hex (64 characters), so
 * that two validators that claim one key meet at one object.
 * @param publicKey the public key in lower-case hex
 */
export const reservationName = (publicKey: string): string =>
  createHash('sha256').update(Buffer.from(publicKey, 'hex')).digest('hex');

/** A CID as people see it in a column: `bafk…q3e`. The whole CID stays in the field beside it. */
export const shortCid = (cid: string): string => (cid.length <= 9 ? cid : `${cid.slice(0, 4)}…${cid.slice(-3)}`);
