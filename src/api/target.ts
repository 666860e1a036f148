import type { Target } from './model-learning.ts';

/** So far below the target an accuracy is clearly short of it. Share of one */
const ACCURACY_SLACK = 0.01;
/** So far above the target a loss is clearly short of it. Share of the target */
const LOSS_SLACK = 0.05;
/** For so long must somebody be clearly short of a target before it counts as lost. ms */
export const SHORT_FOR_MS = 30_000;

/** What was measured; null or undefined: not measured, or not heard of. */
type Measured = number | null | undefined;

/** Where a model stands: what is to be kept from one judgement to the next. */
export interface Standing {
  /** The target counts as reached. */
  readonly reached: boolean;
  /** Reached, and since then a validator was clearly short of it without a break. Unix ms, or any clock */
  readonly shortSince?: number;
}

/** Whether a value is what the target asks for. */
export const meets = ({ metric, value }: Target, measured: Measured): boolean =>
  typeof measured === 'number' && (metric === 'accuracy' ? measured >= Number(value) : measured <= Number(value));

/** Whether a value is so far from the target that it is no matter of chance. What is not known is not. */
export function isClearlyShort({ metric, value }: Target, measured: Measured): boolean {
  if (typeof measured !== 'number') return false;
  const bound = Number(value);
  return metric === 'accuracy' ? measured < bound - ACCURACY_SLACK : measured > bound * (1 + LOSS_SLACK);
}

/**
 * Whether a target counts as reached, with hysteresis: it does from the moment at which all validators meet it, and no
 * longer when one of them has been clearly short of it for {@link SHORT_FOR_MS}. Values that hover about the target, and
 * validators that are silent for a while, change nothing.
 * @param before what the last judgement said of the same target
 * @param values of all validators that count
 * @param now on the clock that `shortSince` is on
 */
export function judgeTarget(
  target: Target,
  before: Standing | undefined,
  values: readonly Measured[],
  now: number,
): Standing {
  if (before?.reached !== true) return { reached: values.length > 0 && values.every((value) => meets(target, value)) };
  if (!values.some((value) => isClearlyShort(target, value))) return { reached: true };
  // A clock that was set back starts the wait anew.
  const since = Math.min(before.shortSince ?? now, now);
  return now - since < SHORT_FOR_MS ? { reached: true, shortSince: since } : { reached: false };
}
