import {
  findCondition,
  NODE_CONDITIONS,
  REASONS,
  type Reason,
  readyText,
  type ValidatorNodeStatus,
} from '../../api/index.ts';
import { shardRange } from '../../chunks/index.ts';
import type { ModelShard } from '../kinds.ts';
import { type Heard, isFresh } from '../network/heard.ts';
import { measured } from '../numbers.ts';
import { heldOf } from '../shard/held.ts';
import { type Judgement, judged, no, progress, unknown, yes } from '../verdicts.ts';
import { isReservedFor } from './children/reservation.ts';
import { drainOf } from './drain.ts';
import { judgeKey } from './keys.ts';
import { judgePod } from './pod-state.ts';
import type { NodeWorld } from './world.ts';

/** A model's age that has not grown for so long has stopped growing. ms */
const STUCK_MS = 60_000;
/** A new version may take so long to be fetched before ShardsHeld says no, so that it does not flap. ms */
const FETCH_GRACE_MS = 20_000;

/** Names of the models by uid, for the report speaks of uids. */
export type ModelNames = ReadonlyMap<string, string>;

/**
 * The status that follows from the world. Nothing recorded is forgotten: peer id and public key stay.
 * @param resting uids of models that are not trained now, because they have reached their targets
 */
export function nodeStatus(
  world: NodeWorld,
  models: ModelNames,
  resting: ReadonlySet<string> = new Set(),
): ValidatorNodeStatus {
  const { node, pod, heard, now } = world;
  const before = node.status;
  const identity = judgeKey(node, 'identity', world.identity, before?.peerId);
  const stake = judgeKey(node, 'stake', world.stake, before?.stake?.publicKey);
  const peerId = before?.peerId ?? (identity.is === 'ready' ? identity.name : undefined);
  const publicKey = stake.is === 'ready' ? stake.name : before?.stake?.publicKey;
  const conditions = judged(before?.conditions, judgeNode(world, resting), node.metadata.generation, now);
  const chunks = chunksOf(world);
  const report = heard?.report;
  const release = releaseOf(pod?.spec?.containers.find(({ name }) => name === 'validator')?.image);
  return {
    observedGeneration: node.metadata.generation,
    ready: readyText(conditions.find(({ type }) => type === 'Ready')),
    conditions,
    ...(peerId === undefined ? {} : { peerId }),
    ...(publicKey === undefined
      ? {}
      : { stake: { publicKey, reserved: world.reservation !== undefined && isReservedFor(world.reservation, node) } }),
    ...(pod === undefined ? {} : { podName: pod.metadata.name }),
    ...(release === undefined ? {} : { version: release }),
    ...(pod?.spec?.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    // What was heard last stays until something newer is heard: a restart of the operator changes nothing.
    ...(report === undefined ? heardBefore(before) : heardNow(world, heard as Heard, models)),
    ...(chunks === undefined ? {} : { chunks }),
  };
}

/** Tag of the image (`0.1.0`), or the beginning of its digest. */
function releaseOf(image: string | undefined): string | undefined {
  const [name = '', digest] = image?.split('@') ?? [];
  const tag = /:([^/:]+)$/.exec(name)?.[1];
  return tag ?? digest?.slice(0, 19);
}

function heardBefore(before: ValidatorNodeStatus | undefined): Partial<ValidatorNodeStatus> {
  if (before === undefined) return {};
  const { backend, peers, updates, models, reputation } = before;
  const kept = { backend, peers, updates, models, reputation };
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined));
}

function heardNow({ now }: NodeWorld, heard: Heard, names: ModelNames): Partial<ValidatorNodeStatus> {
  const { report, reputation } = heard;
  const models = report.models
    .flatMap((model) => {
      const name = names.get(model.uid);
      if (name === undefined) return [];
      const [loss, accuracy] = [measured(model.loss), measured(model.accuracy)];
      return [
        {
          name,
          age: model.age,
          ...(loss === undefined ? {} : { loss }),
          ...(accuracy === undefined ? {} : { accuracy }),
        },
      ];
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    backend: report.backend,
    peers: isFresh(heard, now) ? report.peers : 0,
    ...(models.length === 0 ? {} : { models, updates: Math.max(...models.map(({ age }) => age)) }),
    ...(reputation === undefined
      ? {}
      : {
          reputation: {
            score: measured(reputation.score) ?? '0',
            storage: measured(reputation.storage) ?? '0',
            learning: measured(reputation.learning) ?? '0',
            interactions: measured(reputation.interactions) ?? '0',
          },
        }),
  };
}

/** Chunks of this shard that the validator reports as held, checked, of the shard's present version. */
function heldChunks(shard: ModelShard, heard: Heard | undefined): number {
  const { versionCid, chunks = 0 } = shard.status ?? {};
  if (versionCid === undefined || chunks === 0) return 0;
  const map = heard === undefined ? undefined : heldOf(heard.report, versionCid);
  if (map === undefined) return 0;
  const [from, to] = shardRange(map.chunks, shard.spec.index, shard.spec.of);
  return map.count(from, to);
}

function chunksOf({ node, holding, heard }: NodeWorld): ValidatorNodeStatus['chunks'] {
  if (heard === undefined) return node.status?.chunks;
  const assigned = holding.reduce((sum, shard) => sum + (shard.status?.chunks ?? 0), 0);
  const parts = holding.map((shard) => ({ shard, held: heldChunks(shard, heard) }));
  const held = parts.reduce((sum, part) => sum + part.held, 0);
  const bytes = parts.reduce((sum, { shard, held: count }) => {
    const { chunks = 0, bytes: whole = 0 } = shard.status ?? {};
    return sum + (chunks === 0 ? 0 : Math.round((whole * count) / chunks));
  }, 0);
  return { held, assigned, bytes, summary: `${held}/${assigned}` };
}

/** Every condition of a ValidatorNode, Ready first. */
export function judgeNode(world: NodeWorld, resting: ReadonlySet<string>): readonly Judgement[] {
  const keys = judgeKeys(world);
  const pod = judgePod(world.pod, world.machine);
  const connected = judgeConnected(world);
  const ready = judgeReady(world, [keys, pod, connected]);
  return [
    ready,
    keys,
    pod,
    connected,
    judgeShardsHeld(world),
    judgeLearning(world, resting),
    drainOf(world).condition,
    ...progress(ready),
  ];
}

/** Reasons of what the operator would bring on its way, were it not paused. */
const WAITING: ReadonlySet<Reason> = new Set([REASONS.Pending, REASONS.InProgress]);

function judgeReady(world: NodeWorld, parts: readonly Judgement[]): Judgement {
  const { node, heard, now, refused } = world;
  if (node.metadata.deletionTimestamp !== undefined)
    return no('Ready', REASONS.Deleting, drainOf(world).condition.message);
  const [refusal] = refused;
  const [keys] = parts;
  // Also while the pod runs: not all is as the spec asks.
  if (keys?.status === 'True' && refusal !== undefined) return no('Ready', refusal.reason, refusal.message);
  if (keys?.status === 'True' && world.setting === undefined && world.pod === undefined) {
    return no('Ready', REASONS.KeyMissing, 'The authority key of the operator is missing; see the events of its pod.');
  }
  const full = isFresh(heard, now)
    ? heard.report.problems.find(({ reason }) => reason === REASONS.VolumeFull)
    : undefined;
  if (full !== undefined) return no('Ready', REASONS.VolumeFull, full.message);
  const bad = parts.find(({ status }) => status === 'False') ?? parts.find(({ status }) => status !== 'True');
  if (bad !== undefined && node.spec.paused && WAITING.has(bad.reason)) {
    return no('Ready', REASONS.Paused, `${bad.message} It stays so: set spec.paused to false to go on.`);
  }
  if (bad !== undefined) return { ...bad, type: 'Ready' };
  if (node.spec.paused)
    return yes('Ready', REASONS.Paused, 'Works; spec.paused keeps the operator from changing anything.');
  return yes('Ready', REASONS.Reconciled, 'Keys, pod and connection are as they should be.');
}

function judgeKeys({ node, identity, stake, twin, reservation }: NodeWorld): Judgement {
  const verdicts = [
    judgeKey(node, 'identity', identity, node.status?.peerId),
    judgeKey(node, 'stake', stake, node.status?.stake?.publicKey),
  ];
  for (const verdict of verdicts) {
    if (verdict.is === 'wrong') return no('KeysReady', verdict.reason, verdict.message);
  }
  if (twin !== undefined) {
    return no(
      'KeysReady',
      REASONS.KeyInUse,
      `The identity key is in use by ValidatorNode ${twin}. Name another Secret in spec.identity.secretRef of a new ` +
        `ValidatorNode, or delete the other one.`,
    );
  }
  if (verdicts.some(({ is }) => is === 'toMake')) return no('KeysReady', REASONS.Pending, 'The keys are being made.');
  if (reservation === undefined) return no('KeysReady', REASONS.Pending, 'The stake key is not reserved yet.');
  if (!isReservedFor(reservation, node)) {
    const { namespace, name } = reservation.spec.nodeRef;
    return no(
      'KeysReady',
      REASONS.KeyInUse,
      `The stake key is in use by ValidatorNode ${namespace}/${name}. Two validators must never sign with one key: ` +
        `name another Secret in spec.stake.keySecretRef, or delete the other ValidatorNode.`,
    );
  }
  return yes('KeysReady', REASONS.Reconciled, 'Identity key and stake key are there, and the stake key is reserved.');
}

function judgeConnected(world: NodeWorld): Judgement {
  const { node, heard, now, listening, others } = world;
  if (isFresh(heard, now)) {
    const { peers } = heard.report;
    if (peers > 0 || others === 0)
      return yes('Connected', REASONS.Reconciled, 'It reports, and is connected to others.');
    return no('Connected', REASONS.NoPeers, `It reports, but is connected to none of ${others} others.`);
  }
  if (!listening) return kept(world, 'Connected', 'The operator has just begun to listen.');
  const ever = heard !== undefined || findCondition(node, NODE_CONDITIONS.Connected)?.status === 'True';
  return no(
    'Connected',
    REASONS.NoReports,
    ever ? 'It has stopped reporting.' : 'It has not reported yet; look at the logs of its pod.',
  );
}

function judgeShardsHeld(world: NodeWorld): Judgement {
  const { heard, now, listening, holding } = world;
  if (!isFresh(heard, now)) {
    if (!listening) return kept(world, 'ShardsHeld', 'The operator has just begun to listen.');
    return unknown('ShardsHeld', REASONS.NoReports, 'It does not report what it holds.');
  }
  const missing = holding.filter((shard) => heldChunks(shard, heard) < (shard.status?.chunks ?? 0));
  if (missing.length === 0) return yes('ShardsHeld', REASONS.Reconciled, 'Every chunk assigned to it is on its disk.');
  const before = findCondition(world.node, NODE_CONDITIONS.ShardsHeld);
  const justCertified = heard.report.models.some(
    ({ certified }) => certified !== undefined && now - certified.at < FETCH_GRACE_MS,
  );
  if (before?.status === 'True' && justCertified) return kept(world, 'ShardsHeld', before.message);
  return no(
    'ShardsHeld',
    REASONS.InProgress,
    `It is fetching ${missing.map((shard) => shard.metadata.name).join(', ')}.`,
  );
}

function judgeLearning(world: NodeWorld, resting: ReadonlySet<string>): Judgement {
  const { heard, now, listening } = world;
  if (!isFresh(heard, now)) {
    if (!listening) return kept(world, 'Learning', 'The operator has just begun to listen.');
    return unknown('Learning', REASONS.NoReports, 'It does not report.');
  }
  const problem = heard.report.models.map((model) => model.problem).find((one) => one !== undefined);
  if (problem !== undefined) return no('Learning', knownReason(problem.reason), problem.message);
  if (heard.report.models.length === 0) return no('Learning', REASONS.Pending, 'There is no Model in its network.');
  const grewAt = heard.grewAt.size === 0 ? undefined : Math.max(...heard.grewAt.values());
  if (grewAt === undefined) return no('Learning', REASONS.Pending, 'It has not begun to learn yet.');
  if (now - grewAt < STUCK_MS) {
    return yes('Learning', REASONS.Reconciled, 'The age of its model grows.');
  }
  if (heard.report.models.every(({ uid }) => resting.has(uid)))
    return no('Learning', REASONS.TargetReached, 'It rests: learning.stopAtTarget is set, and the target is reached.');
  return no('Learning', REASONS.Stuck, 'The age of its model has not grown for a minute.');
}

/** What a peer gives as a reason is shown only where it is one of ours. */
const knownReason = (reason: string): Reason =>
  (Object.values(REASONS) as readonly string[]).includes(reason) ? (reason as Reason) : REASONS.Stuck;

function kept({ node }: NodeWorld, type: 'Connected' | 'ShardsHeld' | 'Learning', otherwise: string): Judgement {
  const before = findCondition(node, type);
  if (before === undefined) return unknown(type, REASONS.Pending, otherwise);
  return { type, status: before.status, reason: before.reason as Reason, message: before.message };
}
