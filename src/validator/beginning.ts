import type { Logger } from 'pino';
import {
  type BackendName,
  CheckpointsUnusableError,
  type DataFile,
  type Learner,
  type LearnerInit,
  ModelError,
  type PartitionSlot,
  type Snapshot,
  type StartModel,
} from '../learning/index.ts';
import type { CharterModel } from '../overlay/index.ts';

/** Data files of a model, as stored. */
export interface LoadedData {
  /** The shared file: trained on in parts and tested on; for `partition: own` tested on only. */
  readonly data: DataFile;
  readonly ownData?: DataFile | undefined;
  readonly start?: StartModel | undefined;
  /** Closes the files, once the learner has read them. */
  release?(): Promise<void>;
}

/** Where the weights of the present learner came from when it started. */
export interface Origin {
  readonly from: 'scratch' | 'checkpoint' | 'certified';
  readonly age: number;
}

export interface WakeParts {
  readonly createLearner: (init: LearnerInit) => Learner;
  /** The checkpoint to go on from. Rejects with CheckpointsUnusableError where there are some and none can be used. */
  readonly resume: () => Promise<Snapshot | undefined>;
  /** Told when that was so. */
  readonly onUnusable: (error: CheckpointsUnusableError) => void;
  readonly backend?: BackendName | undefined;
  /** Folder for tables that are too large for memory. */
  readonly scratch?: string | undefined;
  readonly log: Logger;
}

/**
 * A learner that is ready, with the age of its checkpoint. A checkpoint that cannot be used, or does not fit the model as
 * its spec is now, is left out.
 * @throws DataError, ModelError when the spec cannot be run, LearnerStoppedError when aborted
 */
export async function wakeLearner(
  model: CharterModel,
  slot: PartitionSlot,
  loaded: LoadedData,
  parts: WakeParts,
  signal: AbortSignal,
): Promise<{ readonly learner: Learner; readonly resumed: number | undefined }> {
  const { backend, log } = parts;
  const init = {
    model,
    partition: slot,
    data: loaded.data,
    ownData: loaded.ownData,
    start: loaded.start,
    scratch: parts.scratch,
    backend,
    log: (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) =>
      log[level](fields ?? {}, message),
  };
  const resume = await parts.resume().catch((error: unknown) => {
    if (!(error instanceof CheckpointsUnusableError)) throw error;
    parts.onUnusable(error);
    return undefined;
  });
  try {
    return { learner: await ready({ ...init, resume }, parts, signal), resumed: resume?.age };
  } catch (error) {
    if (resume === undefined || signal.aborted || !(error instanceof ModelError)) throw error;
    // Either the checkpoint is of another architecture, or the spec cannot be run at all: then this throws again.
    const learner = await ready(init, parts, signal);
    log.warn({ age: resume.age, why: error.message }, 'the checkpoint does not fit the changed spec: left out');
    return { learner, resumed: undefined };
  }
}

async function ready(init: LearnerInit, { createLearner }: WakeParts, signal: AbortSignal): Promise<Learner> {
  signal.throwIfAborted();
  const learner = createLearner(init);
  const close = () => void learner.close(); // a stop does not wait for a large table to be read
  signal.addEventListener('abort', close, { once: true });
  try {
    await learner.ready();
    return learner;
  } catch (error) {
    await learner.close();
    throw error;
  } finally {
    signal.removeEventListener('abort', close);
  }
}

/** Takes over the certified version where there is one that fits, and tells what the learner goes on from. */
export async function takeOver(
  learner: Learner,
  resumed: number | undefined,
  certified: Snapshot | undefined,
  log: Logger,
): Promise<Origin> {
  const own = { from: resumed === undefined ? 'scratch' : 'checkpoint', age: resumed ?? 0 } as const;
  if (certified === undefined) return own;
  const { age } = certified;
  try {
    await learner.load(certified);
    log.info({ age }, 'catches up from the certified version');
    return { from: 'certified', age };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    // Certified ages only grow: weights that were younger could not be certified for as long as the old ones learned.
    const { tensors } = await learner.snapshot();
    await learner.load({ age, tensors });
    log.warn({ age, why: error.message }, 'the certified version does not fit the changed spec: starts at its age');
    return { ...own, age };
  }
}
