import { describe, expect, it } from 'vitest';
import { LABELS } from '../../../src/api/index.ts';
import {
  difference,
  type Existing,
  type KubeObject,
  type Node,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type Service,
} from '../../../src/kube/index.ts';
import { buildBudget } from '../../../src/operator/fleet/children/budget.ts';
import type { ValidatorNode } from '../../../src/operator/kinds.ts';
import { dialable } from '../../../src/operator/network/plan.ts';
import { podHashOf } from '../../../src/operator/node/children/pod.ts';
import { buildService } from '../../../src/operator/node/children/service.ts';
import { isLabelled, isOurs } from '../../../src/operator/node/plan.ts';
import { isLost, isPodReady, judgePod } from '../../../src/operator/node/pod-state.ts';
import { slimBudget, slimMachine, slimNode, slimPod, slimService, slimVolume } from '../../../src/operator/slim.ts';
import { Cluster, NAMESPACE } from './cluster.ts';

const cluster = new Cluster();
const node = cluster.put({
  apiVersion: 'murmuration.dev/v1alpha1',
  kind: 'ValidatorNode',
  metadata: {
    name: 'flock-0',
    namespace: NAMESPACE,
    labels: { [LABELS.fleet]: 'flock', team: 'birds' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'murmuration/shape': 'abc' },
  },
  spec: { network: 'default' },
} as KubeObject) as Existing<ValidatorNode>;

const existing = <T extends KubeObject>(kind: string, more: object): Existing<T> =>
  ({
    apiVersion: 'v1',
    kind,
    metadata: {
      name: 'flock-0',
      namespace: NAMESPACE,
      uid: 'u1',
      resourceVersion: '7',
      creationTimestamp: '2026-11-21T12:00:00Z',
      labels: { [LABELS.node]: 'flock-0', [LABELS.network]: 'default', 'app.kubernetes.io/name': 'x' },
      annotations: { 'murmuration.dev/pod-hash': 'h1', someone: 'else' },
      ownerReferences: [
        { apiVersion: node.apiVersion, kind: node.kind, name: 'flock-0', uid: node.metadata.uid, controller: true },
      ],
    },
    ...more,
  }) as unknown as Existing<T>;

const container = (state: object, more: object = {}): object => ({
  name: 'validator',
  image: 'murmuration:0.1.0',
  restartCount: 3,
  ready: false,
  state,
  ...more,
});
const oom = { lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } };
const statuses: readonly object[] = [
  {},
  { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', message: 'Insufficient cpu.' }] },
  {
    phase: 'Pending',
    containerStatuses: [container({ waiting: { reason: 'ErrImagePull', message: 'no such image' } })],
  },
  { phase: 'Running', containerStatuses: [container({ waiting: { reason: 'CrashLoopBackOff' } }, oom)] },
  { phase: 'Running', initContainerStatuses: [container({ waiting: { reason: 'CreateContainerConfigError' } })] },
  { phase: 'Running', podIP: '127.0.1.1', containerStatuses: [container({ running: {} })] },
  {
    phase: 'Running',
    podIP: '127.0.1.1',
    conditions: [
      { type: 'Ready', status: 'True', lastTransitionTime: '2026-11-21T12:00:00Z' },
      { type: 'PodScheduled', status: 'True' },
      { type: 'Initialized', status: 'True' },
    ],
    containerStatuses: [container({ running: {} })],
  },
  { phase: 'Failed', message: 'Evicted.' },
];

describe('what the stores keep', () => {
  it.each(statuses)('of a pod with status %j is all that is asked of it', (status) => {
    const pod = existing<Pod>('Pod', {
      spec: { nodeName: 'm1', containers: [{ name: 'validator', image: 'murmuration:0.1.0', args: ['validator'] }] },
      status,
    });
    const slim = slimPod(pod);
    expect(judgePod(slim, undefined)).toEqual(judgePod(pod, undefined));
    expect(isPodReady(slim)).toBe(isPodReady(pod));
    expect(podHashOf(slim)).toBe(podHashOf(pod));
    expect(isOurs(slim, node)).toBe(isOurs(pod, node));
    expect(slim.spec?.containers[0]?.image).toBe('murmuration:0.1.0');
    expect([slim.status?.phase, slim.status?.message]).toEqual([pod.status?.phase, pod.status?.message]);
    const known = { ...node, status: { peerId: 'p', conditions: [] } } as unknown as ValidatorNode;
    expect(dialable({ nodes: [{ node: known, pod: slim }] })).toEqual(dialable({ nodes: [{ node: known, pod }] }));
    expect(slimPod(slim)).toEqual(slim);
  });

  it('of a ValidatorNode is everything but the copy that kubectl keeps in it', () => {
    const { annotations, ...metadata } = node.metadata;
    expect(slimNode(node)).toEqual({
      ...node,
      metadata: { ...metadata, annotations: { 'murmuration/shape': annotations?.['murmuration/shape'] } },
    });
    expect(slimNode(slimNode(node))).toEqual(slimNode(node));
  });

  it('is one object for equal specs', () => {
    const copy = structuredClone(node);
    expect(slimNode(copy).spec).toBe(slimNode(node).spec);
  });

  it('of a Service is all that we set', () => {
    const built = buildService(node);
    const edited = { ...built, spec: { ...built.spec, ports: [{ port: 1 }] } };
    const live = (service: object): Existing<Service> =>
      ({ ...service, metadata: { ...built.metadata, uid: 'u1', resourceVersion: '7' } }) as Existing<Service>;
    expect(difference(built, slimService(live(built)))).toBeUndefined();
    expect(difference(built, slimService(live(edited)))).toBeDefined();
    expect(slimService(slimService(live(built)))).toEqual(slimService(live(built)));
  });

  it('of a claim tells its size, and whose it is', () => {
    const claim = existing<PersistentVolumeClaim>('PersistentVolumeClaim', {
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      status: { phase: 'Bound', capacity: { storage: '1Gi' } },
    });
    const slim = slimVolume(claim);
    expect(slim.spec?.resources?.requests).toEqual({ storage: '1Gi' });
    expect(slim.status?.phase).toBe('Bound');
    expect(isLabelled(slim, node)).toBe(true);
    expect(slimVolume(slim)).toEqual(slim);
  });

  it.each(['True', 'Unknown'])('of a machine tells whether it answers (Ready %s), and where it is', (status) => {
    const machine = existing<Node>('Node', { status: { conditions: [{ type: 'Ready', status }], images: [{}] } });
    const slim = slimMachine(machine);
    expect(isLost(slim)).toBe(isLost(machine));
    expect(slim.metadata.labels).toEqual(machine.metadata.labels);
    expect(slim.spec?.unschedulable).toBeUndefined();
    expect(slimMachine(slim)).toEqual(slim);
  });

  it('of a machine tells whether it is cordoned', () => {
    const machine = existing<Node>('Node', { spec: { unschedulable: true, podCIDR: '10.0.0.0/24' } });
    expect(slimMachine(machine).spec).toEqual({ unschedulable: true });
  });

  it('of a budget is all that we set', () => {
    const built = buildBudget({ metadata: { name: 'flock', namespace: NAMESPACE, uid: 'u' } } as never, 3);
    const { metadata, ...rest } = built;
    const live = existing<PodDisruptionBudget>('PodDisruptionBudget', {
      ...rest,
      metadata: { ...metadata, uid: 'u2', resourceVersion: '7', managedFields: [{}] },
      status: { currentHealthy: 2, disruptionsAllowed: 1 },
    });
    expect(difference(built, slimBudget(live))).toBeUndefined();
    expect(slimBudget(live)).not.toHaveProperty('status');
    expect(slimBudget(slimBudget(live))).toEqual(slimBudget(live));
  });
});
