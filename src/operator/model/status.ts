import {
  findCondition,
  type ModelStatus,
  meets,
  parseQuorum,
  REASONS,
  type Reason,
  readyText,
  shortCid,
} from '../../api/index.ts';
import type { ModelReport } from '../../overlay/index.ts';
import type { Model, ModelShard } from '../kinds.ts';
import { type Heard, isDistrusted, isFresh, modelReport } from '../network/heard.ts';
import type { CertifiedVersion } from '../network/view.ts';
import { mean, measured } from '../numbers.ts';
import type { Refusal } from '../refusal.ts';
import { type Judgement, judged, no, progress, unknown, yes } from '../verdicts.ts';
import type { Point } from './curve.ts';
import { reachedOf, rests, startedAt, type Toward, toward } from './toward.ts';

/** An age that has not grown for so long has stopped growing. ms */
const STUCK_MS = 60_000;

/** One validator of the model's network. */
export interface Learner {
  readonly node: string;
  /** Its voting weight. */
  readonly weight: number;
  /** On its way out: its metrics do not count any more. */
  readonly leaving: boolean;
  readonly heard: Heard | undefined;
}

/** All that is known of one model at one moment. */
export interface ModelWorld {
  readonly model: Model;
  /** Unix ms. */
  readonly now: number;
  readonly learners: readonly Learner[];
  readonly shards: readonly ModelShard[];
  /** The newest certified version that was heard of. */
  readonly version: CertifiedVersion | undefined;
  readonly listening: boolean;
  /** How the value furthest from the target moved lately. */
  readonly curve: readonly Point[];
}

/** What is fresh of the model, validator by validator. */
interface Said {
  readonly node: string;
  readonly weight: number;
  readonly grewAt: number | undefined;
  readonly report: ModelReport;
}

/** The status that follows. What was last measured stays until something newer is heard. */
export function modelStatus(world: ModelWorld, refused: readonly Refusal[] = []): ModelStatus {
  const { model, now, shards } = world;
  const before = model.status;
  const said = freshReports(world);
  const aim = aimOf(world, said);
  const conditions = judged(before?.conditions, judgeModel(world, said, refused, aim), model.metadata.generation, now);
  const version = versionOf(world, said);
  const total = shards.length;
  const ready = shards.filter((shard) => findCondition(shard, 'FullyReplicated')?.status === 'True').length;
  return {
    ...(model.metadata.generation === undefined ? {} : { observedGeneration: model.metadata.generation }),
    ready: readyText(conditions.find(({ type }) => type === 'Ready')),
    conditions,
    ...(version === undefined ? {} : { version }),
    ...numbers(said, before),
    ...aim,
    shards: { ready, total, summary: `${ready}/${total}` },
  };
}

/** Whether its numbers count: one that leaves is of the past, and one that does harm would say what suits it. */
const counts = ({ leaving, heard }: Learner): boolean => !leaving && !isDistrusted(heard);

function freshReports({ model, learners, now }: Pick<ModelWorld, 'model' | 'learners' | 'now'>): readonly Said[] {
  return learners.filter(counts).flatMap(({ node, weight, heard }) => {
    if (!isFresh(heard, now)) return [];
    const report = modelReport(heard, model.metadata.uid ?? '');
    return report === undefined ? [] : [{ node, weight, grewAt: heard.grewAt.get(report.uid), report }];
  });
}

/** The value furthest from the target now, once every validator that stays tells one. */
export function furthest(world: Pick<ModelWorld, 'model' | 'learners' | 'now'>): Point | undefined {
  const { target } = world.model.spec.learning;
  if (target === undefined) return undefined;
  const staying = world.learners.filter(counts).length;
  const values = freshReports(world).flatMap(({ report }) => report[target.metric] ?? []);
  if (values.length === 0 || values.length < staying) return undefined;
  return { at: world.now, value: target.metric === 'accuracy' ? Math.min(...values) : Math.max(...values) };
}

/** When it began, and how far it is to the target. */
function aimOf(world: ModelWorld, said: readonly Said[]): Toward {
  const { model, now, learners, listening, curve } = world;
  const started = startedAt(model.status, Math.max(0, ...said.map(({ report }) => report.age)), now);
  const { target } = model.spec.learning;
  if (target === undefined) return started;
  const staying = learners.filter(counts);
  const known = new Map(said.map(({ node, report }) => [node, report[target.metric]]));
  const values = staying.map(({ node }) => known.get(node));
  // Until everybody can have been heard, silence says nothing.
  if (!listening && said.length < staying.length && model.status?.target !== undefined)
    return { ...started, target: model.status.target };
  return { ...started, target: toward(target, { before: model.status, started, values, curve, now }) };
}

/** The numbers of the MODEL columns: the least accuracy, the mean loss and divergence, the greatest age. */
export function convergence(reports: readonly ModelReport[]): {
  readonly accuracy: number | undefined;
  readonly loss: number | undefined;
  readonly divergence: number | undefined;
  readonly updates: number | undefined;
} {
  const known = (values: readonly (number | null)[]): readonly number[] => values.filter((value) => value !== null);
  const accuracies = known(reports.map(({ accuracy }) => accuracy));
  return {
    accuracy: accuracies.length === 0 ? undefined : Math.min(...accuracies),
    loss: mean(known(reports.map(({ loss }) => loss))),
    divergence: mean(known(reports.map(({ divergence }) => divergence))),
    updates: reports.length === 0 ? undefined : Math.max(...reports.map(({ age }) => age)),
  };
}

function numbers(said: readonly Said[], before: ModelStatus | undefined): Partial<ModelStatus> {
  const now = convergence(said.map(({ report }) => report));
  const kept = {
    updates: now.updates ?? before?.updates,
    accuracy: measured(now.accuracy) ?? before?.accuracy,
    loss: measured(now.loss) ?? before?.loss,
    divergence: measured(now.divergence) ?? before?.divergence,
  };
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined));
}

function versionOf({ model, version, learners }: ModelWorld, said: readonly Said[]): ModelStatus['version'] {
  const before = model.status?.version;
  // Versions only go forward; one heard of again is the same one, certified when it first was.
  if (version === undefined || (before !== undefined && version.age < before.age)) return before;
  const voters = Math.max(version.voters, ...said.map(({ report }) => votersFor(report, version.cid)));
  const members = learners.filter(({ leaving }) => !leaving).length;
  return {
    cid: version.cid,
    short: shortCid(version.cid),
    age: version.age,
    certifiedAt:
      before?.cid === version.cid ? before.certifiedAt : new Date(version.at).toISOString().replace(/\.\d+Z$/, 'Z'),
    certifiedBy:
      before?.cid === version.cid && before.certifiedBy !== undefined
        ? before.certifiedBy
        : `${voters} of ${Math.max(members, voters)}`,
    bytes: version.bytes,
    chunks: version.chunks,
  };
}

const votersFor = ({ certified }: ModelReport, cid: string): number => (certified?.cid === cid ? certified.voters : 0);

/** Every condition of a Model, Ready first. */
export function judgeModel(
  world: ModelWorld,
  said: readonly Said[],
  refused: readonly Refusal[],
  aim: Toward,
): readonly Judgement[] {
  const ready = judgeReady(world, said, refused);
  const learning = judgeLearning(world, said, aim);
  return [ready, learning, judgeConverged(world, said, aim), judgeReplicated(world), ...progress(ready)];
}

function judgeReady(world: ModelWorld, said: readonly Said[], [refusal]: readonly Refusal[]): Judgement {
  const { model, learners, listening } = world;
  if (model.metadata.deletionTimestamp !== undefined)
    return no('Ready', REASONS.Deleting, 'The Model is being deleted.');
  if (refusal !== undefined) return no('Ready', refusal.reason, refusal.message);
  const problem = said.find(({ report }) => report.problem !== undefined);
  if (problem?.report.problem !== undefined) {
    const { reason, message } = problem.report.problem;
    return no('Ready', knownReason(reason), `${problem.node}: ${message}`);
  }
  const staying = learners.filter(({ leaving }) => !leaving);
  const { minimumVoters, quorum } = model.spec.versions;
  if (staying.length < Math.max(1, minimumVoters)) {
    return no(
      'Ready',
      REASONS.TooFewValidators,
      `Network ${model.spec.network} has ${staying.length} validators, and ${Math.max(1, minimumVoters)} are needed to ` +
        `certify a version. Apply a ValidatorFleet with spec.template.spec.network: ${model.spec.network}, or scale it up.`,
    );
  }
  if (said.length === 0) {
    if (!listening) return kept(world, 'Ready', 'Waiting for the first reports of validators.');
    return no('Ready', REASONS.NoReports, `None of ${staying.length} validators reports on it.`);
  }
  const all = staying.reduce((sum, { weight }) => sum + weight, 0);
  const alive = said.reduce((sum, { weight }) => sum + weight, 0);
  const { over, under } = parseQuorum(quorum);
  if (alive * under < all * over) {
    if (!listening) return kept(world, 'Ready', 'Waiting for more reports of validators.');
    return no(
      'Ready',
      REASONS.QuorumLost,
      `Validators with ${alive} of ${all} votes report on it; ${quorum} are needed to certify a version. ` +
        `See kubectl get vn for those that are not ready, or delete them.`,
    );
  }
  return yes('Ready', REASONS.Reconciled, `${said.length} of ${staying.length} validators learn it.`);
}

function judgeLearning(world: ModelWorld, said: readonly Said[], aim: Toward): Judgement {
  const { now, listening } = world;
  if (said.length === 0) {
    if (!listening) return kept(world, 'Learning', 'Waiting for the first reports of validators.');
    return unknown('Learning', REASONS.NoReports, 'No validator reports on it.');
  }
  const growing = said.filter(({ grewAt }) => grewAt !== undefined && now - grewAt < STUCK_MS).length;
  if (growing > 0)
    return yes('Learning', REASONS.Reconciled, `Its age grows on ${growing} of ${said.length} validators.`);
  if (rests(world.model, aim)) return no('Learning', REASONS.TargetReached, 'It rests: learning.stopAtTarget is set.');
  const began = said.some(({ grewAt }) => grewAt !== undefined);
  return began
    ? no('Learning', REASONS.Stuck, 'Its age has not grown on any validator for a minute.')
    : no('Learning', REASONS.Pending, 'It has not been updated yet.');
}

function judgeConverged(world: ModelWorld, said: readonly Said[], aim: Toward): Judgement {
  const { model, learners, listening } = world;
  const { target } = model.spec.learning;
  if (target === undefined) return unknown('Converged', REASONS.Pending, 'learning.target is not set.');
  const staying = learners.filter(counts).length;
  if (!listening && said.length < staying)
    return kept(world, 'Converged', 'Waiting for the first reports of validators.');
  const count = said.filter(({ report }) => meets(target, report[target.metric])).length;
  const wanted = `${target.metric} ${target.value}`;
  if (!reachedOf(aim.target))
    return no('Converged', REASONS.BelowTarget, `${wanted} is reached on ${count} of ${staying} validators.`);
  return yes(
    'Converged',
    REASONS.TargetReached,
    count === staying
      ? `${wanted} is reached on all ${staying} validators.`
      : `${wanted} was reached on all validators; now it is on ${count} of ${staying}, and none is far from it for long.`,
  );
}

function judgeReplicated({ model, shards, version }: ModelWorld): Judgement {
  if (version === undefined && model.status?.version === undefined) {
    return unknown('Replicated', REASONS.NoVersion, 'No version has been certified yet.');
  }
  const short = shards.filter((shard) => findCondition(shard, 'FullyReplicated')?.status !== 'True');
  const [first] = short;
  if (first === undefined && shards.length > 0) {
    return yes('Replicated', REASONS.Reconciled, `All ${shards.length} shards have their replicas.`);
  }
  const why = first === undefined ? undefined : findCondition(first, 'FullyReplicated');
  // What the volumes cannot hold no patience mends.
  const full = short.some((shard) => findCondition(shard, 'FullyReplicated')?.reason === REASONS.CapacityExceeded);
  return no(
    'Replicated',
    full ? REASONS.CapacityExceeded : REASONS.UnderReplicated,
    `${shards.length - short.length} of ${shards.length} shards have all replicas. ${first?.metadata.name ?? 'None'}: ${why?.message ?? 'not judged yet.'}`,
  );
}

/** What a peer gives as a reason is shown only where it is one of ours. */
const knownReason = (reason: string): Reason =>
  Object.values(REASONS).find((one) => one === reason) ?? REASONS.SpecInvalid;

function kept({ model }: ModelWorld, type: 'Ready' | 'Learning' | 'Converged', otherwise: string): Judgement {
  const before = findCondition(model, type);
  if (before === undefined) return unknown(type, REASONS.Pending, otherwise);
  return { type, status: before.status, reason: before.reason as Reason, message: before.message };
}
