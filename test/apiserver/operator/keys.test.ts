import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type Client,
  type KubeObject,
  Namespace,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
} from '../../../src/kube/index.ts';
import { StakeKeyReservation, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import { generateIdentity } from '../../../src/overlay/index.ts';
import { generateStakeKey } from '../../../src/trust/index.ts';
import { fleet, has, node, type Stage, setStage, untilSettled } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.end());

const ready = (name: string) =>
  stage.until(`${name} is Ready`, async () => {
    const found = await stage.get(ValidatorNode, name);
    return found !== undefined && has(found, 'Ready', 'True') ? found : undefined;
  });

const says = (name: string, reason: string) =>
  stage.until(`${name} says ${reason}`, async () => {
    const found = await stage.get(ValidatorNode, name);
    return found !== undefined && has(found, 'Ready', 'False', reason) ? found : undefined;
  });

const gone = (name: string) =>
  stage.until(`${name} is gone`, async () => (await stage.get(ValidatorNode, name)) === undefined);

const reservationsOf = async (client: Client, uid: string) =>
  (await client.list(StakeKeyReservation)).items.filter(({ spec }) => spec.nodeRef.uid === uid);

const secret = (name: string, data: Readonly<Record<string, Uint8Array>>): object => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name },
  data: Object.fromEntries(Object.entries(data).map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')])),
});

describe('the keys of a ValidatorNode', () => {
  it('are recorded before the pod exists, and come back with it', async () => {
    await stage.apply(node('solo'));
    const before = await ready('solo');
    const pod = await stage.get(Pod, 'solo');
    await stage.client.delete(Pod, stage.key('solo'), { gracePeriodSeconds: 0 });
    await stage.until('another pod runs', async () => {
      const found = await stage.get(Pod, 'solo');
      return found !== undefined && found.metadata.uid !== pod?.metadata.uid;
    });
    const after = await ready('solo');
    expect(after.status?.peerId).toBe(before.status?.peerId);
    expect(after.status?.stake).toEqual(before.status?.stake);
  });

  it('are never made again where they were recorded: the Secret has to be restored', async () => {
    await stage.apply(node('solo'));
    await ready('solo');
    const kept = await stage.get(Secret, 'solo-stake');
    await stage.client.delete(Secret, stage.key('solo-stake'));
    const broken = await says('solo', 'KeyMissing');
    expect(broken.status?.conditions?.[0]?.message).toMatch(/never made anew.*restore the Secret/i);
    await stage.restart();
    await says('solo', 'KeyMissing');
    expect(await stage.get(Secret, 'solo-stake')).toBeUndefined();
    const { name, namespace, labels } = kept!.metadata;
    await stage.client.create(Secret, { ...kept!, metadata: { name, namespace, labels } });
    await ready('solo');
  });

  it('may be brought by a person; a wrong shape is named, and mending the Secret mends the validator', async () => {
    const identity = await generateIdentity();
    await stage.apply(secret('my-identity', { 'identity.key': identity.key }));
    await stage.apply(secret('my-stake', { 'stake.key': Buffer.from('short') }));
    await stage.apply(
      node('solo', {
        identity: { secretRef: { name: 'my-identity' } },
        stake: { keySecretRef: { name: 'my-stake' } },
      }),
    );
    const broken = await says('solo', 'KeyMalformed');
    expect(broken.status?.conditions?.[0]?.message).toContain('my-stake');
    expect(await stage.get(Pod, 'solo')).toBeUndefined();
    await stage.apply(secret('my-stake', { 'stake.key': generateStakeKey() }));
    const mended = await ready('solo');
    expect(mended.status?.peerId).toBe(identity.peerId);
  });

  it('are used by one validator at a time', async () => {
    await stage.apply(secret('shared', { 'stake.key': generateStakeKey() }));
    await stage.apply(node('one', { stake: { keySecretRef: { name: 'shared' } } }));
    await ready('one');
    await stage.apply(node('two', { stake: { keySecretRef: { name: 'shared' } } }));
    const refused = await says('two', 'KeyInUse');
    expect(refused.status?.conditions?.[0]?.message).toContain(`${stage.namespace}/one`);
    expect(await stage.get(Pod, 'two')).toBeUndefined();
    await stage.client.delete(ValidatorNode, stage.key('one'));
    await gone('one');
    await ready('two');
  });
});

describe('the deletion of a ValidatorNode', () => {
  it('takes pod, Service, volume, keys and reservation with it', async () => {
    await stage.apply(node('solo'));
    const { metadata } = await ready('solo');
    await stage.client.delete(ValidatorNode, stage.key('solo'));
    await gone('solo');
    for (const [kind, name] of [
      [Pod, 'solo'],
      [Service, 'solo'],
      [PersistentVolumeClaim, 'solo-data'],
      [Secret, 'solo-identity'],
      [Secret, 'solo-stake'],
    ] as const) {
      await stage.until(
        `${kind.kind} ${name} is gone`,
        async () => (await stage.get<KubeObject>(kind, name)) === undefined,
      );
    }
    expect(await reservationsOf(stage.client, metadata.uid)).toEqual([]);
  });

  it('leaves volume and keys where they are to be retained, and a namesake goes on with them', async () => {
    await stage.apply(node('solo', { storage: { retain: 'Retain' } }));
    const before = await ready('solo');
    const volume = await stage.get(PersistentVolumeClaim, 'solo-data');
    await stage.client.delete(ValidatorNode, stage.key('solo'));
    await gone('solo');
    expect(await reservationsOf(stage.client, before.metadata.uid)).toEqual([]);
    expect((await stage.get(PersistentVolumeClaim, 'solo-data'))?.metadata.uid).toBe(volume?.metadata.uid);
    expect(await stage.get(Secret, 'solo-stake')).toBeDefined();
    await stage.apply(node('solo', { storage: { retain: 'Retain' } }));
    const after = await ready('solo');
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    expect(after.status?.peerId).toBe(before.status?.peerId);
    expect(after.status?.stake?.publicKey).toBe(before.status?.stake?.publicKey);
  });

  it('waits for the pod, which may still sign, before the stake key is free', async () => {
    await stage.apply(node('solo'));
    const { metadata } = await ready('solo');
    stage.kubelet.lost = true;
    await stage.client.delete(ValidatorNode, stage.key('solo'));
    await stage.until('the pod is told to stop', async () => {
      const pod = await stage.get(Pod, 'solo');
      return pod?.metadata.deletionTimestamp !== undefined;
    });
    expect(await reservationsOf(stage.client, metadata.uid)).toHaveLength(1);
    expect(await stage.get(ValidatorNode, 'solo')).toBeDefined();
    stage.kubelet.lost = false;
    await gone('solo');
    expect(await reservationsOf(stage.client, metadata.uid)).toEqual([]);
  });

  it('never holds up the deletion of the namespace', async () => {
    await stage.apply(fleet('flock', 2));
    await untilSettled(stage, 'flock', 2);
    await stage.client.delete(Namespace, { namespace: '', name: stage.namespace });
    // What the namespace controller of a whole cluster does: delete everything in it.
    const { items } = await stage.client.list(ValidatorNode, { namespace: stage.namespace });
    await stage.client.delete(ValidatorFleet, stage.key('flock'));
    for (const { metadata } of items) await stage.client.delete(ValidatorNode, stage.key(metadata.name));
    for (const { metadata } of items) await gone(metadata.name);
    for (const { metadata } of items) expect(await reservationsOf(stage.client, metadata.uid)).toEqual([]);
  });
});

it('a reservation whose ValidatorNode was removed by force is released', async () => {
  await stage.apply(node('solo'));
  const { metadata } = await ready('solo');
  await stage.operator.stop();
  await stage.client.delete(ValidatorNode, stage.key('solo'));
  await stage.client.patch(ValidatorNode, stage.key('solo'), { metadata: { finalizers: null } });
  // The garbage collector of a whole cluster does this.
  await stage.client.delete(Pod, stage.key('solo'), { gracePeriodSeconds: 0 });
  await stage.restart();
  await stage.until('it is released', async () => (await reservationsOf(stage.client, metadata.uid)).length === 0);
});
