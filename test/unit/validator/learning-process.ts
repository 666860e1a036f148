import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import { ModelSpec } from '../../../src/api/index.ts';
import { CheckpointStore, createLearner, type Snapshot } from '../../../src/learning/index.ts';
import { dataOf } from '../../../src/validator/data.ts';
import { createValidatorMetrics } from '../../../src/validator/metrics.ts';
import { ModelTask } from '../../../src/validator/model-task.ts';
import { Problems } from '../../../src/validator/problems.ts';

/**
 * A process that learns one model as a validator does, alone, and tells every step on stdout. Started by tests, to be
 * killed. A checkpoint is due every so many updates, and learning waits for it: so what a kill may cost is exact.
 *
 *     node learning-process.ts FOLDER UPDATES
 */
const [folder = '', updates = '3'] = process.argv.slice(2);
const INTERVAL = Number(updates);

/** A write that has returned is in the pipe, whatever becomes of this process. */
function tell(...words: readonly (string | number)[]): void {
  try {
    writeSync(1, `${words.join(' ')}\n`);
  } catch {
    process.exit(1); // nobody listens any more
  }
}
const digestOf = ({ age, tensors }: Snapshot): string => {
  const hash = createHash('sha256').update(String(age));
  for (const { data } of tensors) hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return hash.digest('hex');
};

const CHECKPOINT_SECONDS = 7;
const WAIT_MILLISECONDS = 1000;
const model = {
  uid: 'killed',
  name: 'killed',
  generation: 1,
  probeSeed: 7,
  spec: ModelSpec.parse({
    // 38 k numbers: a checkpoint of 154 kB.
    architecture: {
      layers: [
        { class_name: 'Dense', config: { units: 512, activation: 'relu' } },
        { class_name: 'Dense', config: { units: 10 } },
      ],
    },
    data: { source: { builtin: 'digits' }, classes: 10, scale: '16' },
    learning: {
      localSteps: 1,
      batchSize: 8,
      checkpointSeconds: CHECKPOINT_SECONDS,
      waitMilliseconds: WAIT_MILLISECONDS,
    },
  }),
};

let unsaved = 0;
/** Resolves when it is so; looks every millisecond. */
async function until(isSo: () => boolean, signal: AbortSignal): Promise<void> {
  do await pause(1, undefined, { signal });
  while (!isSo());
}

const store = new CheckpointStore(folder, { onUnusable: (_file, why) => tell('unusable', why) });
const problems = new Problems();
const metrics = createValidatorMetrics();
const task = new ModelTask(
  model,
  { index: 0, of: 1 },
  {
    loadData: (which, signal) => dataOf(which, { mounts: '' }, signal),
    createLearner,
    backend: 'wasm',
    checkpoints: () => ({
      load: async () => {
        const found = await store.load();
        tell('loaded', found?.age ?? 0, found === undefined ? 'nothing' : digestOf(found));
        return found;
      },
      save: async (snapshot) => {
        tell('saving', snapshot.age, digestOf(snapshot));
        await store.save(snapshot).finally(() => {
          unsaved = 0;
        });
        tell('saved', snapshot.age);
        flushCompileCache(); // where NODE_COMPILE_CACHE asks for one: a kill would lose it
      },
    }),
    catchUp: async () => undefined,
    self: 'self',
    members: () => ['self'],
    neighbours: () => [],
    trust: () => 1,
    send: async () => undefined,
    judged: () => undefined,
    aged: ({ progress }) => {
      unsaved++;
      tell('age', progress.age);
      for (const { reason } of problems.list()) tell('problem', reason);
    },
    random: () => 0.5,
    sleep: async (milliseconds, signal) => {
      if (milliseconds === CHECKPOINT_SECONDS * 1000) await until(() => unsaved >= INTERVAL, signal);
      else if (milliseconds === WAIT_MILLISECONDS) await until(() => unsaved < INTERVAL, signal);
      else await pause(milliseconds, undefined, { signal });
    },
    monotonic: () => performance.now(),
    now: Date.now,
    metrics,
    problems,
    log: pino({ level: 'warn' }, pino.destination(2)),
  },
);
task.start();
