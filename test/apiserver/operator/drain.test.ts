import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FLEET_CONDITIONS, MODEL_CONDITIONS, NODE_CONDITIONS } from '../../../src/api/index.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import { fleet, has, model, type Stage, setStage, untilSettled } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.end());

const CID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const CHUNKS = 6;

const overlay = () => stage.overlays.of(`${stage.namespace}/default`);
const shard = async () => (await stage.get(ModelShard, 'digits-0'))?.status;
const holders = async () => (await shard())?.holders ?? [];

/** A certified version of six chunks in one shard; these validators report all of it, the others nothing. Resolves when all have said so. */
async function versionHeldBy(uid: string, nodes: ReadonlySet<string>): Promise<void> {
  const certified = { cid: CID, age: 500, bytes: 9640, chunks: CHUNKS, voters: 4, at: Date.now() };
  const report = { uid, age: 510, loss: 0.1, accuracy: 0.96, divergence: 0.01, certified };
  const spoken = new Set<string>();
  stage.kubelet.onRunning = ({ metadata }) => {
    spoken.add(metadata.name);
    const bitmap = Uint8Array.of(nodes.has(metadata.name) ? 0b111111 : 0);
    overlay()?.report(metadata.name, { models: [report], held: [{ model: uid, cid: CID, chunks: CHUNKS, bitmap }] });
  };
  const { items } = await stage.client.list(ValidatorNode, { namespace: stage.namespace });
  await stage.until('all have reported', async () => items.every(({ metadata }) => spoken.has(metadata.name)));
}

/** A fleet whose one shard is held by every one of its holders. */
async function replicated(size: number, replicas: number): Promise<string> {
  await stage.apply(fleet('flock', size));
  await stage.apply(model('digits', { shards: { count: 1, replicas } }));
  await untilSettled(stage, 'flock', size);
  const { uid } = (await stage.get(Model, 'digits'))!.metadata;
  const all = new Set(Array.from({ length: size }, (_, index) => `flock-${index}`));
  await versionHeldBy(uid, all);
  await stage.until('the model is Replicated', async () => {
    const found = await stage.get(Model, 'digits');
    return found !== undefined && has(found, MODEL_CONDITIONS.Replicated, 'True');
  });
  return uid;
}

describe('a cordon', () => {
  it('copies, verifies, then removes: a holder goes only when the others have every chunk (invariant 4)', async () => {
    const uid = await replicated(3, 2);
    const before = (await holders()).map(({ node }) => node);
    await versionHeldBy(uid, new Set(before));
    const [leaving = ''] = before;
    await stage.client.patch(ValidatorNode, stage.key(leaving), { spec: { cordon: true } });
    const others = ['flock-0', 'flock-1', 'flock-2'].filter((name) => name !== leaving);
    await stage.until('another one is assigned and the leaving one is Draining', async () => {
      const now = new Map((await holders()).map(({ node, state }) => [node, state]));
      return now.get(leaving) === 'Draining' && others.every((name) => now.has(name));
    });
    const drained = async (status: string, reason: string) =>
      stage.until(`Drained is ${status}`, async () => {
        const found = await stage.get(ValidatorNode, leaving);
        return found !== undefined && has(found, NODE_CONDITIONS.Drained, status, reason);
      });
    await drained('False', 'Draining');
    await versionHeldBy(uid, new Set(['flock-0', 'flock-1', 'flock-2']));
    await drained('True', 'Drained');
    expect((await holders()).map(({ node, state }) => [node, state])).toEqual(others.map((name) => [name, 'Verified']));
    expect((await stage.get(ValidatorNode, leaving))?.spec.cordon).toBe(true);
  });
});

describe('scale-down', () => {
  it('below the replica count stops and says what a person can do; deleting the validator by hand goes below', async () => {
    await replicated(2, 2);
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 1);
    const stopped = await stage.until('the fleet says UnderReplicated', async () => {
      const found = await stage.get(ValidatorFleet, 'flock');
      return found !== undefined && has(found, FLEET_CONDITIONS.Ready, 'False', 'UnderReplicated') ? found : undefined;
    });
    expect(stopped.status?.conditions?.[0]?.message).toMatch(/flock-1 cannot leave.*lower shards\.replicas/);
    expect(await stage.get(ValidatorNode, 'flock-1')).toBeDefined();
    await stage.client.delete(ValidatorNode, stage.key('flock-1'));
    await untilSettled(stage, 'flock', 1);
  });

  it('is called off when the fleet grows again', async () => {
    await replicated(2, 2);
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 1);
    await stage.until('flock-1 is cordoned', async () => (await stage.get(ValidatorNode, 'flock-1'))?.spec.cordon);
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 2);
    await untilSettled(stage, 'flock', 2);
    expect((await stage.get(ValidatorNode, 'flock-1'))?.spec.cordon).toBe(false);
  });
});
