import { z } from 'zod';

/** How a model did here at one moment; null: not known. */
export interface CurvePoint {
  /** Unix ms. */
  readonly at: number;
  /** Age of the model. */
  readonly updates: number;
  readonly loss: number | null;
  readonly accuracy: number | null;
  readonly divergence: number | null;
}

/** Most points that are kept. */
export const CURVE_POINTS = 256;
/** Points are at least so far apart; twice as far each time the curve is full. ms */
const FIRST_STEP_MS = 2_000;

const measured = z.number().nullable();
const stored = z.strictObject({
  v: z.literal(1),
  step: z.int().min(FIRST_STEP_MS),
  /** [at, updates, loss, accuracy, divergence] */
  points: z.array(z.tuple([z.int().min(0), z.int().min(0), measured, measured, measured])).max(CURVE_POINTS + 1),
});

/**
 * The learning curve of one model in bounded memory: when it is full every other point goes, and points are kept half as
 * often from then on. So it reaches from the first update to now, as fine as there is room for.
 */
export class LearningCurve {
  #points: CurvePoint[] = [];
  #step = FIRST_STEP_MS;
  /** The newest, which is not kept as long as the one before it is too near. */
  #newest: CurvePoint | undefined;

  add(point: CurvePoint): void {
    const last = this.#points.at(-1);
    this.#newest = undefined;
    if (last !== undefined && point.at >= last.at && point.at - last.at < this.#step) {
      this.#newest = point;
      return;
    }
    // A clock that was set back: the points before stay where they were, this one goes where it belongs.
    const later = last === undefined || point.at >= last.at ? -1 : this.#points.findIndex(({ at }) => at > point.at);
    if (later < 0) this.#points.push(point);
    else this.#points.splice(later, 0, point);
    if (this.#points.length <= CURVE_POINTS) return;
    this.#points = this.#points.filter((_, index) => index % 2 === 0);
    this.#step *= 2;
  }

  /** In the order of time, the newest included. */
  get points(): readonly CurvePoint[] {
    return this.#newest === undefined ? this.#points : [...this.#points, this.#newest];
  }

  encode(): Uint8Array {
    const points = this.points.map(({ at, updates, loss, accuracy, divergence }) => {
      return [at, updates, loss, accuracy, divergence] as const;
    });
    return Buffer.from(JSON.stringify({ v: 1, step: this.#step, points }));
  }

  /** @throws ZodError or SyntaxError where the bytes are no curve */
  static decode(bytes: Uint8Array): LearningCurve {
    const { step, points } = stored.parse(JSON.parse(Buffer.from(bytes).toString()));
    const curve = new LearningCurve();
    curve.#points = points.map(([at, updates, loss, accuracy, divergence]) => {
      return { at, updates, loss, accuracy, divergence };
    });
    curve.#step = step;
    return curve;
  }
}
