import type { Target } from '../../api/index.ts';

/** What was measured at one moment. */
export interface Point {
  /** Unix ms. */
  readonly at: number;
  readonly value: number;
}

/** Most points of a curve. An estimate compares each with each. */
const POINTS = 64;
/** Points are at least so far apart; twice as far each time the curve is full. ms */
const FIRST_STEP_MS = 2_000;
/** Curves of models that are kept at most. */
const CURVES = 1_000;

/** A curve in bounded memory: when it is full every other point goes, and points are taken half as often. */
class Curve {
  #points: Point[] = [];
  #step = FIRST_STEP_MS;

  add(point: Point): void {
    const last = this.#points.at(-1);
    // A clock that was set back, or an operator's word from before: what was is of no use any more.
    if (last !== undefined && point.at < last.at) this.#points = [];
    else if (last !== undefined && point.at - last.at < this.#step) return;
    this.#points.push(point);
    if (this.#points.length <= POINTS) return;
    this.#points = this.#points.filter((_, index) => index % 2 === 0);
    this.#step *= 2;
  }

  get points(): readonly Point[] {
    return this.#points;
  }
}

/** How the value furthest from the target moved, model by model, since this operator leads. */
export class Curves {
  readonly #curves = new Map<string, Curve>();

  /** Takes a point, where there is one, and gives what there is. @param uid of the Model */
  note(uid: string, { metric, value }: Target, point: Point | undefined): readonly Point[] {
    const key = `${uid} ${metric} ${value}`;
    const curve = this.#curves.get(key) ?? new Curve();
    this.#curves.delete(key);
    this.#curves.set(key, curve);
    if (point !== undefined) curve.add(point);
    for (const oldest of this.#curves.keys()) {
      if (this.#curves.size <= CURVES) break;
      this.#curves.delete(oldest);
    }
    return curve.points;
  }
}

/** Fewer points, or a shorter time, show nothing. */
const LEAST_POINTS = 8;
const LEAST_MS = 15_000;
/** The beginning of learning says little of its end: so much of the time is looked at, from now back. */
const RECENT_SHARE = 0.75;
/** So many of all pairs of points must show progress. */
const TREND_SHARE = 0.75;
/** No estimate reaches further than so many times the time that was seen. */
const HORIZON = 5;

/**
 * Time until a target will be reached, ms; undefined where the curve shows no trend, or none that gets there in a time
 * that can be foreseen. Errors of learners fall as a power of time (Hestness et al. 2017): a line through the logarithms
 * of error and time, with the median of all slopes (Theil and Sen), which a few wild points do not turn.
 * @param started when learning began. Unix ms
 * @param now unix ms
 */
export function timeLeft(curve: readonly Point[], target: Target, started: number, now: number): number | undefined {
  const wanted = Math.log(errorOf(target, Number(target.value)));
  const from = now - (now - started) * RECENT_SHARE;
  const points = curve
    .filter(({ at }) => at >= from && at > started && at <= now)
    .map(({ at, value }) => ({ x: Math.log(at - started), y: Math.log(errorOf(target, value)), at }))
    .filter(({ y }) => Number.isFinite(y));
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || !Number.isFinite(wanted)) return undefined;
  if (points.length < LEAST_POINTS || last.at - first.at < LEAST_MS) return undefined;
  const slopes = points.flatMap((one, index) =>
    points.slice(index + 1).flatMap((other) => (other.x > one.x ? [(other.y - one.y) / (other.x - one.x)] : [])),
  );
  if (slopes.filter((slope) => slope < 0).length < TREND_SHARE * slopes.length) return undefined;
  const slope = median(slopes);
  const height = median(points.map(({ x, y }) => y - slope * x));
  const left = started + Math.exp((wanted - height) / slope) - now;
  return Number.isFinite(left) && left > 0 && left <= HORIZON * (last.at - first.at) ? left : undefined;
}

/** What learning brings down to zero. */
const errorOf = ({ metric }: Target, value: number): number => (metric === 'accuracy' ? 1 - value : value);

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [a = Number.NaN, b = Number.NaN] = [sorted[middle], sorted[middle - 1]];
  return sorted.length % 2 === 1 ? a : (a + b) / 2;
}
