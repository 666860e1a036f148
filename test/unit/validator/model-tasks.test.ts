import { expect, it } from 'vitest';
import type { PartitionSlot } from '../../../src/learning/index.ts';
import type { CharterModel } from '../../../src/overlay/index.ts';
import { ModelTasks } from '../../../src/validator/model-tasks.ts';
import { gate, silent } from './fixtures.ts';
import { digits } from './flock.ts';

const slot: PartitionSlot = { index: 0, of: 4 };
const named = (name: string, generation = 1): CharterModel => ({ ...digits(), uid: name, name, generation });

/** Tasks that write down what is done with them; stopping waits for `stopping`. */
function tasks(stopping: Promise<void> = Promise.resolve()) {
  const done: string[] = [];
  const made = new ModelTasks((model, part) => {
    const label = `${model.name}#${model.generation}`;
    return {
      model,
      start: () => void done.push(`start ${label} ${part.index}/${part.of}`),
      stop: async () => {
        done.push(`stop ${label}`);
        await stopping;
      },
      repartition: async (next: PartitionSlot) => void done.push(`part ${label} ${next.index}/${next.of}`),
    };
  }, silent);
  return { tasks: made, done };
}

/** Every promise that could be settled by now is. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('starts what the charter has, and stops what it no longer has', async () => {
  const { tasks: all, done } = tasks();
  await all.follow([named('a'), named('b')], slot);
  await all.follow([named('b')], { index: 1, of: 3 });
  expect(done).toEqual(['start a#1 0/4', 'start b#1 0/4', 'stop a#1', 'part b#1 1/3']);
  expect(all.list().map(({ model }) => model.name)).toEqual(['b']);
});

it('starts a model anew when its spec has changed', async () => {
  const { tasks: all, done } = tasks();
  await all.follow([named('a')], slot);
  await all.follow([named('a', 2)], slot);
  expect(done).toEqual(['start a#1 0/4', 'stop a#1', 'start a#2 0/4']);
  expect(all.get('a')?.model.generation).toBe(2);
});

it('skips the charters that came while a task was stopping, but for the newest', async () => {
  const stopping = gate();
  const { tasks: all, done } = tasks(stopping.passed);
  await all.follow([named('a')], slot);
  const first = all.follow([], slot);
  await settled();
  expect(done.at(-1)).toBe('stop a#1');
  const follows = [all.follow([named('b')], slot), all.follow([named('c')], slot), all.follow([named('d')], slot)];
  stopping.open();
  await Promise.all([first, ...follows]);
  expect(done).toEqual(['start a#1 0/4', 'stop a#1', 'start d#1 0/4']);
});

it('starts nothing once it is told to stop, even in the middle of a charter', async () => {
  const stopping = gate();
  const { tasks: all, done } = tasks(stopping.passed);
  await all.follow([named('a'), named('b')], slot);
  const following = all.follow([named('c')], slot);
  await settled();
  const stopped = all.stop();
  const late = all.follow([named('d')], slot);
  stopping.open();
  await Promise.all([following, stopped, late]);
  expect(done.filter((what) => what.startsWith('start'))).toEqual(['start a#1 0/4', 'start b#1 0/4']);
  expect(done.filter((what) => what === 'stop b#1')).toHaveLength(1);
});
