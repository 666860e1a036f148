import type { KubeConfig } from '@kubernetes/client-node';
import type { Random } from '../../src/kube/index.ts';
import type { OperatorOptions } from '../../src/operator/operator.ts';
import type { Access } from '../apiserver/control-plane.ts';
import { connect } from '../apiserver/harness.ts';
import { type Stage, setStage } from '../apiserver/operator/stage.ts';
import { JumpingClock } from './clock.ts';
import type { Begin } from './faults.ts';
import { changedKeys, inventory, keysMadeTwice, keysOf, missed } from './outcome.ts';
import { FaultProxy, type Passed } from './proxy.ts';
import { type Chapter, settled, story } from './story.ts';

export interface PlayInit {
  readonly access: Access;
  readonly random: Random;
  /** Long faults last so long. ms */
  readonly awayMs: number;
  /** The longest that a chapter may take. ms */
  readonly chapterMs: number;
  readonly times: NonNullable<OperatorOptions['times']>;
  /** Default: the whole {@link story}. */
  readonly chapters?: readonly Chapter[];
  readonly onStep?: (what: string) => void;
}

/** What a story came to. */
export interface Played {
  /** See {@link inventory}; of an undisturbed story it is what others are held to. */
  readonly inventory: readonly string[];
  /** What went wrong for good, in sentences. */
  readonly problems: readonly string[];
  readonly log: readonly Passed[];
}

/** Times short enough that a half-open watch is found out within seconds. */
export const SHORT: NonNullable<OperatorOptions['times']> = {
  watchTimeoutSeconds: 5,
  watchIdleMs: 7_000,
  stuckMs: 10_000,
  graceMs: 2_000,
};

/** Nothing is written for so long: it has come to rest. ms */
const REST_MS = 1_500;
const RECOVERY_MS = 40_000;

/** A stage whose operator speaks to the API server through a proxy, on a clock that may jump. */
export async function disturbedStage(
  access: Access,
  change: Partial<OperatorOptions>,
): Promise<{ readonly stage: Stage; readonly proxy: FaultProxy; readonly clock: JumpingClock }> {
  const proxy = await FaultProxy.start(access);
  const clock = new JumpingClock();
  const through = (account: KubeConfig): KubeConfig => proxy.config(account);
  try {
    return { stage: await setStage({ clock, ...change }, connect(access), through), proxy, clock };
  } catch (error) {
    await proxy.stop();
    throw error;
  }
}

/** Tells the story while the faults go on, and looks what came of it once they have ended. */
export async function play(faults: readonly Begin[], init: PlayInit): Promise<Played> {
  const { access, random, awayMs, chapterMs, times, chapters = story, onStep = () => undefined } = init;
  const { stage, proxy, clock } = await disturbedStage(access, { times, leaderElect: true });
  const problems: string[] = [];
  try {
    let keys: ReadonlyMap<string, string> = new Map();
    const look = async (): Promise<void> => {
      const now = await keysOf(stage);
      problems.push(...changedKeys(keys, now));
      keys = now;
    };
    const ends = faults.map((begin) => begin({ stage, proxy, clock, random, awayMs }));
    try {
      for (const { what, replicas, act } of chapters) {
        onStep(what);
        await stage.until(what, () => done(act(stage)), chapterMs);
        await settled(stage, replicas, chapterMs);
        await look();
      }
    } finally {
      for (const end of ends) await end();
      proxy.clear();
    }
    onStep('the faults are over');
    const writes = (): number =>
      proxy.log.findLast(({ verb, resource }) => verb === 'write' && resource !== 'leases')?.at ?? 0;
    await stage.until('nothing is written any more', async () => performance.now() - writes() > REST_MS, RECOVERY_MS);
    await stage.until('it is ready', async () => stage.operator.readyz().ok, RECOVERY_MS);
    problems.push(...(await untilNone(() => missed(stage, stage.operator))), ...(await keysMadeTwice(stage)));
    await look();
    return { inventory: await inventory(stage), problems, log: proxy.log };
  } catch (error) {
    const { problems: why } = stage.operator.readyz();
    problems.push(`${(error as Error).message}${why.length === 0 ? '' : ` (not ready: ${why.join('; ')})`}`);
    return { inventory: await inventory(stage), problems, log: proxy.log };
  } finally {
    await stage.end();
    await proxy.stop();
  }
}

/** People too try again when the API server is away. */
const done = (act: Promise<void>): Promise<boolean> =>
  act.then(
    () => true,
    () => false,
  );

/** Waits until nothing differs; answers what still does in the end. Kinds without a namespace change under other hands. */
export async function untilNone(differences: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const deadline = Date.now() + RECOVERY_MS;
  for (;;) {
    const found = await differences();
    if (found.length === 0 || Date.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
