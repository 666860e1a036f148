import { setTimeout as pause } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { CheckpointStore, createLearner } from '../../../src/learning/index.ts';
import type { CharterModel } from '../../../src/overlay/index.ts';
import { dataOf } from '../../../src/validator/data.ts';
import { createValidatorMetrics } from '../../../src/validator/metrics.ts';
import { ModelTask } from '../../../src/validator/model-task.ts';
import { ModelTasks } from '../../../src/validator/model-tasks.ts';
import { Problems } from '../../../src/validator/problems.ts';
import { folder, silent } from './fixtures.ts';
import { digits } from './flock.ts';

const slot = { index: 0, of: 1 };
const WAIT_MILLISECONDS = 50;

it('goes on from the weights that it has when the strategy of a model is changed', { timeout: 60_000 }, async () => {
  const directory = await folder();
  /** Whether exchanges take place; the weights stand still where not. */
  let goesOn = true;
  const parts = {
    loadData: (which: CharterModel, signal: AbortSignal) => dataOf(which, { mounts: '' }, signal),
    createLearner,
    backend: 'wasm' as const,
    checkpoints: () => new CheckpointStore(directory),
    catchUp: async () => undefined,
    self: 'self',
    members: () => ['self'],
    neighbours: () => [],
    trust: () => 1,
    send: async () => undefined,
    judged: () => undefined,
    aged: () => undefined,
    random: () => 0.5,
    // No checkpoint but the one at the end of a task.
    sleep: async (milliseconds: number, signal: AbortSignal) => {
      do await pause(1, undefined, { signal });
      while (milliseconds !== WAIT_MILLISECONDS || !goesOn);
    },
    monotonic: () => performance.now(),
    now: Date.now,
    metrics: createValidatorMetrics(),
    problems: new Problems(),
    log: silent,
  };
  const tasks = new ModelTasks((model, part) => new ModelTask(model, part, parts), silent);
  onTestFinished(() => tasks.stop());
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await pause(1);
  };
  let accuracy = 0;
  const strategies = ['gossip', 'outer'] as const;
  for (const [generation, strategy] of strategies.entries()) {
    goesOn = generation === 0;
    const learning = { strategy, waitMilliseconds: WAIT_MILLISECONDS };
    await tasks.follow([{ ...digits({ learning }), generation }], slot);
    const task = tasks.list()[0]!;
    await until(() => task.learner !== undefined);
    const learner = task.learner!;
    if (generation > 0) {
      const saved = (await new CheckpointStore(directory).load())!;
      expect(task.origin).toEqual({ from: 'checkpoint', age: saved.age });
      expect(await learner.snapshot()).toEqual(saved);
      expect((await learner.evaluate()).accuracy).toBe(accuracy);
    }
    const { age } = task.progress;
    goesOn = true;
    await until(() => task.progress.age >= age + 100);
    goesOn = false;
    await pause(5);
    // An update that is under way is done when this is.
    ({ accuracy } = await learner.evaluate());
    expect(accuracy).toBeGreaterThan(0.6);
  }
});
