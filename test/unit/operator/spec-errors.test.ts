import { describe, expect, it } from 'vitest';
import { findCondition, type ModelShard, type ValidatorNode } from '../../../src/api/index.ts';
import { BadRequest, Forbidden, InternalError, Invalid, type Pod } from '../../../src/kube/index.ts';
import { planFleet } from '../../../src/operator/fleet/plan.ts';
import { fleetStatus } from '../../../src/operator/fleet/status.ts';
import { takenNames } from '../../../src/operator/model/plan.ts';
import { judgeKey } from '../../../src/operator/node/keys.ts';
import { planNode } from '../../../src/operator/node/plan.ts';
import { type Refusal, refusalOf } from '../../../src/operator/refusal.ts';
import { Cluster, fleetOf, nodeOf } from './cluster.ts';

const REFUSED: Refusal = { reason: 'SpecInvalid', message: 'create Pod: 422. Correct the field of the spec.' };

/** A validator with pod, keys and reservation, at rest. */
function settled(spec: object = {}, name = 'solo'): Cluster {
  const cluster = new Cluster();
  cluster.put(nodeOf(name, spec));
  passes(cluster, name);
  return cluster;
}

function passes(cluster: Cluster, name: string): void {
  for (let round = 0; round < 10; round++) {
    for (const action of planNode(cluster.nodeWorld(name)!))
      cluster.perform(action, () => cluster.writeNodeStatus(name));
    cluster.kubelet(name);
    cluster.writeNodeStatus(name);
  }
}

const ready = (cluster: Cluster, name = 'solo') =>
  findCondition(cluster.get<ValidatorNode>('ValidatorNode', name)!, 'Ready');

describe('an answer of the API server', () => {
  const error = (of: typeof Invalid) => new of({ attempt: 'create Pod garden/solo', code: 422 }, 'spec.hostname: no');
  it.each([
    [Invalid, 'SpecInvalid'],
    [BadRequest, 'SpecInvalid'],
    [Forbidden, 'Forbidden'],
  ])("%o is a person's to mend, and says how", (of, reason) => {
    expect(refusalOf(error(of))).toMatchObject({
      reason,
      message: expect.stringMatching(/spec\.hostname: no\. [A-Z]/),
    });
  });
  it('that may be another one the next time is no refusal', () => {
    expect(refusalOf(error(InternalError))).toBeUndefined();
  });
});

describe('a ValidatorNode', () => {
  it('is not Ready while something is refused, also where its pod runs', () => {
    const cluster = settled();
    expect(ready(cluster)?.status).toBe('True');
    cluster.writeNodeStatus('solo', { refused: [REFUSED] });
    expect(ready(cluster)).toMatchObject({ status: 'False', reason: 'SpecInvalid', message: REFUSED.message });
  });

  it('that is paused before it ran says that it waits for a person', () => {
    const cluster = settled({ paused: true });
    expect(cluster.get<Pod>('Pod', 'solo')).toBeUndefined();
    expect(ready(cluster)).toMatchObject({
      status: 'False',
      reason: 'Paused',
      message: expect.stringContaining('spec.paused'),
    });
    expect(findCondition(cluster.get<ValidatorNode>('ValidatorNode', 'solo')!, 'Stalled')?.status).toBe('True');
  });

  it('whose volume is of the same size in other words is left alone', () => {
    const cluster = settled({ storage: { size: '1024Mi' } });
    const volume = cluster.get('PersistentVolumeClaim', 'solo-data') as { spec?: object } | undefined;
    cluster.put({ ...volume, spec: { ...volume?.spec, resources: { requests: { storage: '1Gi' } } } } as never);
    expect(planNode(cluster.nodeWorld('solo')!)).toEqual([]);
  });

  it('names the field of the spec where a Secret that was brought is not there, also after a key was recorded', () => {
    const node = nodeOf('solo', { identity: {}, stake: { keySecretRef: { name: 'typo' } } }) as ValidatorNode;
    expect(judgeKey(node, 'stake', { is: 'absent' }, '02ab')).toMatchObject({
      reason: 'KeyMissing',
      message: expect.stringContaining('named by spec.stake.keySecretRef, does not exist'),
    });
  });
});

describe('a ValidatorFleet', () => {
  const fleetWith = (template: object): Cluster => {
    const cluster = new Cluster();
    cluster.put(fleetOf('flock', { replicas: 1, template: { spec: template } }));
    for (let round = 0; round < 10; round++) {
      for (const action of planFleet(cluster.fleetWorld('flock'))) cluster.perform(action);
      passes(cluster, 'flock-0');
    }
    return cluster;
  };

  it('is not Ready while the API server refuses a validator of its template', () => {
    const status = fleetStatus(fleetWith({}).fleetWorld('flock'), [REFUSED]);
    expect(findCondition({ status }, 'Ready')).toMatchObject({ status: 'False', reason: 'SpecInvalid' });
    expect(findCondition({ status }, 'Progressing')?.status).toBe('False');
  });

  it('takes away what somebody has added to a validator, and leaves cordon and pause to people', () => {
    const cluster = fleetWith({});
    expect(planFleet(cluster.fleetWorld('flock'))).toEqual([]);
    const node = cluster.get<ValidatorNode>('ValidatorNode', 'flock-0')!;
    cluster.put({ ...node, spec: { ...node.spec, image: 'other', paused: true } } as never);
    expect(planFleet(cluster.fleetWorld('flock')).filter((action) => action.do === 'patch')).toMatchObject([
      { key: { name: 'flock-0' }, patch: { spec: { image: null } } },
    ]);
  });

  it('that is paused behind its template says so instead of being at work for ever', () => {
    const cluster = fleetWith({ paused: true });
    const status = fleetStatus(cluster.fleetWorld('flock'));
    expect(findCondition({ status }, 'Converged')).toMatchObject({ status: 'False', reason: 'Paused' });
    expect(findCondition({ status }, 'Progressing')?.status).toBe('False');
  });
});

it('a Model says where a person has taken the name of one of its shards', () => {
  const shard = (name: string) => ({ metadata: { name, namespace: 'garden' } }) as ModelShard;
  const model = { metadata: { name: 'digits', uid: 'u' }, spec: { shards: { count: 2 } } };
  const seen = { model, shards: ['digits-1', 'digits-2', 'pinned'].map(shard), namespaceTerminating: false };
  expect(takenNames(seen as never)).toMatchObject([
    { reason: 'NameTaken', message: expect.stringContaining('ModelShard digits-1 exists') },
  ]);
});
