import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelShard } from '../../../src/api/index.ts';
import type { Pod } from '../../../src/kube/index.ts';
import {
  charterContent,
  dialable,
  MODELS_BYTES,
  type NetworkWorld,
  planCharter,
  probeSeed,
} from '../../../src/operator/network/plan.ts';
import { contentDigest } from '../../../src/operator/network/record.ts';
import { maxModelLabels } from '../../../src/overlay/index.ts';
import { Cluster, NOW, nodeOf } from './cluster.ts';

const cluster = new Cluster();
const validator = (name: string, change: object = {}, metadata: object = {}) => {
  const status = { peerId: `peer-${name}`, stake: { publicKey: `02${'0'.repeat(64)}`, reserved: true }, ...change };
  const node = cluster.put({ ...nodeOf(name), status } as never) as never as NetworkWorld['nodes'][number]['node'];
  return { node: { ...node, metadata: { ...node.metadata, ...metadata } }, pod: undefined };
};
const model = cluster.put({
  apiVersion: 'murmuration.dev/v1alpha1',
  kind: 'Model',
  metadata: { name: 'digits', namespace: 'garden' },
  spec: { data: { source: { builtin: 'digits' }, classes: 10 } },
} as never) as never as NetworkWorld['models'][number];
const shard = (index: number, holders: readonly string[]): ModelShard =>
  ({
    metadata: { name: `digits-${index}` },
    spec: { modelRef: { name: 'digits' }, index, of: 2 },
    status: { holders: holders.map((node) => ({ node, state: 'Verified', chunks: 1 })) },
  }) as never;

const world = (change: Partial<NetworkWorld> = {}): NetworkWorld => ({
  network: 'garden/default',
  nodes: [validator('a'), validator('b')],
  models: [model],
  shards: [shard(0, ['a', 'b']), shard(1, ['b'])],
  operator: 'peer-operator',
  recordedContent: undefined,
  recordedSeq: 0,
  heardSeq: 0,
  users: [],
  nowSeconds: NOW / 1000,
  ...change,
});

describe('the plan of a charter', () => {
  it('says nothing where the content is the recorded one, whatever the order of things', () => {
    const recordedContent = contentDigest(charterContent(world()));
    const { nodes, shards } = world();
    fc.assert(
      fc.property(
        fc.shuffledSubarray([...nodes], { minLength: 2 }),
        fc.shuffledSubarray([...shards], { minLength: 2 }),
        (shuffledNodes, shuffledShards) => {
          const same = world({ nodes: shuffledNodes, shards: shuffledShards, recordedContent, recordedSeq: 4 });
          expect(planCharter(same)).toEqual({ say: 'nothing' });
        },
      ),
    );
  });

  it('counts on by one, and above what was heard under its own key', () => {
    expect(planCharter(world({ recordedSeq: 4 }))).toMatchObject({ seq: 5, overtaken: false });
    const recordedContent = contentDigest(charterContent(world()));
    expect(planCharter(world({ recordedContent, recordedSeq: 4, heardSeq: 9 }))).toMatchObject({
      seq: 10,
      overtaken: true,
    });
  });

  it('lets in nobody without a recorded peer id and a reserved stake key', () => {
    const nodes = [
      validator('a'),
      validator('b', { peerId: undefined }),
      validator('c', { stake: { publicKey: '02', reserved: false } }),
    ];
    expect(charterContent(world({ nodes })).members.map(({ name }) => name)).toEqual(['operator', 'a']);
  });

  it('cuts off a validator that is deleted when its pod stops, not before', () => {
    const going = validator('b', {}, { deletionTimestamp: '2026-11-21T12:00:00Z' });
    const up = { metadata: { name: 'b' } } as Pod;
    const stopping = { metadata: { name: 'b', deletionTimestamp: '2026-11-21T12:00:00Z' } } as Pod;
    const members = (pod: Pod | undefined) =>
      charterContent(world({ nodes: [validator('a'), { ...going, pod }] })).members.map(({ name }) => name);
    expect(members(up)).toEqual(['operator', 'a', 'b']);
    expect(members(stopping)).toEqual(['operator', 'a']);
    expect(members(undefined)).toEqual(['operator', 'a']);
  });

  it('names a peer id once, for the validator that had it first', () => {
    const first = validator('z', { peerId: 'twin' }, { creationTimestamp: '2026-01-01T00:00:00Z' });
    const second = validator('a', { peerId: 'twin' }, { creationTimestamp: '2026-01-02T00:00:00Z' });
    expect(charterContent(world({ nodes: [second, first] })).members.map(({ name }) => name)).toEqual([
      'operator',
      'z',
    ]);
  });

  it('names holders by peer id, and only those that are members', () => {
    const shards = [shard(0, ['b', 'a', 'gone'])];
    expect(charterContent(world({ shards })).placements).toEqual([
      { model: model.metadata.uid, index: 0, of: 2, holders: ['peer-a', 'peer-b'] },
    ]);
  });

  it('leaves out a model that it has no room for, with its shards, and names the others', () => {
    const layers = [{ class_name: 'Dense', config: { note: 'x'.repeat(MODELS_BYTES) } }];
    const { metadata, spec } = model;
    const huge = {
      ...model,
      metadata: { ...metadata, name: 'huge', uid: 'huge' },
      spec: { ...spec, architecture: { layers } },
    };
    const content = charterContent(world({ models: [huge as never, model] }));
    expect(content.models.map(({ name }) => name)).toEqual(['digits']);
    const alone = charterContent(
      world({ models: [{ ...huge, metadata: { ...huge.metadata, name: 'digits' } } as never] }),
    );
    expect([alone.models, alone.placements]).toEqual([[], []]);
  });

  it('carries the labels of a model in a fixed order, so many at most, and makes a new charter of new ones', () => {
    const labelled = (labels: Record<string, string>) =>
      world({ models: [{ ...model, metadata: { ...model.metadata, labels } } as never] });
    const [carried] = charterContent(labelled({ team: 'vision', stage: 'production' })).models;
    expect(Object.entries(carried?.labels ?? {})).toEqual([
      ['stage', 'production'],
      ['team', 'vision'],
    ]);
    expect(charterContent(labelled({})).models[0]).not.toHaveProperty('labels');
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`label-${i + 10}`, '']));
    expect(Object.keys(charterContent(labelled(many)).models[0]?.labels ?? {})).toHaveLength(maxModelLabels);
    const recordedContent = contentDigest(charterContent(labelled({ team: 'vision' })));
    const told = { recordedContent, recordedSeq: 4 };
    expect(planCharter({ ...labelled({ team: 'vision' }), ...told })).toEqual({ say: 'nothing' });
    expect(planCharter({ ...labelled({ team: 'sound' }), ...told })).toMatchObject({ say: 'charter', seq: 5 });
  });

  it('gives every model a probe seed that fits 31 bits and depends on its uid alone', () => {
    fc.assert(
      fc.property(fc.uuid(), (uid) => {
        expect(probeSeed(uid)).toBe(probeSeed(uid));
        expect(probeSeed(uid)).toBeGreaterThanOrEqual(0);
        expect(probeSeed(uid)).toBeLessThan(2 ** 31);
      }),
    );
  });

  it('dials running pods by IP, also by IPv6', () => {
    const pod = (podIP: string): Pod => ({ metadata: { name: 'x' }, status: { phase: 'Running', podIP } }) as Pod;
    const nodes = [
      { ...validator('a'), pod: pod('10.0.0.7') },
      { ...validator('b'), pod: pod('fd00::7') },
    ];
    expect(Object.fromEntries(dialable({ nodes }))).toEqual({
      'peer-a': '/ip4/10.0.0.7/tcp/4001',
      'peer-b': '/ip6/fd00::7/tcp/4001',
    });
  });
});

describe('users', () => {
  const peer = (n: number) =>
    `12D3KooW${String.fromCharCode(65 + Math.floor(n / 50))}${'abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ1'[n % 50]}${'a'.repeat(42)}`;
  const hour = 3600 * 1000;
  const entry = (n: number, data: object = {}, metadata: object = {}): NetworkWorld['users'][number] => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `user-${n}`,
      creationTimestamp: new Date(NOW - 2000 * hour + n * hour).toISOString(),
      ...metadata,
    } as never,
    data: { peerId: peer(n), name: `user-${n}`, notAfter: new Date(NOW + hour).toISOString(), ...data },
  });
  const usersIn = (users: NetworkWorld['users'], change: Partial<NetworkWorld> = {}) =>
    charterContent(world({ users, ...change })).members.filter(({ role }) => role === 'user');

  it('are let in until their time is over, without weight or address', () => {
    const until = NOW / 1000 + 3600;
    expect(usersIn([entry(1)])).toEqual([
      { peerId: peer(1), name: 'user-1', stakeKey: '', weight: 0, role: 'user', notAfter: until, addresses: [] },
    ]);
    expect(usersIn([entry(1)], { nowSeconds: until - 1 })).toHaveLength(1);
    expect(usersIn([entry(1)], { nowSeconds: until })).toEqual([]);
    expect(usersIn([entry(1, {}, { deletionTimestamp: '2026-11-21T12:00:00Z' })])).toEqual([]);
  });

  it('make no new charter while nothing changes, whatever their order', () => {
    const users = [entry(1), entry(2), entry(3)];
    const recordedContent = contentDigest(charterContent(world({ users })));
    const same = world({ users: users.toReversed(), recordedContent, recordedSeq: 4, nowSeconds: NOW / 1000 + 60 });
    expect(planCharter(same)).toEqual({ say: 'nothing' });
    const over = world({ users, recordedContent, recordedSeq: 4, nowSeconds: NOW / 1000 + 7200 });
    expect(planCharter(over)).toMatchObject({ say: 'charter', seq: 5 });
  });

  it.each([
    ['no peer id', { peerId: 'somebody' }],
    ['no end', { notAfter: 'never' }],
    ['a name that moves a cursor', { name: '\u001b[2J' }],
  ])('with %s are passed over', (_, data) => {
    expect(usersIn([entry(1, data), entry(2)]).map(({ peerId }) => peerId)).toEqual([peer(2)]);
  });

  it('take no validator’s place, nor its shards by its name', () => {
    const nodes = [validator('a', { peerId: peer(1) })];
    const { members, placements } = charterContent(world({ nodes, users: [entry(1), entry(2, { name: 'a' })] }));
    expect(members.filter(({ peerId }) => peerId === peer(1)).map(({ role }) => role)).toEqual(['validator']);
    expect(placements[0]?.holders).toEqual([peer(1)]);
  });

  it('are 256 at most, those that came first', () => {
    const users = Array.from({ length: 300 }, (_, n) => entry(n));
    const letIn = usersIn(users.toReversed());
    expect(letIn).toHaveLength(256);
    expect(letIn.map(({ peerId }) => peerId)).not.toContain(peer(299));
    expect(letIn.map(({ peerId }) => peerId)).toContain(peer(0));
  });
});
