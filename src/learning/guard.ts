import { ProbeGate } from './gate.ts';
import type { Trainee } from './trainee.ts';

/** Distances that are remembered. */
const MEMORY = 64;
/** Before so many were seen, nothing is clipped. */
const ENOUGH = 16;
/** The ball's radius is this quantile of past distances. */
const QUANTILE = 0.3;

/**
 * The radius of the ball around one's own weights that a received model is drawn into. The radius follows what
 * neighbours send, so nobody has to guess it: honest models differ little from each other, and who wants to do harm
 * must stand out.
 */
export class Ball {
  readonly #distances: number[] = [];

  /**
   * @param isNeighbours whether it is a neighbour's, which the radius follows
   * @returns 0..1: how far to go towards a model at this distance
   */
  clip(distance: number, isNeighbours = true): number {
    const past = this.#distances;
    const radius = past.length < ENOUGH ? distance : quantile(past, QUANTILE);
    if (isNeighbours) past.push(distance);
    if (past.length > MEMORY) past.shift();
    return distance <= radius ? 1 : radius / distance;
  }
}

/** What the guard found out about a received model. */
export interface Judgement {
  /** ||own - received|| / ||own|| */
  readonly distance: number;
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** 0..1: how far to go towards it. */
  readonly force: number;
  /** Why it must not be merged; absent where it may. */
  readonly reason?: string;
}

/** How strict a guard is. */
export interface GuardTerms {
  /** Whether models far away are drawn nearer. */
  readonly clips: boolean;
  /** Whether all learn from data of the same kind, so that honest models lie close together. */
  readonly alike: boolean;
}

/**
 * Stands between received models and one's own: first the shared probe says whether a model is good enough, then the
 * ball limits how far it may move one's own, then its sender's good name weighs it.
 */
export class Guard {
  readonly #judged: Pick<Trainee, 'probe' | 'guessing'>;
  readonly #gate: ProbeGate;
  readonly #ball: Ball | undefined;

  constructor(judged: Pick<Trainee, 'probe' | 'guessing'>, { clips, alike }: GuardTerms) {
    this.#judged = judged;
    this.#gate = new ProbeGate(judged.guessing, alike);
    this.#ball = clips ? new Ball() : undefined;
  }

  /**
   * @param share of the received model in the merged one
   * @param isWhole whether it is taken over as it is, and hence not clipped
   * @param trust 0..1: what is held of the sender
   * @param isNeighbours whether it is a neighbour's: those to come are held against it
   */
  judge(
    own: Float32Array,
    received: Float32Array,
    share: number,
    isWhole: boolean,
    trust: number,
    isNeighbours = true,
  ): Judgement {
    const { apart, length } = distanceOf(own, received);
    const distance = apart === 0 ? 0 : apart / length;
    const lossBefore = this.#judged.probe(own);
    const lossAfter = this.#judged.probe(received);
    const limit = this.#gate.limit(lossBefore, share, isNeighbours);
    if (isNeighbours) this.#gate.remember(lossAfter, share);
    // NaN and Infinity are above every limit.
    if (!(lossAfter <= limit)) {
      const found = `its loss on the shared probe is ${lossAfter.toPrecision(3)}, the limit is ${limit.toPrecision(3)}`;
      return { distance, lossBefore, lossAfter, force: 0, reason: found };
    }
    const clipped = isWhole || this.#ball === undefined ? 1 : this.#ball.clip(apart, isNeighbours);
    return { distance, lossBefore, lossAfter, force: isWhole ? 1 : clipped * trust };
  }
}

function distanceOf(own: Float32Array, received: Float32Array): { readonly apart: number; readonly length: number } {
  let apart = 0;
  let length = 0;
  for (let i = 0; i < own.length; i++) {
    const w = own[i] as number;
    apart += (w - (received[i] as number)) ** 2;
    length += w * w;
  }
  return { apart: Math.sqrt(apart), length: Math.sqrt(length) };
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(q * (sorted.length - 1))] ?? 0;
}
