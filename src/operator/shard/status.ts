import { findCondition, type ModelShardStatus, REASONS } from '../../api/index.ts';
import { shardRange } from '../../chunks/index.ts';
import type { Model, ModelShard } from '../kinds.ts';
import { type Judgement, judged, no, progress, unknown, yes } from '../verdicts.ts';
import { availableReplicas, type Copy, type Holder, nextHolders } from './holders.ts';
import { type Candidate, place } from './placement.ts';

/** A new version may take so long to reach its holders before FullyReplicated says no, so that it does not flap. ms */
const FETCH_GRACE_MS = 30_000;

/** All that is known of one shard at one moment. */
export interface ShardWorld {
  readonly shard: ModelShard;
  /** Unix ms. */
  readonly now: number;
  readonly model: Model | undefined;
  /** The version that the shard is a part of: pinned, or the model's newest certified one. */
  readonly version:
    | {
        readonly cid: string;
        readonly chunks: number;
        readonly bytes: number;
        /** Unix ms. */
        readonly certifiedAt: number;
      }
    | undefined;
  /** Validators that may hold it. */
  readonly candidates: readonly Candidate[];
  /** Validators that exist in the network, candidates or not. */
  readonly existing: ReadonlySet<string>;
  /** By validator: what it holds of this shard; absent where it was not heard. */
  readonly copies: ReadonlyMap<string, Copy>;
  /** The operator listens for long enough that silence means something. */
  readonly listening: boolean;
}

/** The status that follows: holders, and how many copies there are. */
export function shardStatus(world: ShardWorld): ModelShardStatus {
  const { shard, version, now } = world;
  if (shard.status !== undefined && isModelBehind(world)) return shard.status;
  const [from, to] = version === undefined ? [0, 0] : shardRange(version.chunks, shard.spec.index, shard.spec.of);
  const chunks = version === undefined ? undefined : to - from;
  const wanted = place(placementKey(shard), world.candidates, shard.spec.replicas);
  const before = shard.status?.holders ?? [];
  const input = {
    before,
    wanted,
    replicas: shard.spec.replicas,
    chunks,
    copies: world.copies,
    existing: world.existing,
  };
  const holders = nextHolders(input);
  // Until the others have been heard, how many copies are live is not known: what was written stays.
  const live = availableReplicas(holders, input);
  const available = world.listening ? live : Math.max(live, shard.status?.availableReplicas ?? 0);
  const judgements = judgeShard(world, holders, available, chunks);
  const bytes =
    version === undefined || version.chunks === 0
      ? undefined
      : Math.round((version.bytes * (chunks ?? 0)) / version.chunks);
  return {
    ...(shard.metadata.generation === undefined ? {} : { observedGeneration: shard.metadata.generation }),
    conditions: judged(shard.status?.conditions, judgements, shard.metadata.generation, now),
    ...(version === undefined ? {} : { versionCid: version.cid, chunks: chunks ?? 0, bytes: bytes ?? 0 }),
    holders: [...holders],
    availableReplicas: available,
  };
}

/**
 * The Model is seen as it was before it had the version that the shard is a part of: its cache is behind the shard's. To
 * go by it would be to forget a certified version, and to let go of copies before there are others.
 */
const isModelBehind = ({ shard, model, version }: ShardWorld): boolean =>
  version === undefined &&
  model !== undefined &&
  model.status?.version === undefined &&
  shard.status?.versionCid !== undefined;

/** What a shard is hashed by: not its uid, so that a shard made again finds its copies where they were. */
export const placementKey = (shard: ModelShard): string =>
  `${shard.metadata.namespace ?? ''}/${shard.spec.modelRef.name}/${shard.spec.index}/${shard.spec.of}`;

function judgeShard(
  world: ShardWorld,
  holders: readonly Holder[],
  available: number,
  chunks: number | undefined,
): readonly Judgement[] {
  const { shard, model, candidates } = world;
  const { replicas } = shard.spec;
  if (model === undefined) {
    const gone = no(
      'Ready',
      REASONS.SpecInvalid,
      `Model ${shard.spec.modelRef.name} does not exist in this namespace. Make it, or delete this ModelShard.`,
    );
    return [gone, ...both(unknown, REASONS.SpecInvalid, gone.message), ...progress(gone)];
  }
  const wanted = holders.filter(({ state }) => state !== 'Draining').length;
  if (wanted < replicas) {
    const fitting = candidates.filter(({ fits }) => fits).length;
    const full = fitting < candidates.length && candidates.length >= replicas;
    const message = full
      ? `Only ${fitting} of ${candidates.length} validators have room for this shard, and ${replicas} should hold it. ` +
        `Enlarge storage.size, add validators, or lower versions.keep of the Model.`
      : `${candidates.length} validators can hold this shard, and ${replicas} should. ` +
        `Add validators, or lower shards.replicas of the Model.`;
    const reason = full ? REASONS.CapacityExceeded : REASONS.UnderReplicated;
    const ready = no('Ready', reason, message);
    return [ready, judgeAvailable(available, chunks), no('FullyReplicated', reason, message), ...progress(ready)];
  }
  if (chunks === undefined) {
    const message = 'No version of the model has been certified yet.';
    const ready = yes('Ready', REASONS.NoVersion, `${message} There is nothing to hold.`);
    return [ready, ...both(unknown, REASONS.NoVersion, message), ...progress(ready)];
  }
  const replicated = judgeReplicated(world, available);
  const ready = { ...replicated, type: 'Ready' };
  // Copies that are under way need nobody's help.
  const working = replicated.status === 'True' ? ready : { ...ready, reason: REASONS.InProgress };
  return [working, judgeAvailable(available, chunks), replicated, ...progress(working)];
}

function judgeReplicated({ shard, version, now }: ShardWorld, available: number): Judgement {
  const { replicas } = shard.spec;
  if (available >= replicas) {
    return yes('FullyReplicated', REASONS.Reconciled, `${available} validators hold every chunk.`);
  }
  const isNew = version !== undefined && now - version.certifiedAt < FETCH_GRACE_MS;
  if (isNew && findCondition(shard, 'FullyReplicated')?.status === 'True') {
    return yes(
      'FullyReplicated',
      REASONS.Reconciled,
      'A version that was just certified is on its way to the holders.',
    );
  }
  const message = `${available} of ${replicas} validators hold every chunk; copying.`;
  return no('FullyReplicated', REASONS.UnderReplicated, message);
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
