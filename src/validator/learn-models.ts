import type { Logger } from 'pino';
import { type BackendName, CheckpointStore, createLearner, type Snapshot } from '../learning/index.ts';
import type { CharterModel, Overlay } from '../overlay/index.ts';
import { NEUTRAL, type ReputationBook } from '../trust/index.ts';
import { dataOf } from './data.ts';
import type { ValidatorMetrics } from './metrics.ts';
import { ModelTask, type ModelTaskParts } from './model-task.ts';
import { ModelTasks } from './model-tasks.ts';
import type { ValidatorOptions } from './options.ts';
import type { Problems } from './problems.ts';
import { encodeLearn, LEARN_PROTOCOL } from './wire.ts';
import type { World } from './world.ts';

/** How long a neighbour may take to receive a model. */
const SEND_MILLISECONDS = 10_000;

export interface LearnModelsParts {
  readonly options: Pick<ValidatorOptions, 'mounts' | 'ownData' | 'dataDir' | 'scratch'>;
  readonly backend: BackendName | undefined;
  readonly overlay: Pick<Overlay, 'request' | 'peerId'>;
  /** Folder of a model's checkpoints. */
  readonly checkpoints: (uid: string) => string;
  readonly catchUp: (model: CharterModel, age: number, signal: AbortSignal) => Promise<Snapshot | undefined>;
  /** A model has learned on. */
  readonly aged: (uid: string, age: number) => void;
  /** All validators, in an order that all share. */
  readonly members: () => readonly string[];
  readonly peers: () => readonly string[];
  /** Whether a model is to be trained no further for now. */
  readonly rests: (uid: string) => boolean;
  readonly users: NonNullable<ModelTaskParts['users']>;
  readonly reputation: ReputationBook;
  readonly metrics: ValidatorMetrics;
  readonly problems: Problems;
  readonly world: World;
  readonly log: Logger;
}

/** The models of the charter, learned with real data, real workers and neighbours over the overlay. */
export function learnModels(parts: LearnModelsParts): ModelTasks {
  const { options, overlay, reputation, world, log } = parts;
  return new ModelTasks(
    (model, slot) =>
      new ModelTask(model, slot, {
        loadData: (which, signal) => dataOf(which, options, signal),
        createLearner,
        backend: parts.backend,
        scratch: options.scratch,
        checkpoints: ({ uid, name }) =>
          new CheckpointStore(parts.checkpoints(uid), {
            fs: world.disk,
            log: (level, message, fields) => log[level]({ ...fields, model: name }, message),
            onUnusable: () => parts.metrics.checkpoints.inc({ model: name, outcome: 'unusable' }),
          }),
        catchUp: parts.catchUp,
        self: overlay.peerId,
        members: parts.members,
        neighbours: parts.peers,
        // Who is not below neutral counts fully.
        trust: (peer) => Math.min(1, reputation.of(peer).learning / NEUTRAL),
        send: async (peer, { uid }, frame, signal) => {
          const limits = { timeoutMs: SEND_MILLISECONDS, maxReplyBytes: 256, signal };
          await overlay.request(peer, LEARN_PROTOCOL, encodeLearn(uid, frame), limits);
        },
        judged: (peer, before, after) => reputation.mergeEffect(peer, before, after),
        aged: ({ model: { uid }, progress }) => parts.aged(uid, progress.age),
        rests: parts.rests,
        users: parts.users,
        random: world.random,
        sleep: world.sleep,
        monotonic: world.monotonic,
        now: world.now,
        metrics: parts.metrics,
        problems: parts.problems,
        log,
      }),
    log,
  );
}
