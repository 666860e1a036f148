import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOLDER_STATES, type ModelShard } from '../../../src/api/index.ts';
import { drainOf } from '../../../src/operator/node/drain.ts';
import { planNode } from '../../../src/operator/node/plan.ts';
import type { NodeWorld } from '../../../src/operator/node/world.ts';
import { Cluster, NOW, nodeOf } from './cluster.ts';

const REPLICAS = 3;

/** A shard of six chunks on these validators: `a Verified, b Fetching`. */
function shardOn(holders: string, reason = 'Reconciled'): ModelShard {
  return {
    metadata: { name: 'digits-0' },
    spec: { replicas: REPLICAS },
    status: {
      versionCid: 'bafy',
      chunks: 6,
      conditions: [{ type: 'Ready', status: 'False', reason }],
      holders: holders.split(', ').map((one) => {
        const [node, state] = one.split(' ');
        return { node, state, chunks: state === 'Verified' || state === 'Draining' ? 6 : 0 };
      }),
    },
  } as unknown as ModelShard;
}

function world(change: Partial<NodeWorld>, spec: object = {}, deleting = false, annotations?: object): NodeWorld {
  const cluster = new Cluster();
  cluster.put(nodeOf('me', spec, { finalizers: ['murmuration.dev/validator'] }));
  const found = cluster.nodeWorld('me', change)!;
  const deletionTimestamp = deleting ? new Date(NOW).toISOString() : undefined;
  const metadata = { ...found.node.metadata, uid: 'uid-me', deletionTimestamp, annotations } as never;
  return { ...found, node: { ...found.node, metadata } };
}
const cordoned = (shard: ModelShard) => drainOf(world({ holding: [shard] }, { cordon: true })).condition;
const deleted = (shard: ModelShard, annotations?: object) =>
  drainOf(world({ holding: [shard] }, {}, true, annotations));

describe('the drain of a ValidatorNode', () => {
  it('waits until as many others as there should be hold every chunk', () => {
    expect(cordoned(shardOn('a Verified, b Verified, c Fetching, me Draining'))).toMatchObject({
      status: 'False',
      reason: 'Draining',
      message: 'Waiting for digits-0 (2 of 3 hold it) to be copied to other validators.',
    });
    expect(deleted(shardOn('a Verified, b Verified, c Fetching, me Draining')).mayGo).toBe(false);
    expect(deleted(shardOn('a Verified, b Verified, c Stale, me Draining')).mayGo).toBe(false);
    expect(deleted(shardOn('a Verified, b Verified, c Verified, me Draining')).mayGo).toBe(true);
  });

  it('waits until another place was looked for', () => {
    expect(deleted(shardOn('a Verified, b Verified, me Verified')).mayGo).toBe(false);
    expect(deleted(shardOn('me Verified')).mayGo).toBe(false);
  });

  it('is over when no shard with a version counts on it', () => {
    const empty = { ...shardOn('me Assigned'), status: { holders: [] } } as unknown as ModelShard;
    expect(cordoned(empty)).toMatchObject({ status: 'True', reason: 'Drained' });
    expect(drainOf(world({ holding: [] }, { cordon: true })).condition.status).toBe('True');
  });

  it('says so where no other place exists; a cordoned one stays, one that a person deletes goes once all others hold it', () => {
    const few = shardOn('a Verified, b Verified, me Draining');
    expect(cordoned(few)).toMatchObject({ status: 'False', reason: 'UnderReplicated' });
    expect(deleted(few).mayGo).toBe(true);
    expect(deleted(shardOn('a Verified, b Fetching, me Draining')).mayGo).toBe(false);
    const full = shardOn('a Verified, b Verified, me Draining', 'CapacityExceeded');
    expect(cordoned(full)).toMatchObject({ status: 'False', reason: 'CapacityExceeded' });
    expect(deleted(shardOn('me Draining')).mayGo).toBe(true);
  });

  it('is skipped when a person says so of this very validator', () => {
    const waiting = shardOn('a Verified, b Fetching, me Draining');
    expect(deleted(waiting).condition.message).toContain('annotate it with murmuration.dev/skip-drain=uid-me');
    expect(deleted(waiting, { 'murmuration.dev/skip-drain': 'uid-me' }).mayGo).toBe(true);
    expect(deleted(waiting, { 'murmuration.dev/skip-drain': 'uid-of-a-namesake' }).mayGo).toBe(false);
  });

  it('is not waited for when the namespace goes', () => {
    const holding = [shardOn('me Verified')];
    expect(drainOf(world({ holding, namespaceTerminating: true }, {}, true)).mayGo).toBe(true);
  });

  it('lets nothing of a validator go, with or without its pod, while others have too little (invariant 4)', () => {
    const holder = fc.record({ node: fc.constantFrom('a', 'b', 'c', 'd'), state: fc.constantFrom(...HOLDER_STATES) });
    fc.assert(
      fc.property(
        fc.uniqueArray(holder, { selector: ({ node }) => node }),
        fc.constantFrom(...HOLDER_STATES),
        (others, own) => {
          const names = [...others.map(({ node, state }) => `${node} ${state}`), `me ${own}`].join(', ');
          const actions = planNode(world({ holding: [shardOn(names)] }, {}, true));
          const wanted = others.filter(({ state }) => !['Draining', 'Lost', 'Corrupt'].includes(state));
          const whole = wanted.filter(({ state }) => state === 'Verified').length;
          if (whole < Math.min(REPLICAS, wanted.length)) expect(actions).toEqual([]);
        },
      ),
    );
  });
});
