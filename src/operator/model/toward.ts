import { durationText, judgeTarget, type ModelStatus, type Standing, type Target } from '../../api/index.ts';
import type { Model } from '../kinds.ts';
import { type Point, timeLeft } from './curve.ts';

/** What of a status tells how learning goes toward its target. */
export type Toward = Pick<ModelStatus, 'startedAt' | 'target'>;

type TargetStatus = NonNullable<ModelStatus['target']>;

const rfc3339 = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

/**
 * When the first update was heard of. A model that has learned before this was recorded has no beginning that is known.
 * @param age greatest that is heard of now
 */
export function startedAt(before: ModelStatus | undefined, age: number, now: number): Toward {
  if (before?.startedAt !== undefined) return { startedAt: before.startedAt };
  return age > 0 && (before?.updates ?? 0) === 0 ? { startedAt: rfc3339(now) } : {};
}

/** All that a judgement of the target is made from. */
export interface TowardWorld {
  readonly before: ModelStatus | undefined;
  readonly started: Toward;
  /** Of all validators that stay; undefined for one that is silent. */
  readonly values: readonly (number | null | undefined)[];
  readonly curve: readonly Point[];
  /** Unix ms. */
  readonly now: number;
}

/** Where the model stands. What was said of another target does not count. */
export function toward(target: Target, { before, started, values, curve, now }: TowardWorld): TargetStatus {
  const { metric, value } = target;
  const same = before?.target?.metric === metric && before.target.value === value ? before.target : undefined;
  const standing = judgeTarget(target, standingOf(same), values, now);
  const beginning = Date.parse(started.startedAt ?? '');
  const reachedAt = same?.reachedAt ?? (standing.reached ? rfc3339(now) : undefined);
  // From the text, so that it is the same however often it is worked out.
  const taken = same?.secondsTaken ?? secondsBetween(beginning, Date.parse(reachedAt ?? ''));
  const left = standing.reached ? undefined : roundSeconds(timeLeft(curve, target, beginning, now));
  const summary = summaryOf(standing.reached ? taken : undefined, left);
  return {
    metric,
    value,
    reached: standing.reached,
    ...(reachedAt === undefined ? {} : { reachedAt }),
    ...(taken === undefined ? {} : { secondsTaken: taken }),
    ...(left === undefined ? {} : { secondsLeft: left }),
    ...(standing.shortSince === undefined ? {} : { shortSince: rfc3339(standing.shortSince) }),
    ...(summary === undefined ? {} : { summary }),
  };
}

/** Whether the target counts as reached. */
export const reachedOf = (target: ModelStatus['target']): boolean => target?.reached === true;

/** Whether validators are to train no further for now. */
export const rests = ({ spec }: Pick<Model, 'spec'>, { target }: Toward): boolean =>
  spec.learning.stopAtTarget === true && reachedOf(target);

function standingOf(status: TargetStatus | undefined): Standing | undefined {
  if (status === undefined) return undefined;
  const shortSince = Date.parse(status.shortSince ?? '');
  return { reached: status.reached, ...(Number.isFinite(shortSince) ? { shortSince } : {}) };
}

const secondsBetween = (from: number, to: number): number | undefined =>
  Number.isFinite(to - from) && to >= from ? Math.round((to - from) / 1000) : undefined;

/** Two significant digits: it is an estimate, and should not flicker. */
const roundSeconds = (ms: number | undefined): number | undefined =>
  ms === undefined ? undefined : Math.max(1, Math.round(Number((ms / 1000).toPrecision(2))));

function summaryOf(taken: number | undefined, left: number | undefined): string | undefined {
  if (taken !== undefined) return durationText(taken * 1000);
  return left === undefined ? undefined : `about ${durationText(left * 1000)} left`;
}
