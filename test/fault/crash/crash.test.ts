import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Client } from '../../../src/kube/index.ts';
import { History } from './history.ts';
import { Milestones } from './milestones.ts';
import { type Replay, replay } from './replay.ts';
import { STORY } from './story.ts';

/** A sample over the whole story; `npm run test:crash` takes every write. */
const SAMPLE = [7, 31, 73, 127, 181] as const;

let client: Client;
let history: History;
let undisturbed: Promise<Replay>;
const replays = new Map<number, Promise<Replay>>();

beforeAll(async () => {
  const access = inject('apiServer');
  const config = new KubeConfig();
  config.loadFromFile(access.kubeconfig);
  client = Client.from(config);
  history = await History.begin(client);
  // Side by side, in namespaces of their own: they mostly wait.
  const milestones = new Milestones();
  undisturbed = replay({ access, history, story: STORY, milestones });
  for (const killAfter of SAMPLE) {
    replays.set(killAfter, replay({ access, history, story: STORY, killAfter, milestones }));
  }
});

afterAll(async () => {
  await Promise.all([undisturbed, ...replays.values()]);
  await history.end();
  await client.close();
});

describe('an operator that is killed with SIGKILL, and another one that goes on', () => {
  it('the undisturbed story ends, and breaks no invariant', async () => {
    const { problems, after, writes } = await undisturbed;
    expect(problems).toEqual([]);
    expect(writes).toBeGreaterThan(Math.max(...SAMPLE));
    const kept = [...after.at(-1)!.keys()].filter((name) => !name.startsWith('own ')).sort();
    expect(kept).toEqual(['PersistentVolumeClaim solo-data', 'Secret solo-identity', 'Secret solo-stake']);
  });

  it.each(SAMPLE)('after write %i: the story ends in the same state', async (killAfter) => {
    const { problems, killedIn } = await replays.get(killAfter)!;
    expect(problems).toEqual([]);
    expect(killedIn).toBeDefined();
  });
});
