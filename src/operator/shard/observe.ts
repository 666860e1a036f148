import { type ModelShardStatus, parseQuantity } from '../../api/index.ts';
import type { Model, ModelShard, ValidatorNode } from '../kinds.ts';
import { type Heard, isFresh } from '../network/heard.ts';
import { type Ears, type Standing, standingOf } from './candidates.ts';
import { heldOf } from './held.ts';
import { type Copy, isWanted, type Location } from './holders.ts';
import type { Demand, Place, Placing, planShards } from './plan.ts';
import { bytesOf, chunksOfShard, placementKey, type ShardVersion, type ShardWorld, shardStatus } from './status.ts';

const GIB = 2 ** 30;
/** Label of a machine with its zone. */
const ZONE = 'topology.kubernetes.io/zone';
/** Share of a volume that is left free: learning state, charters, what the file system takes. */
const MARGIN = 0.1;
/** Room is told in so many steps of the volume's size, and reputation in so many of the whole, so that plans last. */
const CAPACITY_STEPS = 64;
const REPUTATION_STEPS = 20;
/** Least weight: one whose reputation is nothing takes a little where nobody else can. */
const LEAST_WEIGHT = 0.01;

/** What of a machine placement goes by. */
export interface Machine {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** It is cordoned: what runs there is about to be moved. */
  readonly isCordoned: boolean;
  /** Its kubelet has gone silent. */
  readonly isLost: boolean;
}

/** All that is known around the shards of one network at one moment. */
export interface Surroundings<S extends ModelShard = ModelShard> {
  /** Unix ms. */
  readonly now: number;
  readonly ears: Ears;
  readonly models: readonly Model[];
  readonly shards: readonly S[];
  /** Every validator of the network. */
  readonly nodes: readonly ValidatorNode[];
  /** What was heard of a validator. */
  readonly heard: (node: string) => Heard | undefined;
  /** The machine that a validator's pod is on. */
  readonly machineOf: (node: string) => string | undefined;
  /** What is known of a machine. */
  readonly machine: (name: string) => Machine | undefined;
}

/** What follows for the shards of a network. */
export interface Outcome<S extends ModelShard = ModelShard> {
  /** Those with the fewest live replicas first. */
  readonly shards: readonly { readonly shard: S; readonly status: ModelShardStatus }[];
  /** Unix ms at which the next holder is lost if it stays silent. */
  readonly lookAt: number | undefined;
}

/** Places the shards of a network, and judges each. @param plan {@link planShards}, or one that remembers */
export function judgeShards<S extends ModelShard>(around: Surroundings<S>, plan: typeof planShards): Outcome<S> {
  const { now, ears, nodes, shards, models } = around;
  const standings = new Map(
    nodes.map((node) => [node.metadata.name, standingOf(node, around.heard(node.metadata.name), ears, now)]),
  );
  const locations = locate(around);
  const ofModel = new Map(models.map((model) => [model.metadata.name, model]));
  const scenes = shards
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map((shard) => sceneOf(around, shard, ofModel.get(shard.spec.modelRef.name), standings))
    .sort(byAge);
  const reserve = Math.max(0, ...models.map(({ status }) => status?.version?.bytes ?? 0));
  const places = nodes.flatMap((node) => placeOf(around, node, standings, locations, reserve));
  const placings = plan(
    scenes.flatMap(({ demand }) => demand ?? []),
    places,
  );
  const existing = new Set(nodes.map(({ metadata }) => metadata.name));
  const failed = new Map<string, 'Lost' | 'Corrupt'>();
  for (const [node, { is }] of standings) {
    if (is === 'lost') failed.set(node, 'Lost');
    if (is === 'corrupt') failed.set(node, 'Corrupt');
  }
  const judged = scenes.map(({ shard, model, version, live }) => {
    const placing = placings.get(shard.metadata.name) ?? NOWHERE;
    const copies = new Map<string, Copy>();
    for (const node of new Set([...placing.wanted, ...(shard.status?.holders ?? []).map((holder) => holder.node)])) {
      const copy = copyOf(around, node, shard, version, standings);
      if (copy !== undefined) copies.set(node, copy);
    }
    const listening = ears.since !== undefined;
    const world: ShardWorld = {
      ...{ shard, now, model, version, placing, failed, copies, locations, listening },
      existing: model === undefined ? new Set() : existing,
    };
    return { shard, live, status: shardStatus(world) };
  });
  return { shards: judged.sort((a, b) => a.live - b.live), lookAt: nextLoss(standings, shards, now) };
}

const NOWHERE: Placing = { wanted: [], shortage: undefined, isPlaced: true };

interface Scene<S extends ModelShard = ModelShard> {
  readonly shard: S;
  readonly model: Model | undefined;
  readonly version: ShardVersion | undefined;
  readonly live: number;
  readonly demand: Demand | undefined;
}

/** Models are served in the order in which they were made, their shards by index, then those made by hand. */
function byAge(a: Scene, b: Scene): number {
  const key = ({ model, shard }: Scene): readonly (string | number)[] => [
    model?.metadata.creationTimestamp ?? '~',
    shard.spec.modelRef.name,
    shard.spec.versionCid === undefined ? 0 : 1,
    shard.spec.index,
    shard.metadata.name,
  ];
  const [left, right] = [key(a), key(b)];
  const at = left.findIndex((part, index) => part !== right[index]);
  return at < 0 ? 0 : (left[at] ?? '') < (right[at] ?? '') ? -1 : 1;
}

function sceneOf<S extends ModelShard>(
  around: Surroundings,
  shard: S,
  model: Model | undefined,
  standings: ReadonlyMap<string, Standing>,
): Scene<S> {
  if (model === undefined) return { shard, model, version: undefined, live: 0, demand: undefined };
  const version = versionOf(around, shard, model);
  const holders = shard.status?.holders ?? [];
  const live = holders.filter(({ node }) => {
    const copy = copyOf(around, node, shard, version, standings);
    return copy?.live && copy.sound && version !== undefined && copy.chunks >= sizeOf(shard, version);
  }).length;
  const keep = shard.spec.versionCid === undefined ? model.spec.versions.keep : 1;
  const bytes = version === undefined ? (shard.status?.bytes ?? 0) : bytesOf(version, sizeOf(shard, version));
  const { replicas, placement } = shard.spec;
  const demand: Demand = {
    name: shard.metadata.name,
    key: placementKey(shard),
    group: shard.spec.versionCid === undefined ? `model ${model.metadata.name}` : `shard ${shard.metadata.name}`,
    replicas,
    bytes: bytes * keep,
    spread: placement.spread,
    nodeSelector: placement.nodeSelector,
    live: Math.min(live, replicas),
    isPlaced: shard.status?.replicatedCid !== undefined,
    isSteady: around.ears.since === undefined,
    // A silent holder that comes back while its copy is being made anew is one again.
    holders: holders.map((holder) => ({ node: holder.node, stays: isWanted(holder) || holder.state === 'Lost' })),
  };
  return { shard, model, version, live, demand };
}

function sizeOf(shard: ModelShard, version: ShardVersion): number {
  const [from, to] = chunksOfShard(shard, version);
  return to - from;
}

/** The pinned version, in the size that most of those say who hold some of it; else the model's newest. */
function versionOf({ nodes, heard }: Surroundings, shard: ModelShard, model: Model): ShardVersion | undefined {
  const newest = model.status?.version;
  const pinned = shard.spec.versionCid;
  if (pinned === undefined || pinned === newest?.cid) {
    if (newest === undefined) return undefined;
    const { cid, chunks, bytes } = newest;
    return { cid, chunks, bytes, certifiedAt: Date.parse(newest.certifiedAt) };
  }
  const sizes = new Map<number, number>();
  for (const { metadata } of nodes) {
    const report = heard(metadata.name)?.report;
    const chunks = report === undefined ? undefined : heldOf(report, pinned)?.chunks;
    if (chunks !== undefined) sizes.set(chunks, (sizes.get(chunks) ?? 0) + 1);
  }
  const said = [...sizes.values()].reduce((sum, count) => sum + count, 0);
  const chunks = [...sizes].find(([, count]) => count * 2 > said)?.[0];
  if (chunks === undefined) return undefined;
  const bytes = newest?.chunks === chunks ? newest.bytes : chunks * model.spec.shards.chunkBytes;
  return { cid: pinned, chunks, bytes, certifiedAt: 0 };
}

function copyOf(
  { heard, now }: Surroundings,
  node: string,
  shard: ModelShard,
  version: ShardVersion | undefined,
  standings: ReadonlyMap<string, Standing>,
): Copy | undefined {
  const what = heard(node);
  if (what === undefined || version === undefined) return undefined;
  const held = heldOf(what.report, version.cid);
  const [from, to] = chunksOfShard(shard, version);
  // A map of another length is of another division of the bytes: it says nothing.
  const chunks = held?.chunks === version.chunks ? held.count(from, to) : 0;
  return { chunks, live: isFresh(what, now), sound: standings.get(node)?.sound ?? false };
}

/** Where each validator's pod is; for a holder whose pod is on no machine, where it was. */
function locate({ nodes, shards, machineOf, machine }: Surroundings): ReadonlyMap<string, Location> {
  const recorded = new Map<string, string>();
  for (const { status } of shards) {
    for (const holder of status?.holders ?? []) {
      if (holder.machine !== undefined) recorded.set(holder.node, holder.machine);
    }
  }
  return new Map(
    nodes.flatMap(({ metadata: { name } }) => {
      const on = machineOf(name) ?? recorded.get(name);
      return on === undefined ? [] : [[name, { machine: on, zone: machine(on)?.labels?.[ZONE] }] as const];
    }),
  );
}

function placeOf(
  { heard, machine, ears }: Surroundings,
  node: ValidatorNode,
  standings: ReadonlyMap<string, Standing>,
  locations: ReadonlyMap<string, Location>,
  reserve: number,
): readonly Place[] {
  const { name } = node.metadata;
  const standing = standings.get(name);
  if (standing?.is !== 'fit') return [];
  const at = locations.get(name);
  const on = at === undefined ? undefined : machine(at.machine);
  const size = parseQuantity(node.spec.storage.size);
  const disk = heard(name)?.report.disk;
  const step = size / CAPACITY_STEPS;
  const capacity =
    disk === undefined ? size : Math.min(size, Math.floor((disk.usedBytes + disk.freeBytes) / step) * step);
  const reputation = Math.round(standing.reputation * REPUTATION_STEPS) / REPUTATION_STEPS;
  const isGone = on?.isLost === true && !standing.fresh && ears.since !== undefined;
  return [
    {
      node: name,
      weight: Math.max(LEAST_WEIGHT, inSteps(capacity / GIB) * reputation),
      machine: at?.machine,
      zone: at?.zone,
      labels: on?.labels,
      // A pod that is nowhere, or where it cannot stay, is given what nobody else can take.
      grade: on?.isCordoned || isGone || at === undefined ? 1 : 0,
      capacity,
      reserve: Math.round(capacity * MARGIN) + reserve,
      isOpen: standing.isOpen && (standing.fresh || disk === undefined),
    },
  ];
}

/** In steps of a fifth, so that a volume that fills and empties a little weighs the same. */
const inSteps = (gib: number): number => 2 ** (Math.round(Math.log2(Math.max(2 ** -10, gib)) * 4) / 4);

/** When the next of those that hold something is lost, if it stays silent. */
function nextLoss(
  standings: ReadonlyMap<string, Standing>,
  shards: readonly ModelShard[],
  now: number,
): number | undefined {
  const holders = new Set(shards.flatMap(({ status }) => (status?.holders ?? []).map(({ node }) => node)));
  const times = [...holders].flatMap((node) => {
    const lostAt = standings.get(node)?.lostAt;
    return lostAt !== undefined && lostAt > now ? [lostAt] : [];
  });
  return times.length === 0 ? undefined : Math.min(...times);
}
