import { REASONS } from '../../api/index.ts';
import type { Node, Pod } from '../../kube/index.ts';
import { type Judgement, no, unknown, yes } from '../verdicts.ts';

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

const IMAGE_REASONS: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);
/** The kubelet cannot make the container from the pod: a missing Secret key, a bad mount. */
const CONFIG_REASONS: ReadonlySet<string> = new Set([
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

/**
 * PodReady, in the words of the reasons people search for. Source of the waiting reasons: kubelet's
 * pkg/kubelet/images/types.go and container/sync_result.go.
 * @param machine the Node that the pod is on
 */
export function judgePod(pod: Pod | undefined, machine: Node | undefined): Judgement {
  if (pod === undefined) return no('PodReady', REASONS.Pending, 'The pod is not made yet.');
  const on = pod.spec?.nodeName ?? 'no machine yet';
  if (isLost(machine)) {
    return no(
      'PodReady',
      REASONS.NodeLost,
      `Machine ${on} does not answer. The pod is not replaced until it is proven gone, so that no key signs twice: ` +
        `bring the machine back, delete its Node, or annotate this ValidatorNode with ` +
        `murmuration.dev/pod-is-gone=${pod.metadata.uid ?? ''} if you know that it is off.`,
    );
  }
  if (pod.metadata.deletionTimestamp !== undefined) return no('PodReady', REASONS.InProgress, 'The pod is stopping.');
  const failed = judgeContainers(pod);
  if (failed !== undefined) return failed;
  if (isPodReady(pod)) return yes('PodReady', REASONS.Reconciled, `The pod runs on ${on}.`);
  return judgeWaiting(pod, on);
}

/** The kubelet's word that every container is ready. */
export const isPodReady = (pod: Pod | undefined): boolean =>
  pod?.metadata.deletionTimestamp === undefined &&
  (pod?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false);

/** A machine whose kubelet has gone silent. */
export const isLost = (machine: Node | undefined): boolean =>
  machine?.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'Unknown') ?? false;

function judgeContainers(pod: Pod): Judgement | undefined {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const status of statuses) {
    const { waiting } = status.state ?? {};
    const reason = waiting?.reason ?? '';
    if (IMAGE_REASONS.has(reason)) {
      return no(
        'PodReady',
        REASONS.ImagePullFailed,
        `Image ${status.image} cannot be pulled (${reason}${said(waiting?.message)}). ` +
          `Correct spec.image or spec.imagePullSecrets, or load the image into the machine.`,
      );
    }
    if (CONFIG_REASONS.has(reason)) {
      return no(
        'PodReady',
        REASONS.Pending,
        `Container ${status.name} cannot be made${said(waiting?.message)}. Bring what it names, or correct spec.podTemplate.`,
      );
    }
    if (reason === 'CrashLoopBackOff') return crashed(status);
  }
  return undefined;
}

function crashed(status: ContainerStatus): Judgement {
  const last = status.lastState?.terminated;
  if (last?.reason === 'OOMKilled') {
    return no(
      'PodReady',
      REASONS.OutOfMemory,
      `Container ${status.name} used more memory than its limit. Raise resources.limits.memory.`,
    );
  }
  return no(
    'PodReady',
    REASONS.CrashLooping,
    `Container ${status.name} ended ${status.restartCount} times, last with code ${last?.exitCode ?? '?'}${said(last?.message)}. ` +
      `See kubectl logs --previous -c ${status.name}.`,
  );
}

function judgeWaiting(pod: Pod, on: string): Judgement {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    const message = scheduled.message ?? 'no message';
    if (/insufficient [a-z0-9.-]+\/[a-z0-9._-]*gpu/i.test(message) || /resourceclaim/i.test(message)) {
      return no(
        'PodReady',
        REASONS.NoGpuFree,
        `No machine has a free GPU: ${message} Free or add one, or remove resources.gpu to compute on the CPU.`,
      );
    }
    if (/unbound immediate PersistentVolumeClaims|persistentvolumeclaim/i.test(message)) {
      return no(
        'PodReady',
        REASONS.VolumePending,
        `The volume is not there yet: ${message} See kubectl get pvc; a claim or storage class of that name has to be made.`,
      );
    }
    return no(
      'PodReady',
      REASONS.Unschedulable,
      `The scheduler finds no machine: ${message} Add one, or correct spec.resources or spec.podTemplate.`,
    );
  }
  if (pod.status?.phase === 'Running') {
    return no('PodReady', REASONS.PodNotReady, `The pod runs on ${on} and does not answer its readiness probe yet.`);
  }
  return unknown('PodReady', REASONS.Pending, `The pod is starting on ${on}.`);
}

const said = (message: string | undefined): string =>
  message === undefined || message === '' ? '' : `: ${message.trim().slice(0, 300)}`;
