import { findCondition, type ModelShardStatus, REASONS, readyText } from '../../api/index.ts';
import { shardRange } from '../../chunks/index.ts';
import type { Model, ModelShard } from '../kinds.ts';
import { type Judgement, judged, no, progress, unknown, yes } from '../verdicts.ts';
import { availableReplicas, type Copy, type HoldersInput, type Location, nextHolders, progressOf } from './holders.ts';
import type { Placing, Shortage } from './plan.ts';
import { nextRepair, type Repair } from './repair.ts';

/** A new version may take so long to reach its holders before FullyReplicated says no, so that it does not flap. ms */
const FETCH_GRACE_MS = 30_000;

/** A version that a shard is a part of. */
export interface ShardVersion {
  readonly cid: string;
  readonly chunks: number;
  readonly bytes: number;
  /** Unix ms. */
  readonly certifiedAt: number;
}

/** All that is known of one shard at one moment. */
export interface ShardWorld {
  readonly shard: ModelShard;
  /** Unix ms. */
  readonly now: number;
  readonly model: Model | undefined;
  /** The version that the shard is a part of: pinned, or the model's newest certified one. */
  readonly version: ShardVersion | undefined;
  /** Where the shard should be. */
  readonly placing: Placing;
  /** Validators that exist in the network, whether they may be holders or not. */
  readonly existing: ReadonlySet<string>;
  /** Of these, those whose copies do not count any more, and why. */
  readonly failed: ReadonlyMap<string, 'Lost' | 'Corrupt'>;
  /** By validator: what it holds of this shard; absent where it was not heard. */
  readonly copies: ReadonlyMap<string, Copy>;
  readonly locations: ReadonlyMap<string, Location>;
  /** The operator listens for long enough that silence means something. */
  readonly listening: boolean;
}

/** Chunks of the version that the shard is, from `from` to `to` (exclusive). */
export const chunksOfShard = ({ spec }: ModelShard, version: ShardVersion): readonly [from: number, to: number] =>
  shardRange(version.chunks, spec.index, spec.of);

/**
 * The version that the shard is a part of is not known at this moment: the Model is seen as it was before it had one, as its
 * cache is behind the shard's, or nobody has reported a pinned one yet. To go by that would be to forget a certified
 * version, and to let go of copies before there are others.
 */
function isVersionForgotten({ shard, model, version }: ShardWorld): boolean {
  const { versionCid: recorded } = shard.status ?? {};
  if (model === undefined || version !== undefined || recorded === undefined) return false;
  const pinned = shard.spec.versionCid;
  return pinned === undefined ? model.status?.version === undefined : pinned === recorded;
}

/** The status that follows: holders, how many copies there are, and what is being repaired. */
export function shardStatus(world: ShardWorld): ModelShardStatus {
  const { shard, version, now, placing } = world;
  if (shard.status !== undefined && isVersionForgotten(world)) return shard.status;
  const { replicas } = shard.spec;
  const before = shard.status;
  const input = holdersInput(world);
  const { chunks } = input;
  const holders = nextHolders(input);
  // Until the others have been heard, how many copies are live is not known: what was written stays.
  const live = availableReplicas(holders, input);
  const available = world.listening ? live : Math.max(live, before?.availableReplicas ?? 0);
  const isWhole = chunks !== undefined && placing.isPlaced && live >= replicas;
  const replicatedCid = isWhole ? version?.cid : before?.replicatedCid;
  const repair = nextRepair({
    ...{ now, replicas, available },
    before: input.before,
    underWay: before?.repair,
    isPlaced: chunks !== undefined && replicatedCid !== undefined,
    existing: world.existing,
    failed: world.failed,
  });
  const { held, wanted } = progressOf(holders, input);
  const judgements = judgeShard({ ...world, chunks, available, repair, copied: `${held} of ${wanted} chunks` });
  const conditions = judged(before?.conditions, judgements, shard.metadata.generation, now);
  return {
    ...(shard.metadata.generation === undefined ? {} : { observedGeneration: shard.metadata.generation }),
    ready: readyText(conditions.find(({ type }) => type === 'Ready')),
    conditions,
    ...(version === undefined || chunks === undefined
      ? {}
      : { versionCid: version.cid, chunks, bytes: bytesOf(version, chunks), copied: `${held}/${wanted}` }),
    holders: [...holders],
    availableReplicas: available,
    ...(replicatedCid === undefined ? {} : { replicatedCid }),
    ...(repair === undefined ? {} : { repair }),
  };
}

function holdersInput(world: ShardWorld): HoldersInput {
  const { shard, version, placing, copies, existing, failed, listening, locations } = world;
  const [from, to] = version === undefined ? [0, 0] : chunksOfShard(shard, version);
  return {
    before: shard.status?.holders ?? [],
    wanted: placing.wanted,
    isPlaced: placing.isPlaced,
    replicas: shard.spec.replicas,
    chunks: version === undefined ? undefined : to - from,
    ...{ copies, existing, failed, listening, locations },
  };
}

/** Bytes of so many chunks of a version. */
export const bytesOf = (version: ShardVersion, chunks: number): number =>
  version.chunks === 0 ? 0 : Math.round((version.bytes * chunks) / version.chunks);

/** What a shard is hashed by: not its uid, so that a shard made again finds its copies where they were. */
export const placementKey = (shard: ModelShard): string =>
  `${shard.metadata.namespace ?? ''}/${shard.spec.modelRef.name}/${shard.spec.index}/${shard.spec.of}`;

interface Judged extends ShardWorld {
  readonly chunks: number | undefined;
  readonly available: number;
  readonly repair: Repair | undefined;
  /** How far copying has come, in words. */
  readonly copied: string;
}

function judgeShard(world: Judged): readonly Judgement[] {
  const { shard, model, placing, available, chunks } = world;
  if (model === undefined) {
    const gone = no(
      'Ready',
      REASONS.SpecInvalid,
      `Model ${shard.spec.modelRef.name} does not exist in this namespace. Make it, or delete this ModelShard.`,
    );
    return [gone, ...both(unknown, REASONS.SpecInvalid, gone.message), ...progress(gone)];
  }
  if (placing.shortage !== undefined) {
    const { reason, message } = judgeShortage(world, placing.shortage);
    const ready = no('Ready', reason, message);
    // Copies that are there are there, though their volumes are too full for the next version.
    const isWhole = available >= shard.spec.replicas;
    const replicated = isWhole ? judgeReplicated(world) : no('FullyReplicated', reason, message);
    return [ready, judgeAvailable(available, chunks), replicated, ...progress(ready)];
  }
  if (chunks === undefined) {
    const message = 'No version of the model has been certified yet.';
    const ready = yes('Ready', REASONS.NoVersion, `${message} There is nothing to hold.`);
    return [ready, ...both(unknown, REASONS.NoVersion, message), ...progress(ready)];
  }
  const replicated = judgeReplicated(world);
  const ready = { ...replicated, type: 'Ready' };
  // Copies that are under way need nobody's help.
  const working = replicated.status === 'True' ? ready : { ...ready, reason: REASONS.InProgress };
  return [working, judgeAvailable(available, chunks), replicated, ...progress(working)];
}

function judgeShortage(
  { shard, placing }: Judged,
  shortage: Shortage,
): { readonly reason: 'CapacityExceeded' | 'UnderReplicated'; readonly message: string } {
  const { replicas } = shard.spec;
  if (shortage.of === 'validators') {
    return {
      reason: REASONS.UnderReplicated,
      message:
        `${shortage.candidates} validators can hold this shard, and ${replicas} should. ` +
        `Add validators, or lower shards.replicas of the Model.`,
    };
  }
  const { bytes, candidates, fitting } = shortage;
  const replica = `A replica takes ${inWords(bytes)} with all versions that are kept.`;
  const toDo = 'Enlarge storage.size, add validators, or lower shards.replicas or versions.keep of the Model.';
  return {
    reason: REASONS.CapacityExceeded,
    message: placing.isPlaced
      ? `${replica} ${fitting} of ${candidates} validators have room for that, and ${replicas} should hold it. ${toDo}`
      : `${replica} ${candidates} validators have no room for ${replicas} replicas of each of ${shard.spec.of} shards. ${toDo} ` +
        `Until then the model is placed nowhere, and its chunks stay where they are.`,
  };
}

function inWords(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

function judgeReplicated({ shard, version, now, available, repair, copied, placing }: Judged): Judgement {
  const { replicas } = shard.spec;
  if (available >= replicas) {
    return yes('FullyReplicated', REASONS.Reconciled, `${available} validators hold every chunk.`);
  }
  const isNew = version !== undefined && now - version.certifiedAt < FETCH_GRACE_MS;
  if (isNew && repair === undefined && findCondition(shard, 'FullyReplicated')?.status === 'True') {
    return yes(
      'FullyReplicated',
      REASONS.Reconciled,
      'A version that was just certified is on its way to the holders.',
    );
  }
  const counted = `${available} of ${replicas} validators hold every chunk`;
  if (repair === undefined) {
    return no('FullyReplicated', REASONS.UnderReplicated, `${counted}; copying: ${copied} are there.`);
  }
  const lost = repair.lost.join(', ');
  const to = placing.wanted.join(', ');
  return no('FullyReplicated', REASONS.Repairing, `${counted}. Lost: ${lost}. Copying to ${to}: ${copied} are there.`);
}

function judgeAvailable(available: number, chunks: number | undefined): Judgement {
  if (chunks === undefined) return unknown('Available', REASONS.NoVersion, 'No version has been certified yet.');
  return available > 0
    ? yes('Available', REASONS.Reconciled, `${available} live validators hold every chunk.`)
    : no('Available', REASONS.UnderReplicated, 'No live validator holds every chunk of this shard.');
}

const both = (
  make: (type: string, reason: Judgement['reason'], message: string) => Judgement,
  reason: Judgement['reason'],
  message: string,
): readonly Judgement[] => [make('Available', reason, message), make('FullyReplicated', reason, message)];
