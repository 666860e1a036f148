import { describe, expect, it, onTestFinished } from 'vitest';
import { type Disk, realDisk } from '../../../src/disk/index.ts';
import {
  CheckpointStore,
  CheckpointsUnusableError,
  DataError,
  type Learner,
  type LearnerInit,
  LearnerStoppedError,
  ModelError,
  type PartitionSlot,
  type Snapshot,
} from '../../../src/learning/index.ts';
import { createValidatorMetrics } from '../../../src/validator/metrics.ts';
import { ModelTask, type ModelTaskParts } from '../../../src/validator/model-task.ts';
import { Problems } from '../../../src/validator/problems.ts';
import { folder, gate, keptLog, Sleeps } from './fixtures.ts';
import { digits } from './flock.ts';

const part: PartitionSlot = { index: 0, of: 2 };
/** Weights whose only tensor has this many numbers: of another number, they are of another model. */
const weights = (age: number, size = 4): Snapshot => ({
  age,
  tensors: [{ name: 'kernel', shape: [size], data: new Float32Array(size) }],
});

/** A learner without mathematics. It fits weights of `size` numbers. */
function fakeLearner(init: LearnerInit, size: number, done: string[]): Learner {
  let age = init.resume?.age ?? 0;
  const check = (snapshot: Snapshot) => {
    if (snapshot.tensors[0]?.data.length !== size) throw new ModelError('these weights are of another model');
  };
  return {
    backend: 'cpu',
    maxMessageBytes: 100,
    input: undefined,
    ready: async () => {
      if (init.resume !== undefined) check(init.resume);
    },
    update: async () => ({ age: ++age, loss: 1 }),
    message: async () => new Uint8Array(),
    merge: async () => ({ age, accepted: true, isNews: false, distance: 0, lossBefore: 1, lossAfter: 1 }),
    evaluate: async () => ({ loss: 1, accuracy: 0.5 }),
    snapshot: async () => weights(age, size),
    load: async (snapshot) => {
      check(snapshot);
      age = snapshot.age;
    },
    score: async () => ({ loss: 1, accuracy: 0.5 }),
    predict: async () => [],
    repartition: async ({ index, of }) => void done.push(`part ${index}/${of}`),
    frame: async () => new Uint8Array(),
    blend: async () => ({ age, accepted: true, isNews: false, distance: 0, lossBefore: 1, lossAfter: 1 }),
    adopt: async () => undefined,
    lend: async (rows) => void done.push(`lent ${rows?.labels.length ?? 0}`),
    close: async () => void done.push('close'),
  };
}

/** A task whose sleeps never end by themselves; `begun` resolves when it has a learner. */
function task(overrides: Partial<ModelTaskParts> = {}, options: { checkpoint?: Snapshot; size?: number } = {}) {
  const done: string[] = [];
  const saved: Snapshot[] = [];
  const { log, lines } = keptLog();
  const problems = new Problems();
  const waits: number[] = [];
  const begun = gate();
  const made = new ModelTask(digits(), part, {
    loadData: async () => ({ data: new Uint8Array() }),
    createLearner: (init) => fakeLearner(init, options.size ?? 4, done),
    checkpoints: () => ({ save: async (snapshot) => void saved.push(snapshot), load: async () => options.checkpoint }),
    catchUp: async () => undefined,
    self: 'self',
    members: () => [],
    neighbours: () => [],
    trust: () => 1,
    send: async () => undefined,
    judged: () => undefined,
    aged: () => undefined,
    random: () => 0.5,
    sleep: (milliseconds, signal) => {
      waits.push(milliseconds);
      begun.open();
      return new Promise((_resolve, reject) => {
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
    },
    monotonic: () => 0,
    now: () => 0,
    metrics: createValidatorMetrics(),
    problems,
    log,
    ...overrides,
  });
  onTestFinished(() => made.stop());
  return { task: made, done, saved, lines, problems, waits, begun: begun.passed };
}

describe('what a model begins with', () => {
  it('is nothing at first, and the checkpoint after a restart', async () => {
    const first = task();
    first.task.start();
    await first.begun;
    expect(first.task.origin).toEqual({ from: 'scratch', age: 0 });
    const again = task({}, { checkpoint: weights(70) });
    again.task.start();
    await again.begun;
    expect(again.task.origin).toEqual({ from: 'checkpoint', age: 70 });
    expect(again.task.progress.age).toBe(70);
  });

  it('is the certified version where that is newer, and the fleet is asked for just that', async () => {
    const asked: number[] = [];
    const catchUp = async (_model: unknown, age: number) => {
      asked.push(age);
      return weights(5000);
    };
    const far = task({ catchUp }, { checkpoint: weights(70) });
    far.task.start();
    await far.begun;
    expect(asked).toEqual([70]);
    expect(far.task.origin).toEqual({ from: 'certified', age: 5000 });
    expect(far.task.progress.age).toBe(5000);
  });

  it('leaves a checkpoint out that does not fit the changed spec, says so, and closes the learner that refused it', async () => {
    const changed = task({}, { checkpoint: weights(70, 4), size: 5 });
    changed.task.start();
    await changed.begun;
    expect(changed.task.origin).toEqual({ from: 'scratch', age: 0 });
    expect(changed.task.progress.problem).toBeUndefined();
    expect(changed.lines.map(({ msg }) => msg)).toContain('the checkpoint does not fit the changed spec: left out');
    expect(changed.done).toEqual(['close']);
  });

  it('is fresh weights at the certified age when neither checkpoint nor certified version fits', async () => {
    const changed = task({ catchUp: async () => weights(5000, 4) }, { checkpoint: weights(70, 4), size: 5 });
    changed.task.start();
    await changed.begun;
    expect(changed.task.origin).toEqual({ from: 'scratch', age: 5000 });
    expect((await changed.task.learner?.snapshot())?.age).toBe(5000);
  });
});

describe('a model that cannot be learned', () => {
  it.each([
    [new DataError('DataDigestMismatch', 'set sha256'), 'DataDigestMismatch'],
    [new ModelError('16 outputs for 10 classes'), 'ArchitectureInvalid'],
  ])('says why and is tried again, ever more rarely: %s', async (error, reason) => {
    const waits: number[] = [];
    const enough = gate();
    const { task: failing } = task({
      loadData: async () => {
        throw error;
      },
      sleep: async (milliseconds, signal) => {
        waits.push(milliseconds);
        if (waits.length < 6) return;
        enough.open();
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
    failing.start();
    await enough.passed;
    expect(waits).toEqual([2000, 4000, 8000, 15_000, 15_000, 15_000]);
    expect(failing.progress.problem).toEqual({ reason, message: error.message });
    expect(failing.learner).toBeUndefined();
  });

  it('is learned again from its checkpoint when the worker dies', async () => {
    const lives: (number | undefined)[] = [];
    const second = gate();
    const { task: dying } = task(
      {
        createLearner: (init) => {
          lives.push(init.resume?.age);
          const learner = fakeLearner(init, 4, []);
          if (lives.length === 2) second.open();
          return lives.length > 1
            ? learner
            : { ...learner, update: async () => Promise.reject(new LearnerStoppedError('the worker ended')) };
        },
        sleep: (milliseconds, signal) =>
          // The waits of an exchange and of a retry end at once, those of evaluations and checkpoints never.
          lives.length === 1 && milliseconds <= 2000 && milliseconds !== 0
            ? Promise.resolve()
            : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
      { checkpoint: weights(70) },
    );
    dying.start();
    await second.passed;
    expect(lives).toEqual([70, 70]);
  });
});

it('takes another part of the data that was dealt out while the model was loaded', async () => {
  const [made, loading] = [gate(), gate()];
  const {
    task: slow,
    done,
    begun,
  } = task({
    catchUp: async () => {
      made.open();
      await loading.passed;
      return undefined;
    },
  });
  slow.start();
  await made.passed;
  const dealt = slow.repartition({ index: 1, of: 3 });
  loading.open();
  await dealt;
  await begun;
  expect(slow.partition).toEqual({ index: 1, of: 3 });
  expect(done).toEqual(['part 1/3']);
});

it('saves what was learned when it is stopped', async () => {
  const { task: stopping, saved, done, begun } = task({}, { checkpoint: weights(70) });
  stopping.start();
  await begun;
  await stopping.stop();
  expect(saved.map(({ age }) => age)).toEqual([70]);
  expect(done).toEqual(['close']);
});

it('does not wait for a model that is still being loaded when it is stopped', async () => {
  const created = gate();
  const closed = Promise.withResolvers<void>();
  const { task: loading, saved } = task({
    createLearner: (init) => {
      created.open();
      return {
        ...fakeLearner(init, 4, []),
        ready: () => closed.promise,
        close: async () => closed.reject(new LearnerStoppedError('was closed')),
      };
    },
  });
  loading.start();
  await created.passed;
  await loading.stop();
  expect(saved).toEqual([]);
});

describe('a checkpoint that cannot be written', () => {
  /** A task whose updates and saves the test lets happen; its disk fails with `code` until it is mended. */
  async function failing(code: string) {
    const home = await folder();
    const broken = { code: '' };
    const disk: Disk = {
      ...realDisk,
      open: async (file, flags) => {
        const opened = await realDisk.open(file, flags);
        const writeFile = async (data: Uint8Array): Promise<void> => {
          await opened.writeFile(data.subarray(0, data.length / 2)); // what a full disk leaves: a part
          if (broken.code !== '') throw Object.assign(new Error('the disk says no'), { code: broken.code });
          await opened.writeFile(data.subarray(data.length / 2));
        };
        return { writeFile, sync: () => opened.sync(), close: () => opened.close() };
      },
    };
    const sleeps = new Sleeps();
    const store = new CheckpointStore(home, { fs: disk });
    const metrics = createValidatorMetrics();
    const parts = task({ sleep: sleeps.sleep, checkpoints: () => store, metrics });
    parts.task.start();
    const exchange = digits().spec.learning.waitMilliseconds;
    await sleeps.next(exchange);
    await sleeps.until(exchange, 2);
    await sleeps.next(10_000);
    await sleeps.until(10_000, 2);
    broken.code = code;
    return { ...parts, sleeps, broken, exchange, metrics, load: () => new CheckpointStore(home).load() };
  }

  it.each([
    ['ENOSPC', 'VolumeFull', /raise spec\.storage\.size/],
    ['EIO', 'CheckpointFailed', /^The checkpoint of model digits cannot be written: the disk says no$/],
  ])(
    'on %s is a problem that people see; learning goes on, and the next that is written clears it',
    async (code, reason, says) => {
      const { task: learning, sleeps, broken, exchange, problems, lines, metrics, load } = await failing(code);
      for (const nth of [1, 2]) {
        await sleeps.next(exchange);
        await sleeps.until(exchange, 2 + nth);
        await sleeps.next(10_000);
        await sleeps.until(10_000, 2 + nth);
      }
      expect(problems.list()).toEqual([{ reason, message: expect.stringMatching(says) }]);
      expect(learning.progress.age).toBe(3);
      expect((await load())?.age).toBe(1);
      broken.code = '';
      await sleeps.next(10_000);
      await sleeps.until(10_000, 5);
      expect(problems.list()).toEqual([]);
      expect((await load())?.age).toBe(3);
      // Each change is told once.
      const told = lines.map(({ msg }) => msg);
      expect(told.filter((msg) => msg === 'cannot save a checkpoint: learns on, and tries again')).toHaveLength(1);
      expect(told.filter((msg) => msg === 'saves checkpoints again')).toHaveLength(1);
      const counted = await metrics.registry.getSingleMetricAsString('murmuration_checkpoints_total');
      expect(counted).toContain('{model="digits",outcome="saved"} 2');
      expect(counted).toContain('{model="digits",outcome="failed"} 2');
    },
  );
});

it('begins with what the network knows where no checkpoint can be used, and says so until it has saved one', async () => {
  const sleeps = new Sleeps();
  const asked: number[] = [];
  const { task: anew, problems } = task({
    sleep: sleeps.sleep,
    checkpoints: () => ({
      save: async () => undefined,
      load: async () => Promise.reject(new CheckpointsUnusableError('None of 2 checkpoints can be used.')),
    }),
    catchUp: async (_model, age) => {
      asked.push(age);
      return weights(5000);
    },
  });
  anew.start();
  await sleeps.until(10_000);
  expect(asked).toEqual([0]);
  expect(anew.origin).toEqual({ from: 'certified', age: 5000 });
  expect(problems.list().map(({ reason }) => reason)).toEqual(['CheckpointUnusable']);
  await sleeps.next(10_000);
  await sleeps.until(10_000, 2);
  expect(problems.list()).toEqual([]);
});

it('asks for its checkpoints once, so that saves of two lives wait for each other', async () => {
  let asked = 0;
  const lives = gate();
  let made = 0;
  const { task: dying } = task({
    checkpoints: () => {
      asked++;
      return { save: async () => undefined, load: async () => undefined };
    },
    createLearner: (init) => {
      if (++made === 2) lives.open();
      const learner = fakeLearner(init, 4, []);
      return made > 1 ? learner : { ...learner, evaluate: async () => Promise.reject(new LearnerStoppedError('dead')) };
    },
    sleep: (milliseconds, signal) =>
      made === 1 && milliseconds === 2000
        ? Promise.resolve()
        : new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  });
  dying.start();
  await lives.passed;
  expect(asked).toBe(1);
});
