import type { ModelSpec } from '../api/index.ts';

/**
 * What a member may do. Validators learn, vote and hold chunks; an observer (the operator) listens; a user asks
 * for predictions and versions and is not listened to on gossip topics.
 */
export type Role = 'validator' | 'observer' | 'user';

/** One peer that is let in. */
export interface Member {
  /** libp2p peer id text (`12D3KooW...`). */
  readonly peerId: string;
  /** Name of the ValidatorNode, or `operator`. */
  readonly name: string;
  /** Compressed secp256k1 public key in hex (66 characters); empty for members that do not vote. */
  readonly stakeKey: string;
  /** Voting weight: the amount staked, 0 for members that do not vote. */
  readonly weight: number;
  readonly role: Role;
  /** Unix seconds after which the membership is over; 0: no end. */
  readonly notAfter: number;
  /** Multiaddrs to dial, such as `/dns4/flock-0.ns.svc/tcp/4001`; empty for a member that only dials. */
  readonly addresses: readonly string[];
}

/** One learning task of the network, at one generation of its spec. */
export interface CharterModel {
  readonly uid: string;
  readonly name: string;
  readonly generation: number;
  readonly spec: ModelSpec;
  /** Seed of the shared probe that neighbours score each other's updates on. */
  readonly probeSeed: number;
  /** Labels of the Model object, to find it by; absent where it has none. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Most labels of a model that a charter carries. */
export const maxModelLabels = 32;

/** Who holds shard `index` of `of` of a model's versions. */
export interface Placement {
  /** uid of the model. */
  readonly model: string;
  readonly index: number;
  readonly of: number;
  /** Peer ids. */
  readonly holders: readonly string[];
  /** CID of the manifest that the shard is pinned to; absent: the latest certified version. */
  readonly versionCid?: string;
}

/** A model whose spec this build cannot read: it was written by a newer operator. */
export interface UnreadableModel {
  readonly uid: string;
  readonly name: string;
  readonly message: string;
}

/** The operator's word to a network. A higher `seq` replaces a lower one, for ever. */
export interface Charter {
  /** `namespace/network`. */
  readonly network: string;
  readonly seq: number;
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly members: readonly Member[];
  readonly models: readonly CharterModel[];
  readonly placements: readonly Placement[];
  /** Filled in by `openCharter`: models left out of `models`, to be reported; not part of what is signed. */
  readonly unreadable?: readonly UnreadableModel[];
}

/** True when the member is in force at `nowSeconds` (unix seconds). */
export function isCurrent(member: Member, nowSeconds: number): boolean {
  return member.notAfter === 0 || nowSeconds <= member.notAfter;
}

/** The members in force at `nowSeconds` (unix seconds), by peer id. */
export function currentMembers(charter: Charter, nowSeconds: number): ReadonlyMap<string, Member> {
  return new Map(charter.members.filter((m) => isCurrent(m, nowSeconds)).map((m) => [m.peerId, m]));
}
