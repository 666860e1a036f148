import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { findCondition, Model } from '../../../src/api/index.ts';
import { operatorMetrics } from '../../../src/operator/metrics.ts';
import { type Learner, type ModelWorld, modelStatus } from '../../../src/operator/model/status.ts';
import type { Heard } from '../../../src/operator/network/heard.ts';
import { nodeStatus } from '../../../src/operator/node/status.ts';
import type { NodeWorld } from '../../../src/operator/node/world.ts';
import type { Copy } from '../../../src/operator/shard/holders.ts';
import type { Placing } from '../../../src/operator/shard/plan.ts';
import { type ShardWorld, shardStatus } from '../../../src/operator/shard/status.ts';
import type { ModelReport } from '../../../src/overlay/index.ts';
import { Cluster, heard, NOW, nodeOf } from './cluster.ts';

const SECOND = 1000;
const UID = 'uid-model';

const model = (status?: object): ModelWorld['model'] => {
  const parsed = Model.parse({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'Model',
    metadata: { name: 'digits', namespace: 'garden', uid: UID, generation: 1 },
    spec: {
      data: { source: { builtin: 'digits' }, classes: 10 },
      learning: { target: { metric: 'accuracy', value: '0.95' } },
      versions: { minimumVoters: 2 },
    },
  });
  return { ...parsed, ...(status === undefined ? {} : { status }) } as never;
};

const said = (accuracy: number | null, more: Partial<ModelReport> = {}, age = 0): Heard => {
  const report = { uid: UID, age: 100, loss: 0.2, accuracy, divergence: 0.1, ...more };
  const base = heard('x', NOW - age);
  return { ...base, report: { ...base.report, models: [report] }, grewAt: new Map([[UID, NOW - age]]) };
};
const learner = (node: string, what: Heard | undefined, more: Partial<Learner> = {}): Learner => ({
  node,
  weight: 1,
  leaving: false,
  heard: what,
  ...more,
});

function judgeModel(learners: readonly Learner[], change: Partial<ModelWorld> = {}) {
  const status = modelStatus({
    model: model(),
    now: NOW,
    learners,
    shards: [],
    version: undefined,
    listening: true,
    curve: [],
    ...change,
  });
  return {
    status,
    ...Object.fromEntries(status.conditions?.map((one) => [one.type, `${one.status} ${one.reason}`]) ?? []),
  };
}

describe('the status of a Model', () => {
  const three = (accuracies: readonly (number | null)[]) =>
    accuracies.map((accuracy, index) => learner(`flock-${index}`, said(accuracy)));

  it('shows the least accuracy, and is Converged when the last validator has reached the target', () => {
    const below = judgeModel(three([0.97, 0.949, 0.96]));
    expect(below).toMatchObject({
      Ready: 'True Reconciled',
      Converged: 'False BelowTarget',
      Learning: 'True Reconciled',
    });
    expect(below.status.accuracy).toBe('0.949');
    expect(judgeModel(three([0.97, 0.95, 0.96]))).toMatchObject({ Converged: 'True TargetReached' });
  });

  it('is not Converged while one validator is silent, but does not wait for one that leaves', () => {
    const silent = [...three([0.97, 0.97]), learner('flock-2', said(0.97, {}, 20 * SECOND))];
    expect(judgeModel(silent)).toMatchObject({ Converged: 'False BelowTarget' });
    const leaving = [...three([0.97, 0.97]), learner('flock-2', said(0.2), { leaving: true })];
    expect(judgeModel(leaving)).toMatchObject({ Converged: 'True TargetReached' });
    expect(judgeModel(leaving).status.accuracy).toBe('0.97');
  });

  it('takes no word of one that its neighbours found to do harm', () => {
    const by = (score: number) => {
      const heardOf = said(0.1, { problem: { reason: 'DataUnreachable', message: 'x' } });
      const reputation = { score, storage: 1, learning: 0.01, interactions: 1 };
      return judgeModel([...three([0.97, 0.97]), learner('liar', { ...heardOf, reputation })]);
    };
    expect(by(0.16)).toMatchObject({ Ready: 'True Reconciled', Converged: 'True TargetReached' });
    expect(by(0.16).status.accuracy).toBe('0.97');
    expect(by(0.5)).toMatchObject({ Ready: 'False DataUnreachable', Converged: 'False BelowTarget' });
  });

  it('tells too few validators, no reports and a lost quorum apart', () => {
    expect(judgeModel(three([0.9]))).toMatchObject({ Ready: 'False TooFewValidators', Stalled: 'False Reconciled' });
    expect(judgeModel([learner('a', undefined), learner('b', undefined)])).toMatchObject({ Ready: 'False NoReports' });
    const one = [learner('a', said(0.9)), learner('b', undefined)];
    expect(judgeModel(one)).toMatchObject({ Ready: 'False QuorumLost' });
  });

  it('takes the reason of a problem from the validator, and stalls until a person mends it', () => {
    const problem = { reason: 'DataDigestMismatch', message: 'sha256 of rows.csv is another one.' };
    const judged = judgeModel([...three([0.9]), learner('flock-1', said(null, { problem }))]);
    expect(judged).toMatchObject({ Ready: 'False DataDigestMismatch', Stalled: 'True DataDigestMismatch' });
    expect(judged.status.ready).toBe('no: DataDigestMismatch');
    expect(judged.status.conditions?.[0]?.message).toBe(`flock-1: ${problem.message}`);
    const made = { reason: 'AnythingAtAll', message: 'x' };
    expect(judgeModel([...three([0.9]), learner('b', said(null, { problem: made }))])).toMatchObject({
      Ready: 'False SpecInvalid',
    });
  });

  it('says nothing new while the operator has just begun to listen', () => {
    const before = judgeModel(three([0.97, 0.97, 0.97])).status;
    const restarted = judgeModel([learner('flock-0', undefined), learner('flock-1', undefined)], {
      model: model(before),
      listening: false,
    }).status;
    expect({ ...restarted, shards: undefined }).toEqual({ ...before, shards: undefined });
  });

  it('keeps its version when it hears of an older one, and the time of one that it hears of again', () => {
    const version = { cid: 'bafyreinew', age: 1000, chunks: 6, bytes: 60, at: NOW - 5 * SECOND, voters: 3 };
    const first = judgeModel(three([0.9, 0.9, 0.9]), { version }).status;
    expect(first.version).toMatchObject({
      cid: version.cid,
      certifiedBy: '3 of 3',
      certifiedAt: '2026-11-21T11:59:55Z',
    });
    const again = { ...version, at: NOW, voters: 2 };
    const older = { ...version, cid: 'bafyreiold', age: 500 };
    for (const heardOf of [again, older, undefined]) {
      expect(judgeModel(three([0.9, 0.9, 0.9]), { model: model(first), version: heardOf }).status.version).toEqual(
        first.version,
      );
    }
  });

  /** What follows from what was said one after another, so many seconds apart. */
  function inTurn(
    steps: readonly (readonly [second: number, accuracies: readonly (number | null)[]])[],
    before?: object,
  ) {
    let status = before;
    return steps.map(([second, accuracies]) => {
      const now = NOW + second * SECOND;
      const learners = three(accuracies).map((one) => ({ ...one, heard: one.heard && { ...one.heard, at: now } }));
      const judged = judgeModel(learners, { model: model(status), now });
      status = judged.status;
      return judged.status;
    });
  }
  const isConverged = (status: object) => findCondition({ status } as never, 'Converged')?.status;

  it('stays Converged while accuracy hovers about the target, and is not any more when it is clearly short for 30 s', () => {
    const hovering = inTurn([
      [0, [0.95, 0.96]],
      [2, [0.942, 0.96]],
      [40, [0.941, 0.941]],
      [42, [0.93, 0.96]],
      [71, [0.93, 0.96]],
      [73, [0.93, 0.96]],
    ]);
    expect(hovering.map(isConverged)).toEqual(['True', 'True', 'True', 'True', 'True', 'False']);
    expect(hovering[3]?.target?.shortSince).toBe('2026-11-21T12:00:42Z');
    expect(findCondition({ status: hovering[2] } as never, 'Converged')?.message).toBe(
      'accuracy 0.95 was reached on all validators; now it is on 0 of 2, and none is far from it for long.',
    );
  });

  it('stays Converged when a validator is silent for a while', () => {
    const [reached] = inTurn([[0, [0.97, 0.97]]]);
    const silent = [learner('flock-0', said(0.97)), learner('flock-1', undefined), learner('flock-2', said(0.96))];
    expect(judgeModel(silent, { model: model(reached) })).toMatchObject({ Converged: 'True TargetReached' });
  });

  it('has to reach a changed target anew', () => {
    const reached = inTurn([[0, [0.945, 0.945]]], {
      target: { metric: 'accuracy', value: '0.9', reached: true, reachedAt: '2026-11-21T11:00:00Z', secondsTaken: 5 },
    });
    expect(isConverged(reached[0]!)).toBe('False');
    expect(reached[0]?.target).toEqual({ metric: 'accuracy', value: '0.95', reached: false });
  });

  it('tells how long it took from the first update to the target, also after it was lost and reached again', () => {
    const statuses = inTurn([
      [0, [0.5, 0.5]],
      [58, [0.95, 0.95]],
      [60, [0.9, 0.9]],
      [90, [0.9, 0.9]],
      [200, [0.95, 0.95]],
    ]);
    expect(statuses.map(isConverged)).toEqual(['False', 'True', 'True', 'False', 'True']);
    expect(statuses[1]).toMatchObject({
      startedAt: '2026-11-21T12:00:00Z',
      target: { reachedAt: '2026-11-21T12:00:58Z', secondsTaken: 58, summary: '58 s' },
    });
    expect(statuses[4]?.target).toEqual(statuses[1]?.target);
  });

  it('does not make up a beginning for a model that learned before', () => {
    const [status] = inTurn([[0, [0.95, 0.95]]], { updates: 900 });
    expect(status).not.toHaveProperty('startedAt');
    expect(status?.target).not.toHaveProperty('secondsTaken');
  });

  it('estimates what is left from the curve', () => {
    const curve = Array.from({ length: 30 }, (_, i) => ({
      at: NOW + (i + 1) * 2 * SECOND,
      value: 1 - 0.5 / Math.sqrt((i + 1) * 2),
    }));
    const status = { startedAt: new Date(NOW).toISOString(), updates: 5 };
    const now = NOW + 60 * SECOND;
    const learners = three([0.93, 0.93]).map((one) => ({ ...one, heard: one.heard && { ...one.heard, at: now } }));
    // 0.05 = 0.5 / sqrt(100 s)
    expect(judgeModel(learners, { model: model(status), now, curve }).status.target).toMatchObject({
      secondsLeft: 40,
      summary: 'about 40 s left',
    });
  });

  it('rests, and is not stuck, where it is to stop at its target', () => {
    const resting = {
      ...model(),
      spec: { ...model().spec, learning: { ...model().spec.learning, stopAtTarget: true } },
    };
    const still = (accuracy: number) => {
      const { heard } = learner('', said(accuracy));
      return heard && { ...heard, grewAt: new Map([[UID, NOW - 90 * SECOND]]) };
    };
    const two = (accuracy: number) => ['a', 'b'].map((node) => learner(node, still(accuracy)));
    expect(judgeModel(two(0.96), { model: resting })).toMatchObject({ Learning: 'False TargetReached' });
    expect(judgeModel(two(0.94), { model: resting })).toMatchObject({ Learning: 'False Stuck' });
    expect(judgeModel(two(0.96))).toMatchObject({ Learning: 'False Stuck' });
  });
});

describe('the status of a ValidatorNode', () => {
  function judgeNode(change: Partial<NodeWorld>, before?: object) {
    const cluster = new Cluster();
    cluster.put({ ...nodeOf('solo'), ...(before === undefined ? {} : { status: before }) } as never);
    const world = cluster.nodeWorld('solo', { others: 2, ...change })!;
    const status = nodeStatus(world, new Map([[UID, 'digits']]));
    return {
      status,
      ...Object.fromEntries(status.conditions?.map((one) => [one.type, `${one.status} ${one.reason}`]) ?? []),
    };
  }
  const fresh = heard('solo', NOW - SECOND);

  it('is Connected by a fresh report with peers, alone in a network, or not at all', () => {
    expect(judgeNode({ heard: fresh })).toMatchObject({ Connected: 'True Reconciled' });
    const lonely = { ...fresh, report: { ...fresh.report, peers: 0 } };
    expect(judgeNode({ heard: lonely })).toMatchObject({ Connected: 'False NoPeers' });
    expect(judgeNode({ heard: lonely, others: 0 })).toMatchObject({ Connected: 'True Reconciled' });
    expect(judgeNode({ heard: heard('solo', NOW - 16 * SECOND) })).toMatchObject({ Connected: 'False NoReports' });
  });

  it('keeps what was known while the operator has just begun to listen', () => {
    const before = judgeNode({ heard: fresh }).status;
    const restarted = judgeNode({ heard: undefined, listening: false }, before);
    expect(restarted).toMatchObject({ Connected: 'True Reconciled', ShardsHeld: 'True Reconciled' });
    expect(restarted.status).toMatchObject({ peers: 3, backend: 'wasm' });
  });

  it('learns while the age of a model grows, and is stuck after a minute without', () => {
    const learning = (since: number): NodeWorld['heard'] => ({ ...said(0.9), grewAt: new Map([[UID, NOW - since]]) });
    expect(judgeNode({ heard: learning(59 * SECOND) })).toMatchObject({ Learning: 'True Reconciled' });
    expect(judgeNode({ heard: learning(61 * SECOND) })).toMatchObject({ Learning: 'False Stuck' });
    expect(judgeNode({ heard: fresh })).toMatchObject({ Learning: 'False Pending' });
    expect(judgeNode({ heard: learning(0) }).status.models).toEqual([
      { name: 'digits', age: 100, loss: '0.2', accuracy: '0.9' },
    ]);
  });
});

describe('the status of a ModelShard', () => {
  const names = ['a', 'b', 'c'];
  const whole: Copy = { chunks: 3, live: true, sound: true };
  const placing: Placing = { wanted: names, shortage: undefined, isPlaced: true };
  const world = (change: Partial<ShardWorld>): ShardWorld => ({
    shard: {
      metadata: { name: 'digits-0', namespace: 'garden', generation: 1 },
      spec: { modelRef: { name: 'digits' }, index: 0, of: 2, replicas: 3 },
    } as never,
    now: NOW,
    model: model(),
    version: { cid: 'bafyreinew', chunks: 6, bytes: 600, certifiedAt: NOW - 60 * SECOND },
    placing,
    existing: new Set([...names, 'd']),
    failed: new Map(),
    copies: new Map(names.map((node) => [node, whole])),
    locations: new Map(),
    listening: true,
    ...change,
  });
  const judged = (of: ShardWorld, type: string): string => {
    const condition = findCondition({ status: shardStatus(of) }, type);
    return `${condition?.status} ${condition?.reason}`;
  };
  /** The shard with the status that follows from this world. */
  const following = (of: ShardWorld): ShardWorld['shard'] => ({ ...of.shard, status: shardStatus(of) }) as never;

  it('counts its part of the version, and the live copies of it', () => {
    expect(shardStatus(world({}))).toMatchObject({
      ...{ ready: 'yes', chunks: 3, bytes: 300, availableReplicas: 3, copied: '9/9', replicatedCid: 'bafyreinew' },
    });
    const copies = new Map([
      ['a', whole],
      ['b', { ...whole, live: false }],
      ['c', { ...whole, chunks: 1 }],
    ]);
    expect(shardStatus(world({ copies }))).toMatchObject({
      ready: 'no: InProgress',
      availableReplicas: 1,
      copied: '7/9',
    });
    expect(judged(world({ copies }), 'FullyReplicated')).toBe('False UnderReplicated');
    expect(judged(world({ copies }), 'Available')).toBe('True Reconciled');
  });

  it('does not count the copy of one that fails its storage challenges', () => {
    const copies = new Map([...world({}).copies, ['b', { ...whole, sound: false }]]);
    expect(shardStatus(world({ copies })).availableReplicas).toBe(2);
  });

  it('stays FullyReplicated while a version that was just certified spreads, and no longer', () => {
    const shard = following(world({}));
    const copies = new Map();
    const spreading = { cid: 'bafyreinext', chunks: 6, bytes: 600, certifiedAt: NOW - SECOND };
    expect(judged(world({ shard, copies, version: spreading }), 'FullyReplicated')).toBe('True Reconciled');
    const old = { ...spreading, certifiedAt: NOW - 31 * SECOND };
    expect(judged(world({ shard, copies, version: old }), 'FullyReplicated')).toBe('False UnderReplicated');
    expect(shardStatus(world({ shard, copies, version: old })).replicatedCid).toBe('bafyreinew');
  });

  it('forgets no version and no copy where the Model is seen as it was before it had one', () => {
    const shard = following(world({}));
    const elsewhere = { ...placing, wanted: ['d'] };
    const forgotten = { shard, placing: elsewhere, version: undefined, copies: new Map() };
    expect(shardStatus(world(forgotten))).toEqual(shard.status);
    const { spec } = shard;
    const pinned = { ...shard, spec: { ...spec, versionCid: 'bafyreinew' } } as never;
    expect(shardStatus(world({ ...forgotten, shard: pinned }))).toEqual(shard.status);
  });

  it('tells too few validators from too little room, and what to do', () => {
    const few = world({ placing: { ...placing, wanted: ['a'], shortage: { of: 'validators', candidates: 1 } } });
    expect(judged(few, 'Ready')).toBe('False UnderReplicated');
    const shortage = { of: 'room', candidates: 3, fitting: 2, bytes: 3 * 2 ** 30 } as const;
    const full = world({ placing: { wanted: [], shortage, isPlaced: false } });
    expect(judged(full, 'FullyReplicated')).toBe('False CapacityExceeded');
    expect(findCondition({ status: shardStatus(full) }, 'Stalled')).toMatchObject({
      ...{ status: 'True', reason: 'CapacityExceeded' },
      message:
        'A replica takes 3.0 GiB with all versions that are kept. 3 validators have no room for 3 replicas of each of 2 ' +
        'shards. Enlarge storage.size, add validators, or lower shards.replicas or versions.keep of the Model. ' +
        'Until then the model is placed nowhere, and its chunks stay where they are.',
    });
    const held = world({ placing: { ...placing, wanted: ['a', 'b'], shortage } });
    expect(findCondition({ status: shardStatus(held) }, 'Ready')?.message).toContain(
      '2 of 3 validators have room for that, and 3 should hold it.',
    );
    expect(shardStatus(full).holders).toEqual([]);
  });

  describe('after the loss of a holder', () => {
    const shard = following(world({}));
    const placed = { ...placing, wanted: ['a', 'b', 'd'] };
    const failed = new Map([['c', 'Lost' as const]]);
    const without = new Map([
      ['a', whole],
      ['b', whole],
      ['c', { ...whole, live: false }],
    ]);
    const losing = world({ shard, placing: placed, failed, copies: without });

    it('tells of the repair until every replica is there again', () => {
      const lost = following(losing);
      expect(lost.status).toMatchObject({
        repair: { since: new Date(NOW).toISOString(), lost: ['c'] },
        availableReplicas: 2,
        copied: '6/9',
      });
      expect(findCondition(lost, 'FullyReplicated')).toMatchObject({
        ...{ status: 'False', reason: 'Repairing' },
        message: '2 of 3 validators hold every chunk. Lost: c. Copying to a, b, d: 6 of 9 chunks are there.',
      });
      const later = { placing: placed, failed, now: NOW + 5 * SECOND };
      const copying = following(
        world({ ...later, shard: lost, copies: new Map([...without, ['d', { ...whole, chunks: 1 }]]) }),
      );
      expect(copying.status?.repair).toEqual(lost.status?.repair);
      const done = following(world({ ...later, shard: copying, copies: new Map([...without, ['d', whole]]) }));
      expect(done.status?.repair).toBeUndefined();
      expect(done.status?.holders?.map(({ node }) => node)).toEqual(['a', 'b', 'd']);
    });

    it('counts and times the repair', async () => {
      const metrics = operatorMetrics(new Registry());
      const before = { since: new Date(NOW).toISOString(), lost: ['c'] };
      metrics.observeRepair(shard, undefined, before, NOW);
      metrics.observeRepair(shard, before, before, NOW + SECOND);
      metrics.observeRepair(shard, before, undefined, NOW + 7 * SECOND);
      metrics.observeShard(shard, shardStatus(losing));
      const text = await metrics.registry.metrics();
      expect(text).toContain('murmuration_shard_repairs_total{namespace="garden",phase="begun"} 1');
      expect(text).toContain('murmuration_shard_repairs_total{namespace="garden",phase="done"} 1');
      expect(text).toContain('murmuration_shard_repair_seconds_sum{namespace="garden"} 7');
      expect(text).toContain('murmuration_shard_chunks_count{namespace="garden",shard="digits-0",state="missing"} 3');
      expect(text).toContain(
        'murmuration_shard_replicas_count{namespace="garden",shard="digits-0",state="available"} 2',
      );
    });

    it('has nothing to repair where it never had all replicas, or where the holder left by a drain', () => {
      const { replicatedCid: _, ...status } = shard.status!;
      expect(shardStatus({ ...losing, shard: { ...shard, status } as never }).repair).toBeUndefined();
      const drained = shard.status?.holders?.map((one) => (one.node === 'c' ? { ...one, state: 'Draining' } : one));
      const gone = { ...shard, status: { ...shard.status, holders: drained } } as never;
      expect(shardStatus({ ...losing, shard: gone, existing: new Set(['a', 'b', 'd']) }).repair).toBeUndefined();
    });
  });
});
