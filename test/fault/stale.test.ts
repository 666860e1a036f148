import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { type Existing, Namespace, PersistentVolumeClaim, Pod, Secret } from '../../src/kube/index.ts';
import { StakeKeyReservation, ValidatorFleet, ValidatorNode } from '../../src/operator/kinds.ts';
import { fleet, has, node, type Stage } from '../apiserver/operator/stage.ts';
import { inventory, keysMadeTwice, keysOf, missed } from './outcome.ts';
import { disturbedStage, SHORT, untilNone } from './play.ts';
import type { FaultProxy } from './proxy.ts';
import { settled } from './story.ts';

/** An operator that believes something old has so long to do harm. ms */
const HARM_MS = 4_000;
const LIMIT_MS = 30_000;

let stage: Stage;
let proxy: FaultProxy;
beforeEach(async () => {
  ({ stage, proxy } = await disturbedStage(inject('apiServer'), { times: SHORT }));
});
afterEach(async () => {
  await stage.end();
  await proxy.stop();
});

const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** etcd's revision, which is the version of every list. */
const revision = async (): Promise<string> => (await stage.client.page(Namespace, { limit: 1 })).resourceVersion;

/** Waits for a state of the ValidatorNode; answers a revision at which it was so. */
const momentOf = (name: string, is: (one: Existing<ValidatorNode> | undefined) => boolean): Promise<string> =>
  stage.until('the moment has come', async () => {
    const { items, resourceVersion } = await stage.client.list(ValidatorNode, { namespace: stage.namespace });
    return is(items.find(({ metadata }) => metadata.name === name)) ? resourceVersion : undefined;
  });

/** What must not change while old things are believed: keys, volumes and pods. */
async function belongings(): Promise<readonly string[]> {
  const { client, namespace } = stage;
  const all = await Promise.all(
    [Secret, PersistentVolumeClaim, Pod].map(async (kind) => {
      const { items } = await client.list<Existing<Pod>>(kind as never, { namespace });
      return items.map((one) => {
        const leaving = one.metadata.deletionTimestamp === undefined ? '' : ', leaving';
        const { data = '' } = one as { readonly data?: object };
        return `${one.kind} ${one.metadata.name} ${one.metadata.uid}${leaving} ${JSON.stringify(data)}`;
      });
    }),
  );
  return all.flat().sort();
}

const solo = (name: string): Promise<Existing<ValidatorNode>> =>
  stage.until(`${name} is Ready with a pod of its own`, async () => {
    const [vn, pod] = await Promise.all([stage.get(ValidatorNode, name), stage.get(Pod, name)]);
    const own = pod?.metadata.ownerReferences?.[0]?.uid === vn?.metadata.uid;
    return vn !== undefined && own && has(vn, 'Ready', 'True') ? vn : undefined;
  });

/** Nothing missed, nothing announced twice. */
async function expectTruth(): Promise<void> {
  expect(await untilNone(() => missed(stage, stage.operator))).toEqual([]);
  expect(await keysMadeTwice(stage)).toEqual([]);
}

describe('an operator that is shown the cluster as it was', () => {
  it('does no harm when it starts so, and goes on from the present', { timeout: 110_000 }, async () => {
    const moments = new Map<string, string>();
    const only = new Map([
      ['another validator of the same name', 'validatornodes'],
      ['a smaller fleet', 'validatorfleets'],
    ]);
    await stage.apply(fleet('flock', 3));
    moments.set('validators without keys', await momentOf('flock-2', (one) => one !== undefined));
    await settled(stage, 3, LIMIT_MS);
    moments.set('another validator of the same name', await revision());
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 2);
    const leaving = (one?: ValidatorNode): boolean => one?.metadata.deletionTimestamp !== undefined;
    moments.set('a validator that leaves', await momentOf('flock-2', leaving));
    await settled(stage, 2, LIMIT_MS);
    moments.set('a smaller fleet', await revision());
    await stage.apply(fleet('flock', 3, { resources: { requests: { cpu: '60m' } } }));
    await settled(stage, 3, LIMIT_MS);
    const [before, truth] = [await belongings(), await inventory(stage)];
    const all = [...moments].map(([what, moment]) => [what, moment, undefined] as const);
    const some = [...only].map(([what, resource]) => [`${what}, alone`, moments.get(what) ?? '', resource] as const);
    for (const [what, moment, resource] of [...all, ...some]) {
      proxy.past(moment, resource);
      await stage.restart();
      await pass(HARM_MS);
      expect(await belongings(), `shown ${what}`).toEqual(before);
      proxy.present();
      await settled(stage, 3, LIMIT_MS);
      await expectTruth();
      expect(await belongings(), `after it was shown ${what}`).toEqual(before);
      expect(await inventory(stage), `after it was shown ${what}`).toEqual(truth);
    }
  });

  it('gives up no keys and no volume that a namesake has taken over', async () => {
    await stage.apply(node('solo'));
    const first = await solo('solo');
    stage.kubelet.lost = true;
    await stage.client.delete(ValidatorNode, stage.key('solo'));
    await stage.until('its pod is asked to leave', async () => {
      const pod = await stage.get(Pod, 'solo');
      return pod?.metadata.deletionTimestamp !== undefined;
    });
    // Nobody looks while the pod goes: the moment at which the keys and the volume are to be given up.
    await stage.operator.stop();
    stage.kubelet.lost = false;
    await stage.until('its pod is gone', async () => (await stage.get(Pod, 'solo')) === undefined);
    const moment = await revision();
    await stage.apply(node('solo', { storage: { retain: 'Retain' } }));
    await stage.restart();
    await stage.until('it is gone', async () => (await stage.get(ValidatorNode, 'solo')) === undefined);
    await stage.apply(node('solo'));
    expect((await solo('solo')).metadata.uid).not.toBe(first.metadata.uid);
    const before = await belongings();
    proxy.past(moment);
    await stage.restart();
    await pass(HARM_MS);
    expect(await belongings()).toEqual(before);
    proxy.present();
    await solo('solo');
    await expectTruth();
    expect(await belongings()).toEqual(before);
  });

  it('does not go back when that happens while it runs, and follows what came in between', async () => {
    await stage.apply(fleet('flock', 1));
    await settled(stage, 1, LIMIT_MS);
    const moment = await revision();
    await stage.apply(fleet('flock', 2));
    await settled(stage, 2, LIMIT_MS);
    const nodes = stage.operator.caches.all().find(({ kind }) => kind.kind === 'ValidatorNode')?.store;
    const [keys, restarts] = [await keysOf(stage), proxy.log.length];
    proxy.past(moment);
    proxy.rule({
      on: ({ verb, url }) => verb === 'watch' && !url.searchParams.has('sendInitialEvents'),
      fault: { do: 'refuse', code: 410, reason: 'Expired' },
    });
    proxy.reset();
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 3);
    await pass(HARM_MS);
    expect(nodes?.size).toBe(2);
    expect(proxy.log.slice(restarts).some(({ verb, resource }) => verb !== 'write' && resource === 'pods')).toBe(true);
    proxy.clear();
    proxy.present();
    await settled(stage, 3, LIMIT_MS);
    await expectTruth();
    for (const [validator, held] of keys) expect((await keysOf(stage)).get(validator)).toBe(held);
  });
});

describe('an operator whose watches are down', () => {
  it('sees what became of an object and its namesake, and of what came and went unseen', async () => {
    await stage.apply(node('solo'));
    const first = await solo('solo');
    const key = (await keysOf(stage)).get(`solo ${first.metadata.uid}`);
    await proxy.away();
    await stage.apply(node('ghost'));
    await stage.client.delete(ValidatorNode, stage.key('ghost'));
    await stage.client.patch(ValidatorNode, stage.key('solo'), { metadata: { finalizers: null } });
    await stage.client.delete(ValidatorNode, stage.key('solo'));
    await stage.apply(node('solo'));
    await proxy.back();
    const second = await solo('solo');
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    expect((await keysOf(stage)).get(`solo ${second.metadata.uid}`)).toBe(key);
    const { items } = await stage.client.list(StakeKeyReservation);
    const here = items.filter(({ spec }) => spec.nodeRef.namespace === stage.namespace);
    expect(here.map(({ spec }) => spec.nodeRef.uid)).toEqual([second.metadata.uid]);
    await expectTruth();
    expect((await inventory(stage)).filter((line) => line.includes('ghost'))).toEqual([]);
  });
});
