import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ValidatorFleet, ValidatorNode } from '../../../src/api/index.ts';
import type { Pod } from '../../../src/kube/index.ts';
import { GROWTH, planFleet } from '../../../src/operator/fleet/plan.ts';
import { planNode } from '../../../src/operator/node/plan.ts';
import { Cluster, fleetOf, SETTING } from './cluster.ts';

const nodes = (cluster: Cluster): readonly string[] =>
  cluster
    .list<ValidatorNode>('ValidatorNode')
    .map(({ metadata }) => metadata.name)
    .sort();

/** A pass of the node controller for every validator. */
function nodePass(cluster: Cluster): number {
  let planned = 0;
  for (const name of nodes(cluster)) {
    const world = cluster.nodeWorld(name);
    if (world === undefined) continue;
    const actions = planNode(world);
    planned += actions.length;
    for (const action of actions) cluster.perform(action, () => cluster.writeNodeStatus(name));
    cluster.writeNodeStatus(name);
  }
  return planned;
}

function fleetPass(cluster: Cluster, keep: (index: number) => boolean = () => true): number {
  const actions = planFleet(cluster.fleetWorld('flock'));
  for (const [index, action] of actions.entries()) if (keep(index)) cluster.perform(action);
  cluster.writeFleetStatus('flock');
  return actions.length;
}

function settle(cluster: Cluster): void {
  for (let round = 0; round < 300; round++) {
    const planned = fleetPass(cluster) + nodePass(cluster);
    for (const name of nodes(cluster)) cluster.kubelet(name);
    const after = nodePass(cluster);
    if (planned === 0 && after === 0 && fleetPass(cluster) === 0) return;
  }
  throw new Error('the plan does not converge');
}

const up = (cluster: Cluster): number =>
  cluster
    .list<Pod>('Pod')
    .filter(
      ({ metadata, status }) =>
        metadata.deletionTimestamp === undefined && status?.conditions?.some(({ status: is }) => is === 'True'),
    ).length;

const step = fc.oneof(
  fc.record({ what: fc.constant('fleet' as const), keep: fc.array(fc.boolean(), { maxLength: 8 }) }),
  fc.constant({ what: 'nodes' as const }),
  fc.record({ what: fc.constant('kubelet' as const), which: fc.nat({ max: 7 }) }),
  fc.record({ what: fc.constant('template' as const), cpu: fc.constantFrom('50m', '60m', '70m') }),
);

describe('the plan of a ValidatorFleet', () => {
  it('converges from any state that parts of it leave, and then plans nothing (invariant 1)', () => {
    const size = fc.integer({ min: 0, max: 5 });
    fc.assert(
      fc.property(size, size, fc.array(step, { maxLength: 20 }), (before, after, steps) => {
        const cluster = new Cluster();
        cluster.put(fleetOf('flock', { replicas: before }));
        if (steps.length % 2 === 0) settle(cluster);
        let cpu = '50m';
        for (const one of steps) {
          if (one.what === 'fleet') fleetPass(cluster, (index) => one.keep[index] ?? false);
          if (one.what === 'nodes') nodePass(cluster);
          if (one.what === 'kubelet') cluster.kubelet(`flock-${one.which}`);
          if (one.what === 'template') cpu = one.cpu;
          const template = { spec: { resources: { requests: { cpu } } } };
          cluster.put(fleetOf('flock', { replicas: after, template }));
        }
        cluster.put(fleetOf('flock', { replicas: after, template: { spec: { resources: { requests: { cpu } } } } }));
        settle(cluster);
        expect(nodes(cluster)).toEqual(Array.from({ length: after }, (_, index) => `flock-${index}`));
        expect(up(cluster)).toBe(after);
        const { status } = cluster.get<ValidatorFleet>('ValidatorFleet', 'flock')!;
        expect(status).toMatchObject({ replicas: after, readyReplicas: after, updatedReplicas: after, ready: 'yes' });
        expect(status?.currentVersion).toBe(status?.targetVersion);
      }),
      { numRuns: 60 },
    );
  });

  it('grows in waves: the next ones are made as the first ones are looked at', () => {
    const cluster = new Cluster();
    cluster.put(fleetOf('flock', { replicas: 150 }));
    fleetPass(cluster);
    expect(nodes(cluster)).toHaveLength(GROWTH);
    fleetPass(cluster);
    expect(nodes(cluster)).toHaveLength(GROWTH);
    for (const name of nodes(cluster).slice(0, 10)) cluster.writeNodeStatus(name);
    fleetPass(cluster);
    expect(nodes(cluster)).toHaveLength(GROWTH + 10);
    settle(cluster);
    expect(nodes(cluster)).toHaveLength(150);
  });

  it('never has more than maxUnavailable running validators down for an update', () => {
    const scene = fc.record({
      replicas: fc.integer({ min: 1, max: 6 }),
      maxUnavailable: fc.constantFrom(1, 2, '50%'),
      steps: fc.array(step, { maxLength: 60 }),
    });
    fc.assert(
      fc.property(scene, ({ replicas, maxUnavailable, steps }) => {
        const cluster = new Cluster();
        const spec = (cpu: string) => ({
          replicas,
          updateStrategy: { maxUnavailable },
          template: { spec: { resources: { requests: { cpu } } } },
        });
        cluster.put(fleetOf('flock', spec('50m')));
        settle(cluster);
        const limit = typeof maxUnavailable === 'number' ? maxUnavailable : Math.max(1, Math.floor(replicas / 2));
        for (const one of steps) {
          if (one.what === 'fleet') fleetPass(cluster, (index) => one.keep[index] ?? true);
          if (one.what === 'nodes') nodePass(cluster);
          if (one.what === 'kubelet') cluster.kubelet(`flock-${one.which}`);
          if (one.what === 'template') cluster.put(fleetOf('flock', spec(one.cpu)));
          expect(up(cluster)).toBeGreaterThanOrEqual(replicas - limit);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('hands out the permission to replace pods also where the template is the same: a new image of the operator', () => {
    const cluster = new Cluster();
    cluster.put(fleetOf('flock', { replicas: 3 }));
    settle(cluster);
    cluster.setting = { ...SETTING, image: 'murmuration:0.2.0' };
    nodePass(cluster);
    expect(up(cluster)).toBe(3);
    fleetPass(cluster);
    nodePass(cluster);
    expect(up(cluster)).toBe(2);
    settle(cluster);
    const images = cluster.list<Pod>('Pod').map(({ spec }) => spec?.containers[0]?.image);
    expect(images).toEqual(['murmuration:0.2.0', 'murmuration:0.2.0', 'murmuration:0.2.0']);
  });

  it('brings validators that are down up to date at once: that may be what mends them', () => {
    const cluster = new Cluster();
    cluster.put(fleetOf('flock', { replicas: 3, template: { spec: { image: 'murmuration:typo' } } }));
    for (let round = 0; round < 10; round++) {
      fleetPass(cluster);
      nodePass(cluster);
    }
    cluster.put(fleetOf('flock', { replicas: 3, template: { spec: { image: 'murmuration:right' } } }));
    expect(planFleet(cluster.fleetWorld('flock'))).toHaveLength(3);
  });

  it('leaves the cordon of a single validator to the person who set it', () => {
    const cluster = new Cluster();
    cluster.put(fleetOf('flock', { replicas: 2 }));
    settle(cluster);
    const one = cluster.get<ValidatorNode>('ValidatorNode', 'flock-1')!;
    cluster.put({ ...one, spec: { ...one.spec, cordon: true } } as never);
    expect(planFleet(cluster.fleetWorld('flock'))).toEqual([]);
  });

  it('does not take over a ValidatorNode that is not its own, and says so', () => {
    const cluster = new Cluster();
    cluster.put({ ...fleetOf('x', {}), kind: 'ValidatorNode', metadata: { name: 'flock-0', namespace: 'garden' } });
    cluster.put(fleetOf('flock', { replicas: 2 }));
    settle(cluster);
    expect(cluster.get<ValidatorNode>('ValidatorNode', 'flock-0')?.metadata.ownerReferences).toBeUndefined();
    expect(cluster.get<ValidatorFleet>('ValidatorFleet', 'flock')?.status?.ready).toBe('no: NameTaken');
  });
});
