import { describe, expect, it } from 'vitest';
import type { ModelShard } from '../../../src/api/index.ts';
import { DRAIN_LIMIT_MS, drainOf } from '../../../src/operator/node/drain.ts';
import type { NodeWorld } from '../../../src/operator/node/world.ts';
import { Cluster, NOW, nodeOf } from './cluster.ts';

const shard = {
  metadata: { name: 'digits-0' },
  spec: { replicas: 3 },
  status: { versionCid: 'bafy', chunks: 6 },
} as unknown as ModelShard;

function world(change: Partial<NodeWorld>, spec: object = {}, deleting?: number): NodeWorld {
  const cluster = new Cluster();
  cluster.put(nodeOf('flock-3', spec));
  const found = cluster.nodeWorld('flock-3', change)!;
  const deletionTimestamp = deleting === undefined ? undefined : new Date(deleting).toISOString();
  return { ...found, node: { ...found.node, metadata: { ...found.node.metadata, deletionTimestamp } as never } };
}

describe('the drain of a ValidatorNode', () => {
  it('waits while a shard counts on it and others can take over', () => {
    const drain = drainOf(world({ holding: [shard], others: 3 }, { cordon: true }));
    expect(drain.condition).toMatchObject({ status: 'False', reason: 'Draining' });
    expect(drainOf(world({ holding: [shard], others: 3 }, {}, NOW)).mayGo).toBe(false);
  });

  it('is over when no shard with a version counts on it', () => {
    const empty = { ...shard, status: { holders: [] } } as unknown as ModelShard;
    expect(drainOf(world({ holding: [empty] }, { cordon: true })).condition).toMatchObject({
      status: 'True',
      reason: 'Drained',
    });
  });

  it('says so where no other place exists; a cordoned one stays, one that a person deletes may go', () => {
    const cordoned = drainOf(world({ holding: [shard], others: 2 }, { cordon: true }));
    expect(cordoned.condition).toMatchObject({ status: 'False', reason: 'UnderReplicated' });
    expect(drainOf(world({ holding: [shard], others: 2 }, {}, NOW)).mayGo).toBe(true);
  });

  it('is not waited for beyond its limit by a deletion, and not at all when the namespace goes', () => {
    expect(drainOf(world({ holding: [shard], others: 3 }, {}, NOW - DRAIN_LIMIT_MS - 1)).mayGo).toBe(true);
    expect(drainOf(world({ holding: [shard], others: 3, namespaceTerminating: true }, {}, NOW)).mayGo).toBe(true);
  });
});
