import { ModelSpec } from '../../../src/api/index.ts';
import type { CharterModel } from '../../../src/overlay/index.ts';
import { MNIST_FILES } from './mnist.ts';

/** Mean wait between two exchanges: the least that a Model may have, so that what is measured computes all the time. */
export const WAIT_MILLISECONDS = 10;
/** Name of the volume with MNIST. */
export const MNIST_CLAIM = 'mnist';
export const BATCH_SIZE = 32;
/** A version is never due: what is measured is learning and gossip. */
const NEVER = 1_000_000_000;

const TASKS = ['digits', 'mnist'] as const;
const PRESETS = ['mlp', 'cnn'] as const;
const PARTITIONS = ['iid', 'byLabel'] as const;

/** What a fleet learns, and how long. */
export interface Run {
  readonly task: (typeof TASKS)[number];
  readonly preset: (typeof PRESETS)[number];
  readonly partition: (typeof PARTITIONS)[number];
  /** Of each validator. */
  readonly updates: number;
  /** Mini-batches of an update. */
  readonly localSteps: number;
  /** Decimal text. */
  readonly learningRate: string;
}

/** How long and how fast; for parts by label a tenth of the steps between exchanges, and more of these. */
const TERMS = {
  'digits/mlp': { updates: 300, localSteps: 10, learningRate: '0.3' },
  'digits/cnn': { updates: 60, localSteps: 10, learningRate: '0.1' },
  'mnist/mlp': { updates: 60, localSteps: 10, learningRate: '0.1' },
  'mnist/cnn': { updates: 40, localSteps: 10, learningRate: '0.1' },
} as const satisfies Readonly<Record<string, Pick<Run, 'updates' | 'localSteps' | 'learningRate'>>>;

/** What runs where nobody says otherwise. */
export const USUAL_RUNS = ['digits/mlp/iid', 'digits/cnn/iid', 'mnist/mlp/iid', 'mnist/cnn/iid', 'digits/mlp/byLabel'];

/** Reads `mnist/cnn/iid`. @throws RangeError that says what may stand there */
export function runOf(text: string, changed: Partial<Pick<Run, 'updates' | 'localSteps'>> = {}): Run {
  const [task, preset, partition = 'iid', ...more] = text.split('/');
  const run = {
    task: oneOf(TASKS, task, text),
    preset: oneOf(PRESETS, preset, text),
    partition: oneOf(PARTITIONS, partition, text),
  };
  if (more.length > 0) throw new RangeError(`"${text}" has more than three words: write mnist/cnn/iid.`);
  const terms = TERMS[`${run.task}/${run.preset}`];
  const few = { updates: 1000, localSteps: 2, learningRate: '0.1' };
  return { ...run, ...(run.partition === 'byLabel' ? few : terms), ...changed };
}

export const nameOf = ({ task, preset, partition }: Run): string => `${task}/${preset}/${partition}`;

function oneOf<T extends string>(known: readonly T[], word: string | undefined, text: string): T {
  const found = known.find((one) => one === word);
  if (found !== undefined) return found;
  throw new RangeError(`"${text}" is no run: "${word ?? ''}" can be ${known.join(' or ')}.`);
}

/** Mini-batches of a fleet of so many, each doing its updates. */
export const stepsOf = ({ updates, localSteps }: Run, validators: number): number => validators * updates * localSteps;

/** The Model of a run, as an operator would put it into a charter. */
export function modelOf(run: Run): CharterModel {
  const { task, preset, partition, localSteps, learningRate } = run;
  const data =
    task === 'digits'
      ? { source: { builtin: 'digits' } }
      : {
          source: { claim: { claimName: MNIST_CLAIM, path: MNIST_FILES.records } },
          format: 'idx',
          labels: { file: MNIST_FILES.labels },
          split: { testRows: 1000 },
        };
  return {
    uid: 'b8a7c0de-0000-4000-8000-00000000be9c',
    name: task,
    generation: 1,
    probeSeed: 7,
    spec: ModelSpec.parse({
      network: 'bench',
      architecture: { preset },
      data: { ...data, classes: 10, partition },
      learning: {
        waitMilliseconds: WAIT_MILLISECONDS,
        localSteps,
        batchSize: BATCH_SIZE,
        optimizer: { name: 'sgd', learningRate },
      },
      versions: { everyAge: NEVER },
    }),
  };
}
