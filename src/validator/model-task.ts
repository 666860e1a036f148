import type { Logger } from 'pino';
import { REASONS } from '../api/index.ts';
import { isVolumeFull } from '../disk/index.ts';
import {
  type BackendName,
  BadInputError,
  type CheckpointStore,
  type CheckpointsUnusableError,
  createRouting,
  DataError,
  type Learner,
  LearnerStoppedError,
  type LentRows,
  ModelError,
  type PartitionSlot,
  type Snapshot,
  STEADY,
  TokenAccount,
} from '../learning/index.ts';
import type { CharterModel, ProblemReport } from '../overlay/index.ts';
import { type LoadedData, type Origin, takeOver, type WakeParts, wakeLearner } from './beginning.ts';
import { ExchangeLoop } from './exchange-loop.ts';
import type { ValidatorMetrics } from './metrics.ts';
import type { Problems } from './problems.ts';

const second = 1000;
/** How often accuracy is measured: as often as a report is sent. */
const EVALUATE_MILLISECONDS = 2 * second;
/** First and longest wait before data that could not be used are read again. */
const RETRY_MILLISECONDS = 2 * second;
const RETRY_MAX_MILLISECONDS = 15 * second;
/** How soon a checkpoint that could not be written is written again, where that is sooner than the next. */
const SAVE_AGAIN_MILLISECONDS = 15 * second;
/** Weight of the newest distance in the moving mean that is reported as divergence. */
const DIVERGENCE_WEIGHT = 0.1;

type Checkpoints = Pick<CheckpointStore, 'save' | 'load'>;

/** What a model task needs of the world; shared by all tasks of a validator. */
export interface ModelTaskParts extends Omit<WakeParts, 'resume' | 'onUnusable'> {
  /** Where checkpoints of the model are kept; asked for once. */
  readonly checkpoints: (model: CharterModel) => Checkpoints;
  readonly loadData: (model: CharterModel, signal: AbortSignal) => Promise<LoadedData>;
  /** The newest certified version that neighbours know, when it is older than `age`; undefined where there is none. */
  readonly catchUp: (model: CharterModel, age: number, signal: AbortSignal) => Promise<Snapshot | undefined>;
  /** This validator's peer id. */
  readonly self: string;
  /** All validators, this one included, in an order that all share; the same array until they change. */
  readonly members: () => readonly string[];
  /** Those of the others that are connected. */
  readonly neighbours: () => readonly string[];
  /** 0..1: how far to follow a peer. */
  readonly trust: (peer: string) => number;
  readonly send: (peer: string, model: CharterModel, message: Uint8Array, signal: AbortSignal) => Promise<void>;
  /** A neighbour's model was scored on the shared probe. */
  readonly judged: (peer: string, lossBefore: number, lossAfter: number) => void;
  /** The age has grown; called after every update. */
  readonly aged: (task: ModelTask) => void;
  /** Whether a model is to be trained no further for now. */
  readonly rests?: (uid: string) => boolean;
  /** Rows of users that the model is to be trained on too; and word that it cannot be, so that they are given up. */
  readonly users?: {
    readonly rows: (uid: string) => LentRows | undefined;
    readonly spoiled: (uid: string) => Promise<unknown>;
  };
  readonly random: () => number;
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly metrics: ValidatorMetrics;
  readonly problems: Problems;
}

/** How a model does here; numbers are undefined until they are known. */
export interface ModelProgress {
  readonly age: number;
  readonly loss?: number | undefined;
  readonly accuracy?: number | undefined;
  readonly divergence?: number | undefined;
  readonly problem?: ProblemReport | undefined;
  readonly backend?: BackendName | undefined;
}

/**
 * One model on this validator, from its data to its checkpoints: load, catch up, learn; again from the last checkpoint
 * when the worker dies; wait and read again when the data cannot be used.
 */
export class ModelTask {
  readonly model: CharterModel;
  readonly #parts: ModelTaskParts;
  readonly #log: Logger;
  /** One for all lives: saves of the one that ends and of the next must not meet. */
  readonly #checkpoints: Checkpoints;
  readonly #stop = new AbortController();
  #partition: PartitionSlot;
  #origin: Origin | undefined;
  #learner: Learner | undefined;
  #loop: ExchangeLoop | undefined;
  #progress: ModelProgress = { age: 0 };
  /** Checkpoints in a row that could not be written. */
  #failedSaves = 0;
  /** Lives of a learner that failed in a row. */
  #failures = 0;
  #running: Promise<void> = Promise.resolve();

  constructor(model: CharterModel, partition: PartitionSlot, parts: ModelTaskParts) {
    this.model = model;
    this.#partition = partition;
    this.#parts = parts;
    this.#checkpoints = parts.checkpoints(model);
    this.#log = parts.log.child({ model: model.name });
  }

  get progress(): ModelProgress {
    return this.#progress;
  }

  /** The learner while the model is loaded. */
  get learner(): Learner | undefined {
    return this.#learner;
  }

  get origin(): Origin | undefined {
    return this.#origin;
  }

  get partition(): PartitionSlot {
    return this.#partition;
  }

  start(): void {
    this.#running = this.#run(this.#stop.signal);
  }

  /** Takes another part of the data, because the network has other validators now. Never rejects. */
  async repartition(partition: PartitionSlot): Promise<void> {
    if (isSame(partition, this.#partition)) return;
    this.#partition = partition;
    if (this.#learner !== undefined) await this.#takePart(this.#learner);
  }

  /** Has the learner train on the rows of users as they are now. Never rejects. */
  async lendAgain(): Promise<void> {
    if (this.#learner !== undefined) await this.#lend(this.#learner);
  }

  /** A neighbour's model; it is merged in the next round. */
  receive(from: string, message: Uint8Array): void {
    this.#loop?.receive(from, message);
  }

  /** Stops learning and saves what was learned. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#learn(signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#report(error);
        const wait = Math.min(RETRY_MILLISECONDS * 2 ** this.#failures, RETRY_MAX_MILLISECONDS);
        this.#failures += 1;
        await this.#parts.sleep(wait, signal).catch(() => undefined);
      }
    }
    this.#parts.problems.clear(this.#checkpointPlace);
  }

  /** One life of a learner; rejects when the data or the worker fail. */
  async #learn(signal: AbortSignal): Promise<void> {
    const { parts, model } = { parts: this.#parts, model: this.model };
    const loaded = await parts.loadData(model, signal);
    const slot = this.#partition;
    const beginning = {
      ...parts,
      log: this.#log,
      resume: () => this.#checkpoints.load(),
      onUnusable: (error: CheckpointsUnusableError) => this.#beginAnew(error),
    };
    const waking = wakeLearner(model, slot, loaded, beginning, signal);
    const { learner, resumed } = await waking.finally(() => loaded.release?.());
    const life = new AbortController();
    const end = AbortSignal.any([signal, life.signal]);
    try {
      const from = { age: resumed ?? 0, backend: learner.backend, part: `${slot.index + 1} of ${slot.of}` };
      this.#progress = { ...this.#progress, problem: undefined, age: from.age, backend: learner.backend };
      this.#log.info(from, resumed === undefined ? 'begins to learn' : 'goes on learning from its checkpoint');
      const certified = await parts.catchUp(model, from.age, end);
      this.#origin = await takeOver(learner, resumed, certified, this.#log);
      this.#progress = { ...this.#progress, age: this.#origin.age };
      const loop = this.#makeLoop(learner);
      this.#learner = learner;
      this.#loop = loop;
      this.#failures = 0;
      if (this.#parts.users?.rows(model.uid) !== undefined) await this.#lend(learner);
      if (!isSame(slot, this.#partition)) await this.#takePart(learner); // the fleet changed while it was loaded
      await Promise.race([
        loop.run(end).catch((error: unknown) => this.#giveUpLent(error)),
        this.#every(EVALUATE_MILLISECONDS, end, () => this.#evaluate(learner)),
        this.#keepSaving(learner, model.spec.learning.checkpointSeconds * second, end),
      ]);
    } finally {
      life.abort();
      this.#loop = undefined;
      this.#learner = undefined;
      if (signal.aborted) await this.#checkpoint(learner).catch((error: unknown) => this.#report(error));
      await learner.close();
    }
  }

  async #lend(learner: Learner): Promise<void> {
    const { users } = this.#parts;
    try {
      await learner.lend(users?.rows(this.model.uid));
    } catch (error) {
      if (error instanceof LearnerStoppedError) return; // its successor is lent them
      this.#log.warn({ err: error }, 'rows of users do not fit the model (any more): gives them up');
      await users?.spoiled(this.model.uid);
      if (!(error instanceof BadInputError)) this.#report(error);
    }
  }

  /** Training that diverges while users' rows are in it may do so because of them: it is tried without. */
  async #giveUpLent(error: unknown): Promise<never> {
    const { users } = this.#parts;
    if (error instanceof ModelError && users?.rows(this.model.uid) !== undefined) {
      this.#log.warn({ err: error }, 'training failed with rows of users: gives them up');
      await users.spoiled(this.model.uid);
    }
    throw error;
  }

  async #takePart(learner: Learner): Promise<void> {
    try {
      await learner.repartition(this.#partition);
      this.#log.info({ ...this.#partition }, 'takes another part of the data');
    } catch (error) {
      // A dead learner's successor begins with the new part.
      if (!(error instanceof LearnerStoppedError)) this.#report(error);
    }
  }

  #makeLoop(learner: Learner): ExchangeLoop {
    const { self, members, neighbours, trust, random, sleep, monotonic, now, send, judged, aged, metrics } =
      this.#parts;
    const model = this.model.name;
    const { learning } = this.model.spec;
    const { waitMilliseconds, tokens } = learning;
    return new ExchangeLoop({
      learner,
      routing: createRouting(learning, { self, uid: this.model.uid, random, waitMilliseconds }),
      pace: tokens === undefined ? STEADY : new TokenAccount(tokens, random),
      waitMilliseconds,
      rests: () => this.#parts.rests?.(this.model.uid) ?? false,
      members,
      neighbours,
      trust,
      random,
      sleep,
      monotonic,
      now,
      send: (peer, message, signal) => send(peer, this.model, message, signal),
      on: {
        sent: (peer, bytes, error) => {
          metrics.exchanges.inc({ model, direction: 'out', outcome: error === undefined ? 'ok' : 'failed' });
          metrics.exchangeBytes.inc({ model, direction: 'out' }, bytes);
          if (error !== undefined) this.#log.debug({ peer, err: error }, 'a neighbour did not take the model');
        },
        merged: (peer, bytes, outcome) => {
          metrics.exchanges.inc({ model, direction: 'in', outcome: outcome.accepted ? 'ok' : 'refused' });
          metrics.exchangeBytes.inc({ model, direction: 'in' }, bytes);
          // Also what was refused for its loss: that is what a bad name comes from.
          if (!Number.isNaN(outcome.lossBefore)) judged(peer, outcome.lossBefore, outcome.lossAfter);
          if (!outcome.accepted) {
            this.#log.warn({ peer, reason: outcome.reason }, "refuses a neighbour's model");
            return;
          }
          const before = this.#progress.divergence ?? outcome.distance;
          this.#progress = {
            ...this.#progress,
            age: outcome.age,
            divergence: before + DIVERGENCE_WEIGHT * (outcome.distance - before),
          };
        },
        updated: ({ age, milliseconds }) => {
          this.#progress = { ...this.#progress, age };
          metrics.updateSeconds.observe({ model }, milliseconds / second);
          aged(this);
        },
      },
    });
  }

  async #every(milliseconds: number, signal: AbortSignal, act: () => Promise<void>): Promise<void> {
    while (!signal.aborted) {
      await this.#parts.sleep(milliseconds, signal).catch(() => undefined);
      if (!signal.aborted) await act();
    }
  }

  async #evaluate(learner: Learner): Promise<void> {
    const { loss, accuracy } = await learner.evaluate();
    this.#progress = { ...this.#progress, loss, accuracy };
  }

  async #keepSaving(learner: Learner, milliseconds: number, signal: AbortSignal): Promise<void> {
    let wait = milliseconds;
    while (!signal.aborted) {
      await this.#parts.sleep(wait, signal).catch(() => undefined);
      if (signal.aborted) return;
      wait = (await this.#checkpoint(learner)) ? milliseconds : Math.min(milliseconds, SAVE_AGAIN_MILLISECONDS);
    }
  }

  /** Gives whether it was saved. A disk that fails does not end learning: it becomes a problem that people see. */
  async #checkpoint(learner: Learner): Promise<boolean> {
    const snapshot = await learner.snapshot();
    const outcome = await this.#checkpoints.save(snapshot).then(
      () => 'saved' as const,
      (error: unknown) => ({ error }),
    );
    if (outcome === 'saved') this.#saved(snapshot.age);
    else this.#notSaved(snapshot.age, outcome.error);
    const isSaved = outcome === 'saved';
    this.#parts.metrics.checkpoints.inc({ model: this.model.name, outcome: isSaved ? 'saved' : 'failed' });
    return isSaved;
  }

  #saved(age: number): void {
    if (this.#failedSaves > 0) this.#log.info({ age, failed: this.#failedSaves }, 'saves checkpoints again');
    this.#failedSaves = 0;
    this.#parts.problems.clear(this.#checkpointPlace);
  }

  #notSaved(age: number, error: unknown): void {
    if (this.#failedSaves === 0)
      this.#log.error({ age, err: error }, 'cannot save a checkpoint: learns on, and tries again');
    this.#failedSaves += 1;
    const why = error instanceof Error ? error.message : String(error);
    const reason = isVolumeFull(error) ? REASONS.VolumeFull : REASONS.CheckpointFailed;
    const message = isVolumeFull(error) ? why : `The checkpoint of model ${this.model.name} cannot be written: ${why}`;
    this.#parts.problems.set(this.#checkpointPlace, { reason, message: message.slice(0, 500) });
  }

  #beginAnew(error: CheckpointsUnusableError): void {
    this.#log.error({ err: error }, 'no checkpoint can be used: goes on from what the network knows');
    const message = `${error.message} Model ${this.model.name} goes on from what the network knows.`.slice(0, 500);
    this.#parts.problems.set(this.#checkpointPlace, { reason: REASONS.CheckpointUnusable, message });
  }

  get #checkpointPlace(): string {
    return `checkpoint/${this.model.uid}`;
  }

  #report(error: unknown): void {
    if (error instanceof DataError) {
      this.#problem({ reason: error.reason, message: error.message });
    } else if (error instanceof ModelError) {
      this.#problem({ reason: 'ArchitectureInvalid', message: error.message });
    } else if (error instanceof LearnerStoppedError) {
      this.#log.error({ err: error }, 'the training worker ended; starts it again from the last checkpoint');
    } else {
      this.#log.error({ err: error }, 'learning stopped; tries again');
    }
  }

  #problem(problem: ProblemReport): void {
    if (this.#progress.problem?.message !== problem.message)
      this.#log.error({ reason: problem.reason }, problem.message);
    this.#progress = { ...this.#progress, problem: { reason: problem.reason, message: problem.message.slice(0, 500) } };
  }
}

const isSame = (a: PartitionSlot, b: PartitionSlot): boolean => a.index === b.index && a.of === b.of;
