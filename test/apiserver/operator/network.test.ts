import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MODEL_CONDITIONS, SHARD_CONDITIONS } from '../../../src/api/index.ts';
import { ConfigMap, Event, Secret } from '../../../src/kube/index.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import { type Charter, decodeSignedCharter, openCharter } from '../../../src/overlay/index.ts';
import type { Said } from './overlay.ts';
import { fleet, has, model, type Stage, setStage, untilSettled } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage();
});
afterEach(() => stage.end());

const CID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

/** The charter in the ConfigMap, opened as a validator opens it. */
async function recorded(): Promise<Charter | undefined> {
  const map = await stage.get(ConfigMap, 'default-charter');
  const file = map?.binaryData?.['charter.bin'];
  const vn = (await stage.client.list(ValidatorNode, { namespace: stage.namespace })).items[0];
  const pod = vn && (await stage.client.raw(`/api/v1/namespaces/${stage.namespace}/pods/${vn.metadata.name}`));
  const args = (pod as { spec: { containers: { args: string[] }[] } } | undefined)?.spec.containers[0]?.args ?? [];
  const authority = args[args.indexOf('--authority') + 1];
  if (file === undefined || authority === undefined) return undefined;
  const signed = decodeSignedCharter(Buffer.from(file, 'base64'));
  return openCharter(signed, { authority, network: `${stage.namespace}/default` });
}

const overlay = () => stage.overlays.of(`${stage.namespace}/default`);

/** Every validator that runs says this. */
function everyoneSays(said: (name: string) => Said): void {
  stage.kubelet.onRunning = ({ metadata }) => overlay()?.report(metadata.name, said(metadata.name));
}

describe('the charter of a network', () => {
  it('names every validator before it is spoken, in a ConfigMap that a validator can open', async () => {
    await stage.apply(fleet('flock', 3, { stake: { amount: 7 } }));
    await stage.apply(model('digits'));
    await untilSettled(stage, 'flock', 3);
    const charter = await stage.until('the charter names all', async () => {
      const found = await recorded().catch(() => undefined);
      return found?.members.length === 4 && found.placements.length === 2 ? found : undefined;
    });
    const nodes = (await stage.client.list(ValidatorNode, { namespace: stage.namespace })).items;
    for (const { metadata, status } of nodes) {
      expect(charter.members).toContainEqual({
        peerId: status?.peerId,
        name: metadata.name,
        stakeKey: status?.stake?.publicKey,
        weight: 7,
        role: 'validator',
        notAfter: 0,
        addresses: [`/dns4/${metadata.name}.${stage.namespace}.svc/tcp/4001`],
      });
    }
    expect(charter.members.filter(({ role }) => role === 'observer').map(({ name }) => name)).toEqual(['operator']);
    expect(charter.models).toHaveLength(1);
    await stage.until('it is spoken', async () => overlay()?.charter?.seq === charter.seq);
    expect([...(overlay()?.dialed ?? [])][0]).toMatch(/^\/ip4\/10\.9\.0\.\d\/tcp\/4001$/);
  });

  it('goes on above a higher number that is heard under its own key, and says so', async () => {
    await stage.apply(fleet('flock', 1));
    await untilSettled(stage, 'flock', 1);
    const mine = await stage.until('a charter is spoken', async () => overlay()?.charter);
    overlay()?.tellOf({ ...mine, seq: mine.seq + 41 });
    await stage.until('it goes above', async () => ((await recorded())?.seq ?? 0) === mine.seq + 42);
    await stage.until('an event tells', async () => {
      const { items } = await stage.client.list(Event, { namespace: stage.namespace });
      return items.some(({ reason }) => reason === 'CharterOvertaken');
    });
  });

  it('loses a validator when its pod goes for good', async () => {
    await stage.apply(fleet('flock', 2));
    await untilSettled(stage, 'flock', 2);
    await stage.client.scale(ValidatorFleet, stage.key('flock'), 1);
    await untilSettled(stage, 'flock', 1);
    await stage.until('it is out', async () => (await recorded())?.members.length === 2);
  });
});

describe('a Model', () => {
  it('is Ready, Learning, Converged and Replicated as its validators report', async () => {
    await stage.apply(fleet('flock', 3));
    await stage.apply(model('digits', { learning: { target: { metric: 'accuracy', value: '0.95' } } }));
    await untilSettled(stage, 'flock', 3);
    const { uid } = (await stage.get(Model, 'digits'))!.metadata;
    let age = 100;
    const certified = { cid: CID, age: 500, bytes: 9640, chunks: 6, voters: 3, at: Date.now() };
    const says = (accuracy: number, bitmap: number) => (name: string) => {
      age += 1;
      const report = { uid, age, loss: 0.1414, accuracy, divergence: 0.0312, certified };
      const peers = (overlay()?.charter?.members ?? []).filter((one) => one.role === 'validator' && one.name !== name);
      return {
        models: [report],
        held: [{ model: uid, cid: CID, chunks: 6, bitmap: Uint8Array.of(bitmap) }],
        reputation: peers.map(({ peerId }) => ({ peerId, storage: 0.9, learning: 0.8, interactions: 1 })),
      };
    };
    everyoneSays(says(0.9361, 0b000111));
    const below = await stage.until('a version is certified', async () => {
      const found = await stage.get(Model, 'digits');
      return found?.status?.version !== undefined && has(found, MODEL_CONDITIONS.Converged, 'False', 'BelowTarget')
        ? found
        : undefined;
    });
    expect(below.status).toMatchObject({ accuracy: '0.936', loss: '0.141', divergence: '0.0312' });
    expect(below.status?.version).toMatchObject({ cid: CID, age: 500, chunks: 6, certifiedBy: '3 of 3' });
    await stage.until('the first half is held and the second is not', async () => {
      const [first, second] = await Promise.all([stage.get(ModelShard, 'digits-0'), stage.get(ModelShard, 'digits-1')]);
      return (
        first?.status?.availableReplicas === 3 &&
        first.status.holders?.every(({ state, chunks }) => state === 'Verified' && chunks === 3) &&
        second?.status?.availableReplicas === 0 &&
        second.status.holders?.every(({ state }) => state === 'Assigned')
      );
    });
    everyoneSays(says(0.9572, 0b111111));
    const done = await stage.until('it is converged and replicated', async () => {
      const found = await stage.get(Model, 'digits');
      const all = ['Ready', 'Learning', 'Converged', 'Replicated'];
      return found !== undefined && all.every((type) => has(found, type, 'True')) ? found : undefined;
    });
    expect(done.status?.shards).toEqual({ ready: 2, total: 2, summary: '2/2' });
    const vn = await stage.until('reputation and chunks are in the status', async () => {
      const found = await stage.get(ValidatorNode, 'flock-1');
      return found?.status?.chunks?.held === 6 && found.status.reputation !== undefined ? found : undefined;
    });
    expect(vn.status).toMatchObject({
      chunks: { held: 6, assigned: 6, bytes: 9640, summary: '6/6' },
      reputation: { score: '0.886', storage: '0.9', learning: '0.8', interactions: '1' },
      models: [{ name: 'digits', accuracy: '0.957' }],
    });
    const text = await (await fetch(`http://${stage.operator.metricsAddress}/metrics`)).text();
    const labels = `namespace="${stage.namespace}",network="default"`;
    expect(text).toContain(`murmuration_validator_reputation_ratio{${labels},validator="flock-1",part="learning"} 0.8`);
    expect(text).toContain(`murmuration_model_accuracy_ratio{${labels},model="digits"} 0.9572`);
    expect(text).toContain(
      `murmuration_shard_replicas_count{namespace="${stage.namespace}",shard="digits-0",state="available"} 3`,
    );
  });

  it('says what is wrong with its data, in the words of the validator that saw it, until that is mended', async () => {
    await stage.apply(fleet('flock', 1));
    await stage.apply(model('rows'));
    const { uid } = (await stage.get(Model, 'rows'))!.metadata;
    const report = { uid, age: 0, loss: null, accuracy: null, divergence: null };
    const problem = { reason: 'DataMalformed', message: 'Row 812 of train.csv has 63 columns, the header has 65.' };
    everyoneSays(() => ({ models: [{ ...report, problem }] }));
    const broken = await stage.until('the model says DataMalformed', async () => {
      const found = await stage.get(Model, 'rows');
      return found !== undefined && has(found, 'Ready', 'False', 'DataMalformed') ? found : undefined;
    });
    expect(broken.status?.ready).toBe('no: DataMalformed');
    expect(broken.status?.conditions?.[0]?.message).toBe(`flock-0: ${problem.message}`);
    everyoneSays(() => ({ models: [report] }));
    await stage.until('it is Ready', async () => {
      const found = await stage.get(Model, 'rows');
      return found !== undefined && has(found, 'Ready', 'True');
    });
  });

  it('says that it has too few validators, and that a shard has too few holders', async () => {
    await stage.apply(model('lonely'));
    await stage.until('TooFewValidators', async () => {
      const found = await stage.get(Model, 'lonely');
      return found !== undefined && has(found, 'Ready', 'False', 'TooFewValidators');
    });
    await stage.until('UnderReplicated', async () => {
      const found = await stage.get(ModelShard, 'lonely-0');
      return found !== undefined && has(found, SHARD_CONDITIONS.FullyReplicated, 'False', 'UnderReplicated');
    });
  });
});

describe('the authority key', () => {
  it('is never made again where it was recorded: the operator is not ready and says what to do', async () => {
    await stage.apply(fleet('flock', 1));
    await untilSettled(stage, 'flock', 1);
    const authority = { namespace: stage.system, name: 'murmuration-authority' };
    await stage.client.delete(Secret, authority);
    await stage.restart();
    await stage.until('it is not ready', async () => !stage.operator.readyz().ok);
    expect(stage.operator.readyz().problems.join()).toMatch(/authority key .* is gone\. Restore it from the backup/);
    const answer = await fetch(`http://${stage.operator.healthAddress}/readyz`);
    expect(answer.status).toBe(503);
    expect(await stage.client.find(Secret, authority)).toBeUndefined();
  });
});
