import { expect, it } from 'vitest';
import type { Node, Pod } from '../../../src/kube/index.ts';
import { judgePod } from '../../../src/operator/node/pod-state.ts';

const pod = (status: object): Pod =>
  ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'solo', uid: 'u1' },
    spec: { nodeName: 'm', containers: [] },
    status,
  }) as Pod;
const waiting = (reason: string, more: object = {}): Pod =>
  pod({
    containerStatuses: [
      { name: 'validator', image: 'x:typo', restartCount: 4, state: { waiting: { reason } }, ...more },
    ],
  });
const unscheduled = (message: string): Pod =>
  pod({ conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] });

it.each([
  ['ImagePullFailed', waiting('ErrImagePull')],
  ['ImagePullFailed', waiting('ImagePullBackOff')],
  ['ImagePullFailed', waiting('InvalidImageName')],
  ['CrashLooping', waiting('CrashLoopBackOff')],
  ['OutOfMemory', waiting('CrashLoopBackOff', { lastState: { terminated: { reason: 'OOMKilled', exitCode: 137 } } })],
  ['NoGpuFree', unscheduled('0/3 nodes are available: 3 Insufficient nvidia.com/gpu.')],
  ['VolumePending', unscheduled('0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.')],
  ['Unschedulable', unscheduled('0/3 nodes are available: 3 Insufficient cpu.')],
  ['PodNotReady', pod({ phase: 'Running' })],
  ['Pending', pod({ phase: 'Pending' })],
])('a pod that is not ready says %s', (reason, from) => {
  const judged = judgePod(from, undefined);
  expect(judged.reason).toBe(reason);
  expect(judged.status).not.toBe('True');
  expect(judged.message).not.toBe('');
});

it('names the image that cannot be pulled, and the fix', () => {
  expect(judgePod(waiting('ErrImagePull'), undefined).message).toMatch(/x:typo.*Correct spec\.image/);
});

it('a pod on a machine that does not answer is lost, whatever it said last', () => {
  const machine = { status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } } as unknown as Node;
  const judged = judgePod(pod({ phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] }), machine);
  expect(judged).toMatchObject({ status: 'False', reason: 'NodeLost' });
  expect(judged.message).toContain('murmuration.dev/pod-is-gone=u1');
});
