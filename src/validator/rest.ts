import type { Logger } from 'pino';
import { judgeTarget, type Standing } from '../api/index.ts';
import type { CharterModel, Report } from '../overlay/index.ts';
import type { ModelTask } from './model-task.ts';

export interface RestParts {
  /** Own peer id. */
  readonly self: string;
  /** All validators, this one included. */
  readonly members: () => readonly string[];
  /** What another one said lately. */
  readonly report: (peer: string) => Pick<Report, 'models'> | undefined;
  readonly tasks: () => readonly Pick<ModelTask, 'model' | 'progress'>[];
  /** Age of the newest certified version of a model. */
  readonly certifiedAge: (uid: string) => number | undefined;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  readonly log: Logger;
}

/**
 * Which models are to be trained no further for now (`learning.stopAtTarget`): those whose target every validator of the
 * charter has reached, by what all report and by one's own measurement. A version that is no more than `everyAge` behind
 * must be certified, so that what was learned can be fetched. Each validator judges for itself; a member that lies can
 * keep the others at work, and can make nobody rest who is short of the target itself.
 */
export class Rest {
  readonly #parts: RestParts;
  readonly #standings = new Map<
    string,
    { readonly target: string; readonly standing: Standing; readonly isResting: boolean }
  >();

  constructor(parts: RestParts) {
    this.#parts = parts;
  }

  isResting(uid: string): boolean {
    return this.#standings.get(uid)?.isResting ?? false;
  }

  /** Judges all models anew. */
  look(): void {
    const { tasks, certifiedAge, monotonic, log } = this.#parts;
    const all = tasks();
    const uids = new Set(all.map(({ model }) => model.uid));
    for (const uid of this.#standings.keys()) if (!uids.has(uid)) this.#standings.delete(uid);
    for (const { model, progress } of all) {
      const { target, stopAtTarget } = model.spec.learning;
      if (target === undefined || stopAtTarget !== true) {
        this.#standings.delete(model.uid);
        continue;
      }
      const named = `${target.metric} ${target.value}`;
      const before = this.#standings.get(model.uid);
      const standing = judgeTarget(
        target,
        before?.target === named ? before.standing : undefined,
        this.#values(model, progress[target.metric], target.metric),
        monotonic(),
      );
      const certified = certifiedAge(model.uid);
      const isBehind = certified === undefined || progress.age >= certified + model.spec.versions.everyAge;
      const isResting = standing.reached && (!isBehind || before?.isResting === true);
      this.#standings.set(model.uid, { target: named, standing, isResting });
      if (isResting === (before?.isResting ?? false)) continue;
      log.info(
        { model: model.name, target: named, age: progress.age },
        isResting ? 'rests: the target is reached' : 'learns on',
      );
    }
  }

  #values(
    { uid }: CharterModel,
    own: number | undefined,
    metric: 'accuracy' | 'loss',
  ): readonly (number | null | undefined)[] {
    const { self, members, report } = this.#parts;
    return members().map((peer) =>
      peer === self ? own : report(peer)?.models.find((model) => model.uid === uid)?.[metric],
    );
  }
}
