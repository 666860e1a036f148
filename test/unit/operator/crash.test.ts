import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Action } from '../../../src/operator/action.ts';
import { STORY } from '../../fault/crash/story.ts';
import { Replay } from './crash-replay.ts';

/** Seconds of computing; more on a machine that is busy with something else. ms */
const LIMIT_MS = 120_000;

let undisturbed: Replay;
/** The story as it stood after each write. */
const forks: Replay[] = [];
beforeAll(async () => {
  undisturbed = new Replay(undefined, () => forks.push(undisturbed.fork()));
  await undisturbed.play();
});

it('the undisturbed story breaks no invariant, and leaves what is to be retained', () => {
  expect(undisturbed.problems(undisturbed)).toEqual([]);
  expect([...undisturbed.after.at(-1)!.keys()].sort()).toEqual([
    'PersistentVolumeClaim solo-data',
    'Secret solo-identity',
    'Secret solo-stake',
  ]);
});

it(
  'an operator that is killed after any write of the story is followed by one that ends in the same state',
  async () => {
    expect(forks.length).toBeGreaterThan(100);
    for (const [index, fork] of forks.entries()) {
      await fork.play(true);
      expect(fork.problems(undisturbed), `killed after write ${index + 1}`).toEqual([]);
    }
  },
  LIMIT_MS,
);

describe('an operator whose passes are cut, doubled, late and killed', () => {
  const lags = fc.array(fc.nat({ max: 20 }), { maxLength: 5 });
  const happening = fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        what: fc.constant('pass' as const),
        which: fc.nat({ max: 40 }),
        lags,
        keep: fc.array(fc.boolean(), { maxLength: 5 }),
        order: fc.constantFrom('as planned', 'reversed', 'twice'),
      }),
    },
    { weight: 4, arbitrary: fc.record({ what: fc.constant('kubelet' as const), which: fc.nat({ max: 6 }) }) },
    { weight: 2, arbitrary: fc.constant({ what: 'validators' as const }) },
    { weight: 1, arbitrary: fc.constant({ what: 'garbage' as const }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('kill' as const), after: fc.nat({ max: 5 }) }) },
  );
  type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

  const happen = (story: Replay, one: Happening): void => {
    const { cluster } = story;
    switch (one.what) {
      case 'pass': {
        const keys = story.operator.keys(cluster);
        const part = (wave: readonly Action[]): readonly Action[] => {
          if (one.order === 'reversed') return [...wave].reverse();
          if (one.order === 'twice') return [...wave, ...wave];
          return wave.filter((_, index) => one.keep[index] ?? true);
        };
        story.pass(keys[one.which % keys.length] ?? '', one.lags, part);
        break;
      }
      case 'kubelet': {
        const pods = cluster.list('Pod');
        const pod = pods[one.which % Math.max(1, pods.length)];
        if (pod !== undefined) cluster.kubelet(pod.metadata.name);
        break;
      }
      case 'validators':
        story.flock.look();
        break;
      case 'garbage':
        cluster.collectGarbage();
        break;
      case 'kill':
        story.restart(one.after === 0 ? undefined : one.after);
        break;
    }
  };

  it(
    'ends in the same state, and breaks no invariant on the way',
    async () => {
      const chaos = fc.array(fc.array(happening, { minLength: 10, maxLength: 50 }), {
        minLength: STORY.length,
        maxLength: STORY.length,
      });
      const habit = fc.constantFrom<Replay['habit']>(
        (wave) => wave,
        (wave) => [...wave].reverse(),
        (wave) => wave.slice(-1),
      );
      await fc.assert(
        fc.asyncProperty(chaos, habit, async (happenings, does) => {
          const story = new Replay();
          story.habit = does;
          for (const [index, step] of STORY.entries()) {
            await step.act(story.cluster.place);
            for (const one of happenings[index] ?? []) happen(story, one);
            await story.settle(step);
          }
          expect(story.problems(undisturbed)).toEqual([]);
        }),
        { numRuns: 40 },
      );
    },
    LIMIT_MS,
  );
});
