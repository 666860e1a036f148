import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '../../apiserver/control-plane.ts';
import type { History } from './history.ts';
import { breaches } from './invariants.ts';
import type { Milestones } from './milestones.ts';
import { Scene } from './scene.ts';
import { differences, type Snapshot, snapshotOf } from './snapshot.ts';
import type { Step } from './story.ts';
import { WriteProxy } from './write-proxy.ts';

/** The story as it went once. */
export interface Replay {
  /** The write after which the operator was killed, as `POST /api/v1/...`; undefined where the story had fewer. */
  readonly killedAfter: string | undefined;
  /** The step in which that was. */
  readonly killedIn: string | undefined;
  /** Writes of the first operator. */
  readonly writes: number;
  /** What the cluster looked like after each step. */
  readonly after: readonly Snapshot[];
  /** What was not as it should be; empty where all went well. */
  readonly problems: readonly string[];
  readonly seconds: number;
}

export interface ReplayOptions {
  readonly access: Access;
  readonly history: History;
  readonly story: readonly Step[];
  /** The operator is killed right after this write, from 1; never where undefined. */
  readonly killAfter?: number;
  /** Reached by the replay that is not killed, kept to by the others. */
  readonly milestones: Milestones;
}

/** A step that takes longer than this is stuck: deletions wait up to 120 s for chunks. ms */
const STEP_MS = 180_000;
const LOOK_MS = 250;
/** Without a replay to compare with, a step has settled when nothing has changed for so long: longer than any pace or wake-up period of the operator. ms */
const STILL_MS = 3_000;

/** Plays the story with one operator, kills it, and goes on with another one. */
export async function replay({ access, history, story, killAfter, milestones }: ReplayOptions): Promise<Replay> {
  const began = Date.now();
  const scene = await Scene.set(access, history);
  const after: Snapshot[] = [];
  const problems: string[] = [];
  let step = 0;
  let killedIn: string | undefined;
  let heir: Promise<unknown> | undefined;
  const proxy = await WriteProxy.open(access, {
    last: killAfter,
    onLast: () => {
      killedIn = story[step]?.name;
      const { operator } = scene;
      operator?.kill('SIGKILL');
      heir = operator?.exited.then(() => scene.begin());
    },
  });
  try {
    await scene.begin(proxy.url);
    for (; step < story.length && problems.length === 0; step++) {
      const now = story[step] as Step;
      await now.act(scene);
      const expected = killAfter === undefined ? undefined : await milestones.at(step);
      const { snapshot, problem } = await settled(scene, now, expected);
      if (problem !== undefined) problems.push(...problem.map((one) => `after "${now.name}": ${one}`));
      after.push(snapshot);
      if (killAfter === undefined && problem === undefined) milestones.reach(step, snapshot);
    }
    await heir;
    problems.push(...breaches(history.of(scene.namespace)), ...scene.validators.volumes.breaches);
    if (history.broken !== undefined) problems.push(history.broken);
  } catch (error) {
    problems.push(`the replay failed: ${error instanceof Error ? error.stack : error}`);
  } finally {
    if (killAfter === undefined) milestones.end();
    await proxy.close();
    await heir?.catch(() => undefined);
    await scene.end();
  }
  return {
    killedAfter: killedIn === undefined ? undefined : proxy.done.at(-1),
    killedIn,
    writes: proxy.done.length,
    after,
    problems,
    seconds: (Date.now() - began) / 1000,
  };
}

/** Waits until the step has settled, and the cluster looks as expected (or, with nothing expected, does not change). */
async function settled(
  scene: Scene,
  step: Step,
  expected: Snapshot | undefined,
): Promise<{ readonly snapshot: Snapshot; readonly problem?: readonly string[] }> {
  const deadline = Date.now() + STEP_MS;
  let last: Snapshot = new Map();
  let since = Date.now();
  for (;;) {
    const missing = scene.failure ?? (await step.missing(scene));
    const isLate = Date.now() > deadline || scene.failure !== undefined;
    if (missing === undefined || isLate) {
      const snapshot = await snapshotOf(scene.client, scene.namespace, scene.system);
      const different = differences(expected ?? last, snapshot);
      if (missing !== undefined || different.length > 0) since = Date.now();
      const still = Date.now() - since;
      // Twice in a row: what is passed through on the way to somewhere else does not count.
      if (still >= (expected === undefined ? STILL_MS : LOOK_MS)) return { snapshot };
      if (isLate) return { snapshot, problem: missing === undefined ? different : [missing, ...different] };
      last = snapshot;
    } else {
      since = Date.now();
    }
    await sleep(LOOK_MS);
  }
}
