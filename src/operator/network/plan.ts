import { createHash } from 'node:crypto';
import type { ConfigMap, Pod } from '../../kube/index.ts';
import { type Charter, type CharterModel, type Member, maxModelLabels, type Placement } from '../../overlay/index.ts';
import { digestOf } from '../digest.ts';
import type { Model, ModelShard, ValidatorNode } from '../kinds.ts';
import { PORTS } from '../node/children/pod.ts';
import { isPodReady } from '../node/pod-state.ts';
import { MAX_USERS, usersOf } from './users.ts';

/** What a charter says, without its number and date. */
export type CharterContent = Pick<Charter, 'members' | 'models' | 'placements'>;

/** All that is known of one network at one moment. */
export interface NetworkWorld {
  /** `namespace/network`. */
  readonly network: string;
  readonly nodes: readonly { readonly node: ValidatorNode; readonly pod: Pod | undefined }[];
  readonly models: readonly Model[];
  readonly shards: readonly ModelShard[];
  /** What users ask to be let in with. */
  readonly users: readonly ConfigMap[];
  /** Unix seconds. */
  readonly nowSeconds: number;
  /** Peer id of the operator on the overlay. */
  readonly operator: string;
  /** Digest of the content that was recorded last; undefined where that charter is not ours or cannot be read. */
  readonly recordedContent: string | undefined;
  /** Its number, known also where the charter itself cannot be read; 0 where there is none. */
  readonly recordedSeq: number;
  /** Highest number heard under our own key, from peers. */
  readonly heardSeq: number;
}

/** What to say, if anything is new. */
export type CharterPlan =
  | { readonly say: 'nothing' }
  | { readonly say: 'charter'; readonly seq: number; readonly content: CharterContent; readonly overtaken: boolean };

/**
 * A new charter where the content differs from the recorded one, or where a higher number was heard under our own key
 * (a restored backup): then its content is not ours to know, and ours goes on above it.
 */
export function planCharter(world: NetworkWorld): CharterPlan {
  const content = charterContent(world);
  const overtaken = world.heardSeq > world.recordedSeq;
  if (world.recordedContent === digestOf(content) && !overtaken) return { say: 'nothing' };
  return { say: 'charter', seq: Math.max(world.recordedSeq, world.heardSeq) + 1, content, overtaken };
}

/** Everything in a fixed order, so that equal worlds give equal bytes. */
export function charterContent(world: NetworkWorld): CharterContent {
  const members = membersOf(world);
  // A user may be called as a validator is.
  const validators = members.filter(({ role }) => role === 'validator');
  const peers = new Map(validators.map(({ name, peerId }) => [name, peerId]));
  const models = fittingModels(world.models).toSorted(byName);
  return { members, models: models.map(charterModel), placements: placementsOf({ ...world, models }, peers) };
}

const madeAt = ({ metadata }: Model): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`;

/** What the specs and labels of all models may take of a charter, which has to fit into one ConfigMap with members and placements. */
export const MODELS_BYTES = 512 * 1024;

/** The models that a charter has room for, the oldest first: one that is too large must not silence the others. */
export function fittingModels(models: readonly Model[]): readonly Model[] {
  let left = MODELS_BYTES;
  return models
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => (madeAt(a) < madeAt(b) ? -1 : 1))
    .filter((model) => {
      const bytes = Buffer.byteLength(JSON.stringify([model.spec, labelsOf(model)]));
      if (bytes > left) return false;
      left -= bytes;
      return true;
    });
}

const byName = (a: { metadata: { name: string } }, b: { metadata: { name: string } }): number =>
  a.metadata.name < b.metadata.name ? -1 : 1;

/** What a charter has room for, see overlay/charter-shapes.ts. */
const MOST_MEMBERS = 2000;

function membersOf({ nodes, users, nowSeconds, operator }: NetworkWorld): readonly Member[] {
  const seen = new Set<string>([operator]);
  const validators: Member[] = [];
  for (const { node, pod } of [...nodes].sort((a, b) => byAge(a.node, b.node))) {
    const { peerId, stake } = node.status ?? {};
    // A peer is let in before its pod exists, and cut off when its pod goes for good.
    if (peerId === undefined || stake?.publicKey === undefined || !stake.reserved || isLeaving(node, pod)) continue;
    if (seen.has(peerId)) continue;
    seen.add(peerId);
    validators.push(memberOf(node, peerId, stake.publicKey));
  }
  const observer: Member = {
    peerId: operator,
    name: 'operator',
    stakeKey: '',
    weight: 0,
    role: 'observer',
    notAfter: 0,
    addresses: [],
  };
  const room = Math.max(0, Math.min(MAX_USERS, MOST_MEMBERS - 1 - validators.length));
  return [
    observer,
    ...validators.sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...usersOf(users, seen, nowSeconds, room),
  ];
}

/** Of two that claim one peer id, the older one keeps it. */
const byAge = (a: ValidatorNode, b: ValidatorNode): number =>
  (a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? -1 : 1;

const isLeaving = (node: ValidatorNode, pod: Pod | undefined): boolean =>
  node.metadata.deletionTimestamp !== undefined && (pod === undefined || pod.metadata.deletionTimestamp !== undefined);

function memberOf(node: ValidatorNode, peerId: string, stakeKey: string): Member {
  const { name, namespace = '' } = node.metadata;
  return {
    peerId,
    name,
    stakeKey,
    weight: node.spec.stake.amount,
    role: 'validator',
    notAfter: 0,
    addresses: [`/dns4/${name}.${namespace}.svc/tcp/${PORTS.p2p}`],
  };
}

function charterModel(model: Model): CharterModel {
  const { uid = '', name, generation = 0 } = model.metadata;
  const labels = labelsOf(model);
  return {
    uid,
    name,
    generation,
    spec: model.spec,
    probeSeed: probeSeed(uid),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

/** Labels to find a model by; beyond so many those whose names come last are left out. */
const labelsOf = ({ metadata }: Model): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(metadata.labels ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, maxModelLabels),
  );

/** The same for everybody who knows the model's uid: 31 bits of its digest. */
export const probeSeed = (uid: string): number =>
  createHash('sha256').update(uid).digest().readUInt32BE(0) & 0x7f_ff_ff_ff;

function placementsOf({ models, shards }: NetworkWorld, peers: ReadonlyMap<string, string>): readonly Placement[] {
  const uids = new Map(models.map(({ metadata }) => [metadata.name, metadata.uid ?? '']));
  return [...shards].sort(byName).flatMap((shard) => {
    const model = uids.get(shard.spec.modelRef.name);
    if (model === undefined || shard.metadata.deletionTimestamp !== undefined) return [];
    const { index, of, versionCid } = shard.spec;
    const holders = (shard.status?.holders ?? [])
      .map(({ node }) => peers.get(node))
      .filter((peer) => peer !== undefined)
      .sort();
    return [{ model, index, of, holders, ...(versionCid === undefined ? {} : { versionCid }) }];
  });
}

/** Where the operator can reach the pods that run: by IP, which needs no DNS outside the cluster. */
export function dialable(world: Pick<NetworkWorld, 'nodes'>): ReadonlyMap<string, string> {
  return new Map(
    world.nodes.flatMap(({ node, pod }) => {
      const { podIP } = pod?.status ?? {};
      const { peerId } = node.status ?? {};
      if (peerId === undefined || podIP === undefined || pod?.metadata.deletionTimestamp !== undefined) return [];
      if (pod?.status?.phase !== 'Running' && !isPodReady(pod)) return [];
      const family = podIP.includes(':') ? 'ip6' : 'ip4';
      return [[peerId, `/${family}/${podIP}/tcp/${PORTS.p2p}`]] as const;
    }),
  );
}
