import { type Disk, readIfThere, realDisk, replaceFile } from '../disk/index.ts';
import { type CurvePoint, LearningCurve } from './curve.ts';
import type { ModelTask } from './model-task.ts';

/** A larger file is none of ours. */
const MAX_BYTES = 256 * 1024;

interface Kept {
  readonly curve: LearningCurve;
  isSaved: boolean;
}

export interface CurvesParts {
  /** File of a model's curve, beside its checkpoints. */
  readonly file: (uid: string) => string;
  readonly tasks: () => readonly Pick<ModelTask, 'model' | 'progress' | 'learner'>[];
  /** Unix ms. */
  readonly now: () => number;
  /** A file that cannot be read is left out, and replaced at the next save. */
  readonly onUnreadable: (file: string, error: unknown) => void;
  readonly disk?: Disk;
}

/** Learning curves of the models that are learned here: watched, saved, and read again after a restart. */
export class Curves {
  readonly #parts: CurvesParts;
  readonly #disk: Disk;
  readonly #kept = new Map<string, Kept>();

  constructor(parts: CurvesParts) {
    this.#parts = parts;
    this.#disk = parts.disk ?? realDisk;
  }

  /** Of a model that is learned here; empty before its first measurement. @param name of the Model */
  of(name: string): { readonly uid: string; readonly points: readonly CurvePoint[] } | undefined {
    const task = this.#parts.tasks().find(({ model }) => model.name === name);
    if (task === undefined) return undefined;
    const { uid } = task.model;
    return { uid, points: this.#kept.get(uid)?.curve.points ?? [] };
  }

  /** Takes a point of each model that has learned since the last look; forgets models that are no longer learned here. */
  async look(): Promise<void> {
    const tasks = this.#parts.tasks();
    const uids = new Set(tasks.map(({ model }) => model.uid));
    for (const uid of this.#kept.keys()) if (!uids.has(uid)) this.#kept.delete(uid);
    for (const { model, progress, learner } of tasks) {
      if (learner === undefined || (progress.loss === undefined && progress.accuracy === undefined)) continue;
      const kept = this.#kept.get(model.uid) ?? (await this.#open(model.uid));
      this.#kept.set(model.uid, kept);
      const point = {
        at: this.#parts.now(),
        updates: progress.age,
        loss: known(progress.loss),
        accuracy: known(progress.accuracy),
        divergence: known(progress.divergence),
      };
      if (isSame(kept.curve.points.at(-1), point)) continue;
      kept.curve.add(point);
      kept.isSaved = false;
    }
  }

  /** Saves what is new, durably. @throws VolumeFullError, or the disk's error; what was saved before stays */
  async save(): Promise<void> {
    for (const [uid, kept] of this.#kept) {
      if (kept.isSaved) continue;
      kept.isSaved = true;
      try {
        await replaceFile(this.#disk, this.#parts.file(uid), kept.curve.encode());
      } catch (error) {
        kept.isSaved = false;
        throw error;
      }
    }
  }

  async #open(uid: string): Promise<Kept> {
    const file = this.#parts.file(uid);
    try {
      const bytes = await readIfThere(this.#disk, file);
      if (bytes === undefined) return { curve: new LearningCurve(), isSaved: false };
      if (bytes.byteLength > MAX_BYTES) throw new Error(`it has ${bytes.byteLength} bytes, the limit is ${MAX_BYTES}`);
      return { curve: LearningCurve.decode(bytes), isSaved: true };
    } catch (error) {
      this.#parts.onUnreadable(file, error);
      return { curve: new LearningCurve(), isSaved: false };
    }
  }
}

const known = (value: number | undefined): number | null =>
  value !== undefined && Number.isFinite(value) ? value : null;

const isSame = (a: CurvePoint | undefined, b: CurvePoint): boolean =>
  a !== undefined &&
  a.updates === b.updates &&
  a.loss === b.loss &&
  a.accuracy === b.accuracy &&
  a.divergence === b.divergence;
