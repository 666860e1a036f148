import type { Logger } from 'pino';
import type { PartitionSlot } from '../learning/index.ts';
import type { CharterModel } from '../overlay/index.ts';
import type { ModelTask } from './model-task.ts';

/** The models that the charter asks for, each as a running task; changes are carried out one after another. */
export class ModelTasks {
  readonly #make: (model: CharterModel, slot: PartitionSlot) => ModelTask;
  readonly #log: Logger;
  readonly #tasks = new Map<string, ModelTask>();
  #queue: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(make: (model: CharterModel, slot: PartitionSlot) => ModelTask, log: Logger) {
    this.#make = make;
    this.#log = log;
  }

  get(uid: string): ModelTask | undefined {
    return this.#tasks.get(uid);
  }

  list(): readonly ModelTask[] {
    return [...this.#tasks.values()];
  }

  /** Starts, restarts (where the spec changed) and stops tasks until they are those of the charter. */
  follow(models: readonly CharterModel[], slot: PartitionSlot): Promise<void> {
    this.#queue = this.#queue
      .then(() => this.#follow(models, slot))
      .catch((error: unknown) => this.#log.error({ err: error }, 'could not follow the charter to its end'));
    return this.#queue;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#queue;
    await Promise.all(this.list().map((task) => task.stop()));
  }

  async #follow(models: readonly CharterModel[], slot: PartitionSlot): Promise<void> {
    const wanted = new Map(models.map((model) => [model.uid, model]));
    for (const [uid, task] of this.#tasks) {
      const model = wanted.get(uid);
      if (model?.generation === task.model.generation) {
        await task.repartition(slot);
        continue;
      }
      await task.stop();
      this.#tasks.delete(uid);
      this.#log.info(
        { model: task.model.name },
        model === undefined ? 'learns a model no longer' : 'takes a changed spec',
      );
    }
    for (const [uid, model] of wanted) {
      if (this.#stopped || this.#tasks.has(uid)) continue;
      const task = this.#make(model, slot);
      this.#tasks.set(uid, task);
      task.start();
    }
  }
}
