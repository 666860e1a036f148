import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ValidatorNode } from '../../../src/api/index.ts';
import type { Pod } from '../../../src/kube/index.ts';
import { planNode } from '../../../src/operator/node/plan.ts';
import { Cluster, nodeOf } from './cluster.ts';

const MAX_ROUNDS = 60;

/** One pass of the controller in which only some of the planned actions happen, as when the operator is killed. */
function pass(cluster: Cluster, name: string, keep: (index: number) => boolean): number {
  const world = cluster.nodeWorld(name);
  if (world === undefined) return 0;
  const actions = planNode(world);
  for (const [index, action] of actions.entries()) {
    if (keep(index)) cluster.perform(action, () => cluster.writeNodeStatus(name));
  }
  if (actions.length === 0) cluster.writeNodeStatus(name);
  return actions.length;
}

/** Passes without disturbance until nothing is planned. */
function settle(cluster: Cluster, name: string): void {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const planned = pass(cluster, name, () => true);
    cluster.kubelet(name);
    if (planned === 0 && pass(cluster, name, () => true) === 0) return;
  }
  throw new Error('the plan does not converge');
}

const isUp = (cluster: Cluster, name: string): boolean =>
  cluster.get<Pod>('Pod', name)?.status?.conditions?.some(({ status }) => status === 'True') ?? false;

/** What may happen between two passes. */
const disturbance = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant('pass' as const), keep: fc.array(fc.boolean(), { maxLength: 6 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ what: 'kubelet' as const }) },
  { weight: 1, arbitrary: fc.constant({ what: 'loseService' as const }) },
  { weight: 1, arbitrary: fc.constant({ what: 'spoilService' as const }) },
  { weight: 1, arbitrary: fc.constant({ what: 'losePod' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant('spec' as const), cpu: fc.constantFrom('50m', '60m', '70m') }),
  },
);

function disturb(
  cluster: Cluster,
  name: string,
  step: typeof disturbance extends fc.Arbitrary<infer T> ? T : never,
): void {
  switch (step.what) {
    case 'pass':
      pass(cluster, name, (index) => step.keep[index] ?? false);
      break;
    case 'kubelet':
      cluster.kubelet(name);
      break;
    case 'loseService':
      cluster.objects.delete(`Service ${name}`);
      break;
    case 'spoilService': {
      const service = cluster.objects.get(`Service ${name}`);
      if (service !== undefined)
        cluster.put({ ...service, spec: { ...service.spec, selector: { app: 'other' } } } as never);
      break;
    }
    case 'losePod':
      cluster.objects.delete(`Pod ${name}`);
      break;
    case 'spec':
      cluster.put(nodeOf(name, { resources: { requests: { cpu: step.cpu } } }));
      break;
  }
}

describe('the plan of a ValidatorNode', () => {
  it('converges after any part of it was done in any passes, and then plans nothing (invariant 1)', () => {
    fc.assert(
      fc.property(fc.array(disturbance, { maxLength: 25 }), (steps) => {
        const cluster = new Cluster();
        cluster.put(nodeOf('solo'));
        for (const step of steps) {
          disturb(cluster, 'solo', step);
          assertSafe(cluster, 'solo');
        }
        settle(cluster, 'solo');
        expect(isUp(cluster, 'solo')).toBe(true);
        expect(planNode(cluster.nodeWorld('solo')!)).toEqual([]);
        expect(cluster.objects.get('Service solo')?.spec.selector).toEqual({ 'murmuration.dev/node': 'solo' });
        // Invariant 2: one identity and one stake key, ever.
        expect([...cluster.keysMade].sort()).toEqual(['solo-identity', 'solo-stake']);
      }),
      { numRuns: 150 },
    );
  });

  it('lets go of everything it made when the ValidatorNode is deleted at any moment', () => {
    fc.assert(
      fc.property(fc.array(disturbance, { maxLength: 12 }), fc.boolean(), (steps, terminating) => {
        const cluster = new Cluster();
        cluster.put(nodeOf('solo'));
        for (const step of steps) disturb(cluster, 'solo', step);
        cluster.namespaceTerminating = terminating;
        cluster.delete('ValidatorNode', 'solo');
        for (let round = 0; round < MAX_ROUNDS && cluster.get('ValidatorNode', 'solo') !== undefined; round++) {
          assertSafe(cluster, 'solo');
          pass(cluster, 'solo', () => true);
          cluster.kubelet('solo');
        }
        expect(cluster.get('ValidatorNode', 'solo')).toBeUndefined();
        expect(cluster.list('StakeKeyReservation')).toEqual([]);
        // A namespace that goes takes the rest with it.
        if (!terminating) expect([...cluster.objects.keys()]).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('makes no key anew where one was recorded, and no pod without it (invariant 2)', () => {
    for (const lost of ['solo-identity', 'solo-stake']) {
      const cluster = new Cluster();
      cluster.put(nodeOf('solo'));
      settle(cluster, 'solo');
      cluster.objects.delete(`Secret ${lost}`);
      cluster.objects.delete('Pod solo');
      settle(cluster, 'solo');
      expect(cluster.keysMade).toHaveLength(2);
      expect(cluster.get('Pod', 'solo')).toBeUndefined();
      expect(cluster.get<ValidatorNode>('ValidatorNode', 'solo')?.status?.ready).toBe('no: KeyMissing');
    }
  });

  it('runs no second pod with a stake key that another ValidatorNode has reserved (invariant 3)', () => {
    const cluster = new Cluster();
    cluster.put({ ...nodeOf('x'), kind: 'Secret', metadata: { name: 'shared' } });
    const shared = cluster.objects.get('Secret shared')!;
    cluster.objects.set('Secret shared', { ...shared, spec: { name: `03${'1'.repeat(64)}` } });
    for (const name of ['one', 'two']) {
      cluster.put(nodeOf(name, { stake: { keySecretRef: { name: 'shared' } } }));
      settle(cluster, name);
    }
    expect(cluster.list<Pod>('Pod').map(({ metadata }) => metadata.name)).toEqual(['one']);
    expect(cluster.get<ValidatorNode>('ValidatorNode', 'two')?.status?.ready).toBe('no: KeyInUse');
  });

  it('makes no pod before the charter lets it in, and none for an identity that another has', () => {
    const cluster = new Cluster();
    cluster.put(nodeOf('solo'));
    settle(cluster, 'solo');
    cluster.objects.delete('Pod solo');
    expect(planNode(cluster.nodeWorld('solo', { chartered: false })!)).toEqual([]);
    expect(planNode(cluster.nodeWorld('solo', { twin: 'other' })!)).toEqual([]);
    expect(planNode(cluster.nodeWorld('solo')!)).toMatchObject([{ do: 'create', kind: { kind: 'Pod' } }]);
    cluster.writeNodeStatus('solo', { twin: 'other' });
    expect(cluster.get<ValidatorNode>('ValidatorNode', 'solo')?.status?.ready).toBe('no: KeyInUse');
  });

  it('does not replace a pod that is stopping, however long that takes, until a person says that it is gone', () => {
    const cluster = new Cluster();
    cluster.put(nodeOf('solo'));
    settle(cluster, 'solo');
    cluster.delete('Pod', 'solo');
    for (let round = 0; round < 5; round++) expect(pass(cluster, 'solo', () => true)).toBe(0);
    const { uid } = cluster.get<Pod>('Pod', 'solo')!.metadata;
    cluster.put(nodeOf('solo', {}, { annotations: { 'murmuration.dev/pod-is-gone': uid } }));
    pass(cluster, 'solo', () => true);
    expect(cluster.get('Pod', 'solo')).toBeUndefined();
  });

  it('changes nothing while it is paused', () => {
    const cluster = new Cluster();
    cluster.put(nodeOf('solo'));
    settle(cluster, 'solo');
    cluster.put(nodeOf('solo', { paused: true, image: 'murmuration:other' }));
    expect(planNode(cluster.nodeWorld('solo')!)).toEqual([]);
  });

  it('keeps volume and keys where they are to be retained', () => {
    const cluster = new Cluster();
    cluster.put(nodeOf('solo', { storage: { retain: 'Retain' } }));
    settle(cluster, 'solo');
    cluster.delete('ValidatorNode', 'solo');
    settle(cluster, 'solo');
    expect([...cluster.objects.keys()].sort()).toEqual([
      'PersistentVolumeClaim solo-data',
      'Secret solo-identity',
      'Secret solo-stake',
    ]);
  });
});

/** No pod before its keys are recorded and the stake key is reserved for this very node, and not after the release. */
function assertSafe(cluster: Cluster, name: string): void {
  const pod = cluster.get<Pod>('Pod', name);
  if (pod === undefined) return;
  const world = cluster.nodeWorld(name)!;
  expect(world.node.status?.peerId).toBeDefined();
  expect(world.node.status?.stake?.reserved).toBe(true);
  expect(world.reservation?.spec.nodeRef.uid).toBe(world.node.metadata.uid);
}
