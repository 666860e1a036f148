import type { Logger } from 'pino';
import type { PartitionSlot } from '../learning/index.ts';
import type { CharterModel } from '../overlay/index.ts';
import type { ModelTask } from './model-task.ts';

/** What of a task matters here. */
type Task = Pick<ModelTask, 'model' | 'start' | 'stop' | 'repartition'>;

/**
 * The models that the charter asks for, each as a running task; changes are carried out one after another. Where
 * charters come faster than tasks stop, those in between are skipped: only the newest matters.
 */
export class ModelTasks<T extends Task = ModelTask> {
  readonly #make: (model: CharterModel, slot: PartitionSlot) => T;
  readonly #log: Logger;
  readonly #tasks = new Map<string, T>();
  #wanted: { readonly models: readonly CharterModel[]; readonly slot: PartitionSlot } | undefined;
  #queue: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(make: (model: CharterModel, slot: PartitionSlot) => T, log: Logger) {
    this.#make = make;
    this.#log = log;
  }

  get(uid: string): T | undefined {
    return this.#tasks.get(uid);
  }

  list(): readonly T[] {
    return [...this.#tasks.values()];
  }

  /** Starts, restarts (where the spec changed) and stops tasks until they are those of the charter. */
  follow(models: readonly CharterModel[], slot: PartitionSlot): Promise<void> {
    this.#wanted = { models, slot };
    this.#queue = this.#queue
      .then(() => this.#follow())
      .catch((error: unknown) => this.#log.error({ err: error }, 'could not follow the charter to its end'));
    return this.#queue;
  }

  /** Stops all tasks; what is asked for from now on is not done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#queue;
    await Promise.all(this.list().map((task) => task.stop()));
  }

  async #follow(): Promise<void> {
    if (this.#wanted === undefined || this.#stopped) return;
    const { models, slot } = this.#wanted;
    this.#wanted = undefined;
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
