import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../../src/kube/index.ts';
import type { ModelShard } from '../../../src/operator/kinds.ts';
import { breaches } from '../../fault/crash/invariants.ts';
import { Volumes } from '../../fault/crash/volumes.ts';
import { fleetOf, NAMESPACE, nodeOf } from './cluster.ts';
import { RecordedCluster } from './crash-cluster.ts';

const ofNode = (kind: string, name: string, more: object = {}, node = 'solo'): KubeObject =>
  ({
    apiVersion: 'v1',
    kind,
    ...more,
    metadata: {
      name,
      namespace: NAMESPACE,
      labels: { 'murmuration.dev/node': node },
      ...(more as { metadata?: object }).metadata,
    },
  }) as KubeObject;

/** A validator with its keys, its volume, its reservation and its pod, made in the right order. */
function running(spec: object = {}): { readonly cluster: RecordedCluster; readonly pod: (name: string) => void } {
  const cluster = new RecordedCluster();
  cluster.put({
    ...nodeOf('solo', spec, { finalizers: ['x'] }),
    status: { peerId: 'p', stake: { publicKey: 'k' } },
  } as never);
  const { uid } = cluster.get('ValidatorNode', 'solo')!.metadata;
  for (const which of ['identity', 'stake']) cluster.put(ofNode('Secret', `solo-${which}`, { data: { which } }));
  cluster.put(ofNode('PersistentVolumeClaim', 'solo-data'));
  const nodeRef = { namespace: NAMESPACE, name: 'solo', uid };
  cluster.put(ofNode('StakeKeyReservation', 'skr', { spec: { publicKey: 'k', nodeRef } }));
  const ownerReferences = [
    { apiVersion: 'murmuration.dev/v1alpha1', kind: 'ValidatorNode', name: 'solo', uid, controller: true },
  ];
  const pod = (name: string): void =>
    void cluster.put(ofNode('Pod', name, { metadata: { ownerReferences }, spec: {} }));
  pod('solo');
  return { cluster, pod };
}

const charter = (seq: number, said: string): KubeObject =>
  ofNode('ConfigMap', 'default-charter', {
    metadata: { annotations: { 'murmuration.dev/charter-seq': String(seq) } },
    binaryData: { said },
  });

/** A shard of three chunks, of which there are to be two copies, placed on these validators. */
const shardOn = (...nodes: readonly string[]): ModelShard =>
  ({
    metadata: { name: 'digits-0' },
    spec: { modelRef: { name: 'digits' }, index: 0, of: 1, replicas: 2 },
    status: { versionCid: 'cid', holders: nodes.map((node) => ({ node, state: 'Verified', chunks: 3 })) },
  }) as never;

it('finds nothing where a validator comes and goes as it should', () => {
  const { cluster } = running();
  cluster.delete('ValidatorNode', 'solo');
  for (const gone of ['Pod solo', 'PersistentVolumeClaim solo-data', 'Secret solo-identity', 'Secret solo-stake'])
    cluster.delete(...(gone.split(' ') as [string, string]));
  cluster.delete('StakeKeyReservation', 'skr');
  expect(breaches(cluster.changes)).toEqual([]);
});

it.each<[string, (cluster: RecordedCluster, pod: (name: string) => void) => void, readonly string[]]>([
  [
    'a key that is changed',
    (cluster) => cluster.put(ofNode('Secret', 'solo-stake', { data: { other: 'key' } })),
    ['the bytes of Secret solo-stake were changed', 'solo was given a second key in Secret solo-stake'],
  ],
  [
    'a key that is made again',
    (cluster) => {
      cluster.delete('Secret', 'solo-stake');
      cluster.put(ofNode('Secret', 'solo-stake', { data: { other: 'key' } }));
    },
    [
      'key solo-stake of solo was deleted while solo lives',
      'key solo-stake of solo was deleted before its pod was gone',
      'solo was given a second key in Secret solo-stake',
    ],
  ],
  [
    'a volume that is deleted',
    (cluster) => cluster.delete('PersistentVolumeClaim', 'solo-data'),
    [
      'volume solo-data of solo was deleted while solo lives',
      'volume solo-data of solo was deleted before its pod was gone',
    ],
  ],
  ['a second pod', (_, pod) => pod('solo-again'), ['solo has two pods']],
  [
    'a reservation that goes before the pod',
    (cluster) => cluster.delete('StakeKeyReservation', 'skr'),
    ['the stake key of solo was released while its pod was there'],
  ],
  [
    'a pod that comes before the reservation',
    (cluster, pod) => {
      cluster.delete('Pod', 'solo');
      cluster.delete('StakeKeyReservation', 'skr');
      pod('solo');
    },
    ['pod solo was made before its stake key was reserved'],
  ],
  [
    'two charters of one number, and one of a lower number',
    (cluster) => {
      cluster.put(charter(2, 'one'));
      cluster.put(charter(2, 'other'));
      cluster.put(charter(1, 'one'));
    },
    ['two charters default-charter have number 2', 'charter default-charter went from 2 to 1'],
  ],
])('finds %s', (_, happen, found) => {
  const { cluster, pod } = running();
  happen(cluster, pod);
  expect(breaches(cluster.changes)).toEqual(found);
});

it('finds what is deleted and was to be retained', () => {
  const { cluster } = running({ storage: { retain: 'Retain' } });
  cluster.delete('ValidatorNode', 'solo');
  cluster.delete('Pod', 'solo');
  cluster.delete('PersistentVolumeClaim', 'solo-data');
  expect(breaches(cluster.changes)).toEqual(['volume solo-data of solo was deleted, and is to be retained']);
});

it('finds more validators down at once than the fleet allows', () => {
  const cluster = new RecordedCluster();
  cluster.put(fleetOf('flock', { replicas: 3 }));
  for (const name of ['flock-0', 'flock-1']) {
    cluster.put(nodeOf(name, {}, { labels: { 'murmuration.dev/fleet': 'flock' } }));
    const { uid } = cluster.get('ValidatorNode', name)!.metadata;
    const owner = { apiVersion: 'murmuration.dev/v1alpha1', kind: 'ValidatorNode', name, uid, controller: true };
    cluster.put(ofNode('Pod', name, { metadata: { ownerReferences: [owner] }, spec: {} }, name));
    cluster.kubelet(name);
  }
  cluster.delete('Pod', 'flock-0');
  expect(breaches(cluster.changes).filter((one) => one.includes('down'))).toEqual([]);
  cluster.delete('Pod', 'flock-1');
  expect(breaches(cluster.changes)).toContain('flock-0 and flock-1 are down at once');
});

describe('the disks of the validators', () => {
  const all = ['a', 'b', 'c'];

  it('keep a copy until those that it is placed on have theirs', () => {
    const volumes = new Volumes(3);
    volumes.follow([shardOn('a', 'b')], all);
    volumes.follow([shardOn('b', 'c')], all);
    expect(volumes.bitmap('digits', 'a')).toEqual(Uint8Array.of(0b111));
    volumes.follow([shardOn('b', 'c')], all);
    expect(volumes.bitmap('digits', 'a')).toEqual(Uint8Array.of(0));
    expect(volumes.breaches).toEqual([]);
  });

  it('tell when one goes that still had to be copied', () => {
    const volumes = new Volumes(3);
    volumes.follow([shardOn('a', 'b')], all);
    volumes.follow([shardOn('a')], ['a', 'c']);
    expect(volumes.breaches).toEqual(['of shard digits-0 only 1 of 2 copies are left']);
  });

  it('tell when what is placed too seldom was dropped', () => {
    const volumes = new Volumes(3);
    volumes.follow([shardOn('a', 'b')], all);
    volumes.follow([shardOn('a')], all);
    expect(volumes.breaches).toEqual(['of shard digits-0 only 1 of 2 copies are left']);
  });
});
