import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelShard } from '../../../src/api/index.ts';
import type { PodDisruptionBudget } from '../../../src/kube/index.ts';
import { minAvailable, planBudget } from '../../../src/operator/fleet/budget.ts';
import { type FleetWorld, planFleet } from '../../../src/operator/fleet/plan.ts';
import { Cluster, fleetOf, NAMESPACE } from './cluster.ts';

/** A shard with a version on these validators, of which the first so many have every chunk and answer. */
function shard(nodes: readonly string[], live: number, replicas: number, reason = 'Reconciled'): ModelShard {
  const whole = live >= replicas ? 'True' : 'False';
  return {
    metadata: { name: 'digits-0', namespace: NAMESPACE },
    spec: { modelRef: { name: 'digits' }, index: 0, of: 1, replicas },
    status: {
      versionCid: 'bafy',
      chunks: 6,
      availableReplicas: live,
      holders: nodes.map((node, at) => ({ node, state: at < live ? 'Verified' : 'Stale', chunks: 6 })),
      conditions: [
        { type: 'Ready', status: whole, reason },
        { type: 'FullyReplicated', status: whole, reason },
      ],
    },
  } as unknown as ModelShard;
}

function world(size: number, change: Partial<FleetWorld> = {}, spec: object = {}): FleetWorld {
  const cluster = new Cluster();
  cluster.put(fleetOf('flock', { replicas: size, ...spec }));
  for (const action of planFleet(cluster.fleetWorld('flock'))) cluster.perform(action);
  return { ...cluster.fleetWorld('flock'), ...change };
}
const names = (size: number): readonly string[] => Array.from({ length: size }, (_, at) => `flock-${at}`);
const FOUR = names(4);

describe('the PodDisruptionBudget of a fleet', () => {
  it('lets as many go at once as an update would', () => {
    const shards = [shard(FOUR.slice(0, 3), 3, 3)];
    expect(minAvailable(world(4, { shards }))).toBe(3);
    const updateStrategy = { maxUnavailable: 2 };
    expect(minAvailable(world(4, { shards }, { updateStrategy }))).toBe(2);
  });

  it('lets nobody go who may have the last live copy, while there is another place for it', () => {
    const shards = [shard(['flock-0'], 1, 1)];
    expect(minAvailable(world(4, { shards }))).toBe(4);
    expect(minAvailable(world(4, { shards: [shard(FOUR.slice(0, 3), 1, 3)] }))).toBe(4);
    expect(minAvailable(world(4, { shards: [shard(FOUR.slice(0, 3), 2, 3)] }))).toBe(3);
  });

  it('does not hold up for ever what waiting cannot mend', () => {
    expect(minAvailable(world(1, { shards: [shard(['flock-0'], 1, 1)] }))).toBe(0);
    expect(minAvailable(world(4, { shards: [shard(['flock-0'], 1, 1, 'CapacityExceeded')] }))).toBe(3);
    expect(minAvailable(world(4, { shards: [shard(['flock-0'], 0, 1)] }))).toBe(3);
  });

  it('looks, while a machine is drained, at what its validators hold', () => {
    const isCordoned = (node: string): boolean => node === 'flock-0';
    const spares = () => new Set(FOUR.slice(1));
    const before = world(4, { shards: [shard(['flock-0'], 1, 1)], isCordoned, spares });
    expect(minAvailable(before)).toBe(4);
    const moved = world(4, { shards: [shard(['flock-1'], 1, 1)], isCordoned, spares });
    expect(minAvailable(moved)).toBe(3);
  });

  it('counts no validator that has no machine and holds nothing any more, so that the next one may go', () => {
    const shards = [shard(['flock-1', 'flock-2'], 2, 2)];
    const { members, ...rest } = world(4, { shards });
    const homeless = (name: string): FleetWorld => ({
      ...rest,
      members: members.map((member) =>
        member.node.metadata.name !== name
          ? member
          : { ...member, pod: { status: { conditions: [{ type: 'PodScheduled', status: 'False' }] } } as never },
      ),
    });
    expect(minAvailable(homeless('flock-0'))).toBe(2);
    expect(minAvailable(homeless('flock-1'))).toBe(3);
  });

  it('is made for the pods of the fleet, kept in step, and left to a person who made one of that name', () => {
    const cluster = new Cluster();
    cluster.put(fleetOf('flock', { replicas: 2 }));
    const settle = () => {
      for (const action of planFleet(cluster.fleetWorld('flock'))) cluster.perform(action);
    };
    settle();
    settle();
    const budget = cluster.get<PodDisruptionBudget>('PodDisruptionBudget', 'flock');
    expect(budget?.spec).toEqual({
      minAvailable: 1,
      selector: { matchLabels: { 'murmuration.dev/fleet': 'flock' } },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
    expect(planBudget(cluster.fleetWorld('flock'))).toEqual([]);
    const foreign = { ...budget!, metadata: { ...budget!.metadata, ownerReferences: [] }, spec: { minAvailable: 0 } };
    expect(planBudget({ ...cluster.fleetWorld('flock'), budget: foreign })).toEqual([]);
  });

  it('never allows the eviction of the last live copy of a shard that could have another place', () => {
    const drawn = fc.record({
      size: fc.integer({ min: 2, max: 6 }),
      limit: fc.integer({ min: 1, max: 4 }),
      shards: fc.array(
        fc.record({ on: fc.nat({ max: 63 }), live: fc.nat({ max: 6 }), replicas: fc.integer({ min: 1, max: 4 }) }),
      ),
    });
    fc.assert(
      fc.property(drawn, ({ size, limit, shards }) => {
        const all = names(size);
        const made = shards
          .map(({ on, live, replicas }) => ({
            nodes: all.filter((_, at) => (on >> at) & 1).slice(0, replicas),
            live,
            replicas,
          }))
          .filter(({ nodes }) => nodes.length > 0)
          .map(({ nodes, live, replicas }) => ({ nodes, of: shard(nodes, Math.min(live, nodes.length), replicas) }));
        const here = world(size, { shards: made.map(({ of }) => of) }, { updateStrategy: { maxUnavailable: limit } });
        const mayGo = size - minAvailable(here);
        expect(mayGo).toBeLessThanOrEqual(limit);
        for (const { nodes, of } of made) {
          const { availableReplicas = 0 } = of.status ?? {};
          if (nodes.length === size || availableReplicas === 0) continue;
          expect(mayGo).toBeLessThanOrEqual(availableReplicas - 1);
        }
      }),
      { numRuns: 300 },
    );
  });
});
