import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LABELS, NODE_CONDITIONS } from '../../../src/api/index.ts';
import { ConfigMap, PersistentVolumeClaim, Pod, Secret, Service } from '../../../src/kube/index.ts';
import { StakeKeyReservation, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import { fleet, has, type Stage, setStage, untilSettled, versions } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.end());

const CHILDREN = [Pod, Service, Secret, PersistentVolumeClaim, ConfigMap, ValidatorNode, ValidatorFleet];

describe('a ValidatorFleet', () => {
  it('becomes validators with keys, volume, Service, reservation and pod, and then nothing more is written', async () => {
    await stage.apply(fleet('flock', 2));
    const settled = await untilSettled(stage, 'flock', 2);
    expect(settled.status).toMatchObject({ readyReplicas: 2, updatedReplicas: 2, ready: 'yes' });
    expect(settled.status?.currentVersion).toBe(settled.status?.targetVersion);
    for (const name of ['flock-0', 'flock-1']) {
      const [vn, pod, service, volume, identity, stake] = await Promise.all([
        stage.get(ValidatorNode, name),
        stage.get(Pod, name),
        stage.get(Service, name),
        stage.get(PersistentVolumeClaim, `${name}-data`),
        stage.get(Secret, `${name}-identity`),
        stage.get(Secret, `${name}-stake`),
      ]);
      expect(vn?.status).toMatchObject({ podName: name, ready: 'yes', stake: { reserved: true } });
      expect(pod?.metadata.labels?.[LABELS.fleet]).toBe('flock');
      expect(service?.spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
      expect(volume?.metadata.ownerReferences).toBeUndefined();
      expect(Buffer.from(stake?.data?.['stake.key'] ?? '', 'base64')).toHaveLength(32);
      expect(identity?.data?.['identity.key']).toBeDefined();
      const { items } = await stage.client.list(StakeKeyReservation);
      expect(items.filter(({ spec }) => spec.nodeRef.uid === vn?.metadata.uid)).toHaveLength(1);
    }
    const before = await versions(stage, CHILDREN);
    await stage.restart();
    await untilSettled(stage, 'flock', 2);
    // Reports go on, so that whatever a second pass would write has been written by now.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await versions(stage, CHILDREN)).toEqual(before);
  });

  it('grows at once and shrinks from the highest ordinal', async () => {
    await stage.apply(fleet('flock', 1));
    await untilSettled(stage, 'flock', 1);
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 4);
    await untilSettled(stage, 'flock', 4);
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 2);
    await untilSettled(stage, 'flock', 2);
    const { items } = await stage.client.list(ValidatorNode, { namespace: stage.namespace });
    expect(items.map(({ metadata }) => metadata.name).sort()).toEqual(['flock-0', 'flock-1']);
    const { items: secrets } = await stage.client.list(Secret, { namespace: stage.namespace });
    expect(secrets.map(({ metadata }) => metadata.name).sort()).toEqual([
      'flock-0-identity',
      'flock-0-stake',
      'flock-1-identity',
      'flock-1-stake',
    ]);
  });

  it('takes a changed template one validator at a time, each Ready before the next', async () => {
    await stage.apply(fleet('flock', 3));
    await untilSettled(stage, 'flock', 3);
    stage.kubelet.started.length = 0;
    let mostDown = 0;
    const watch = setInterval(async () => {
      const { items } = await stage.client.list(Pod, { namespace: stage.namespace });
      const ready = items.filter(
        ({ status, metadata }) =>
          metadata.deletionTimestamp === undefined && status?.conditions?.some(({ status: is }) => is === 'True'),
      );
      mostDown = Math.max(mostDown, 3 - ready.length);
    }, 25);
    await stage.apply(fleet('flock', 3, { resources: { requests: { cpu: '60m' } } }));
    await untilSettled(stage, 'flock', 3);
    clearInterval(watch);
    expect(stage.kubelet.started).toEqual(['flock-2', 'flock-1', 'flock-0']);
    expect(mostDown).toBe(1);
  });

  it('stops an update at an image that cannot be pulled, says so, and goes on when the image is right', async () => {
    await stage.apply(fleet('flock', 3, { image: 'murmuration:one' }));
    await untilSettled(stage, 'flock', 3);
    stage.kubelet.fate = (pod) => (pod.spec?.containers[0]?.image === 'murmuration:typo' ? 'cannot-pull' : 'runs');
    await stage.apply(fleet('flock', 3, { image: 'murmuration:typo' }));
    const broken = await stage.until('the fleet says ImagePullFailed', async () => {
      const found = await stage.get(ValidatorFleet, 'flock');
      return found !== undefined && has(found, 'Ready', 'False', 'ImagePullFailed') ? found : undefined;
    });
    expect(broken.status?.ready).toBe('no: ImagePullFailed');
    const vn = await stage.get(ValidatorNode, 'flock-2');
    expect(vn && has(vn, NODE_CONDITIONS.PodReady, 'False', 'ImagePullFailed')).toBe(true);
    expect(vn?.status?.conditions?.[0]?.message).toContain('murmuration:typo');
    const { items } = await stage.client.list(Pod, { namespace: stage.namespace });
    expect(items.filter(({ spec }) => spec?.containers[0]?.image === 'murmuration:one')).toHaveLength(2);
    await stage.apply(fleet('flock', 3, { image: 'murmuration:two' }));
    await untilSettled(stage, 'flock', 3);
  });
});
