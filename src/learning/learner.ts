import { Worker } from 'node:worker_threads';
import type { BackendName, Learner, LearnerInit, LearnerLog, ModelInput } from './contract.ts';
import { LearnerStoppedError } from './errors.ts';
import {
  type Arguments,
  fromWire,
  type Operation,
  type Report,
  type Request,
  type Result,
  type WorkerInit,
} from './protocol.ts';

const second = 1000;
/** A call waits for those before it; a minute is far beyond any honest queue. */
const DEFAULT_DEADLINE_MILLISECONDS = 60 * second;
/** Loading TensorFlow and a large table on a busy core. */
const START_DEADLINE_MILLISECONDS = 180 * second;
/** A young generation of this size keeps a pod's memory near 150 MiB; tables and weights lie outside the heap. */
const WORKER_LIMITS = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 256 } as const;

interface Pending {
  readonly operation: Operation;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Starts the training worker of one model. The caller awaits `ready` and, in the end, `close`. */
export function createLearner(init: LearnerInit): Learner {
  return new WorkerLearner(init);
}

class WorkerLearner implements Learner {
  readonly #worker: Worker;
  readonly #name: string;
  readonly #log: LearnerLog;
  readonly #deadline: number;
  readonly #pending = new Map<number, Pending>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #startTimer: NodeJS.Timeout;
  #backend: BackendName = 'cpu';
  #maxMessageBytes = 0;
  #input: ModelInput | undefined;
  #isReady = false;
  #nextId = 0;
  /** Why no call can be done any more. */
  #stopped: Error | undefined;

  constructor(init: LearnerInit) {
    const { log, deadlineMilliseconds, ...rest } = init;
    this.#name = init.model.name;
    this.#log = log;
    this.#deadline = deadlineMilliseconds ?? DEFAULT_DEADLINE_MILLISECONDS;
    // A rejection that nobody awaits yet must not end the process; ready() hands it on.
    this.#ready.promise.catch(() => undefined);
    // From source under Node's type stripping, or compiled: the worker lies beside this file, with its extension.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
      workerData: rest satisfies WorkerInit,
      resourceLimits: WORKER_LIMITS,
      // Flags of the process (a test runner's loaders) are not for the worker.
      execArgv: [],
      name: `learner ${init.model.name}`,
    });
    this.#worker.on('message', (report: Report) => this.#hear(report));
    this.#worker.on('error', (error) => this.#stop(`crashed: ${error.message}`, error));
    this.#worker.on('exit', (code) => this.#stop(`ended with code ${code}`));
    this.#startTimer = setTimeout(() => this.#kill('did not start in time'), START_DEADLINE_MILLISECONDS);
  }

  get backend(): BackendName {
    return this.#backend;
  }

  get maxMessageBytes(): number {
    return this.#maxMessageBytes;
  }

  get input(): ModelInput | undefined {
    return this.#input;
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  update(): Promise<Result<'update'>> {
    return this.#call('update', []);
  }

  message(...given: Arguments<'message'>): Promise<Result<'message'>> {
    return this.#call('message', given);
  }

  merge(...given: Arguments<'merge'>): Promise<Result<'merge'>> {
    return this.#call('merge', given);
  }

  frame(): Promise<Result<'frame'>> {
    return this.#call('frame', []);
  }

  blend(...given: Arguments<'blend'>): Promise<Result<'blend'>> {
    return this.#call('blend', given);
  }

  adopt(...given: Arguments<'adopt'>): Promise<void> {
    return this.#call('adopt', given);
  }

  evaluate(): Promise<Result<'evaluate'>> {
    return this.#call('evaluate', []);
  }

  snapshot(): Promise<Result<'snapshot'>> {
    return this.#call('snapshot', []);
  }

  load(...given: Arguments<'load'>): Promise<void> {
    return this.#call('load', given);
  }

  score(...given: Arguments<'score'>): Promise<Result<'score'>> {
    return this.#call('score', given);
  }

  predict(...given: Arguments<'predict'>): Promise<number[][]> {
    return this.#call('predict', given);
  }

  repartition(...given: Arguments<'repartition'>): Promise<void> {
    return this.#call('repartition', given);
  }

  lend(...given: Arguments<'lend'>): Promise<void> {
    return this.#call('lend', given);
  }

  async close(): Promise<void> {
    this.#stop('was closed');
    await this.#worker.terminate();
  }

  #call<O extends Operation>(operation: O, given: Arguments<O>): Promise<Result<O>> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    const id = this.#nextId++;
    return new Promise<Result<O>>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#kill(`did not answer ${operation} within ${this.#deadline / second} s`),
        this.#deadline + (this.#isReady ? 0 : START_DEADLINE_MILLISECONDS),
      );
      this.#pending.set(id, { operation, resolve: resolve as (result: unknown) => void, reject, timer });
      try {
        this.#worker.postMessage({ id, operation, arguments: given } as Request);
      } catch (error) {
        // Values that cannot be cloned, such as functions in instances.
        this.#settle(id)?.reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  #hear(report: Report): void {
    switch (report.kind) {
      case 'ready':
        clearTimeout(this.#startTimer);
        this.#backend = report.backend;
        this.#maxMessageBytes = report.maxMessageBytes;
        this.#input = report.input;
        this.#isReady = true;
        this.#ready.resolve();
        return;
      case 'unready':
        this.#end(fromWire(report.error));
        return;
      case 'log':
        this.#log(...report.entry);
        return;
      case 'done':
        this.#settle(report.id)?.resolve(report.result);
        return;
      case 'failed':
        this.#settle(report.id)?.reject(fromWire(report.error));
        return;
    }
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending !== undefined) clearTimeout(pending.timer);
    this.#pending.delete(id);
    return pending;
  }

  #kill(what: string): void {
    this.#stop(what);
    void this.#worker.terminate();
  }

  #stop(what: string, cause?: Error): void {
    this.#end(
      new LearnerStoppedError(`The training worker of model ${this.#name} ${what}. Make a new learner to go on.`, {
        cause,
      }),
    );
  }

  /** The first reason counts; what comes after (an exit after a crash) says less. */
  #end(error: Error): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = error;
    clearTimeout(this.#startTimer);
    this.#ready.reject(error);
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(error);
  }
}
