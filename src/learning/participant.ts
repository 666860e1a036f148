import { RunningAverage } from './average.ts';
import { ErrorFeedback } from './compression.ts';
import type { BlendTerms, MergeOutcome, Sender } from './contract.ts';
import { ModelError } from './errors.ts';
import { decodeFrame, encodeFrame, type FramePacking, maxFrameBytes } from './frame.ts';
import type { Guard } from './guard.ts';
import { mergeInto, mergeShare } from './merge.ts';
import type { Own, Parcel, Strategy, Way } from './strategy.ts';
import type { Trainee } from './trainee.ts';

/** Share of a received model from which one's own past counts for nothing: a newcomer takes over the fleet's. */
const TAKEOVER_SHARE = 0.9;
const EQUAL: Sender = { relation: 'peer', trust: 1 };

export interface ParticipantParts {
  /** Uid of the Model: names messages. */
  readonly uid: string;
  readonly trainee: Trainee;
  /** First weights; equal on all validators. */
  readonly start: Float32Array;
  readonly strategy: Strategy;
  readonly packing: FramePacking;
  /** Stands between received models and one's own. */
  readonly guard: Pick<Guard, 'judge'>;
}

/**
 * One validator's part in learning one model together: trains, makes messages, takes in those of others. `own` weights
 * are trained, sent and merged; their running average is evaluated, served and saved (see average.ts). Every method is
 * synchronous, and nothing here knows what kind of model it is or what carries the bytes.
 */
export class Participant {
  readonly own: Own;
  readonly #parts: ParticipantParts;
  readonly #owed: ErrorFeedback;
  #average: RunningAverage;
  #loss = Number.NaN;

  constructor(parts: ParticipantParts) {
    const { start, strategy } = parts;
    this.#parts = parts;
    this.own = { flat: start.slice(), age: 0 };
    this.#owed = new ErrorFeedback(start.length);
    this.#average = new RunningAverage(start, false);
    strategy.reset(this.own);
  }

  /** The weights to be evaluated, served and saved. */
  get average(): Float32Array {
    return this.#average.flat;
  }

  get maxMessageBytes(): number {
    return maxFrameBytes(this.#parts.trainee.layout, this.#parts.strategy.models);
  }

  /** Takes over weights from outside. */
  load(flat: Float32Array, age: number): void {
    this.own.flat.set(flat);
    this.own.age = age;
    this.#average = new RunningAverage(flat, age > 0);
    this.#owed.clear();
    this.#parts.strategy.reset(this.own);
  }

  /** See Learner.update. @throws ModelError when training diverged; weights and age are then as before */
  update(): { readonly age: number; readonly loss: number } {
    const { strategy, trainee } = this.#parts;
    if (strategy.prepare(this.own)) {
      if (this.own.age > 0) this.#average.observe(this.own.flat);
      const { steps, loss } = trainee.train(this.own.flat, this.own.age);
      this.own.age += steps;
      this.#loss = loss;
      strategy.trained(this.own, steps);
    }
    return { age: this.own.age, loss: this.#loss };
  }

  /** See Learner.message. */
  message(way: Way = 'peer'): Uint8Array | undefined {
    const { uid, strategy, trainee, packing } = this.#parts;
    const parcel = strategy.outgoing(this.own, way);
    if (parcel === undefined) return undefined;
    const { change } = parcel;
    if (change === undefined) return encodeFrame(uid, parcel, trainee.layout, packing);
    const wanted = this.#owed.add(change);
    const bytes = encodeFrame(uid, { ...parcel, change: wanted }, trainee.layout, packing);
    const arrives = this.#decode(bytes);
    if (typeof arrives !== 'string' && arrives.change !== undefined) this.#owed.owe(wanted, arrives.change);
    return bytes;
  }

  /** See Learner.merge. */
  merge(bytes: Uint8Array, { relation, trust }: Sender = EQUAL): MergeOutcome {
    const parcel = this.#decode(bytes);
    if (typeof parcel === 'string') return this.#refused(parcel);
    const { strategy, guard } = this.#parts;
    const opened = strategy.open(this.own, parcel, relation);
    if (typeof opened === 'string') return this.#refused(`Message refused: ${opened}.`);
    const isWhole = opened.isWhole === true;
    const { force, reason, ...measured } = guard.judge(this.own.flat, opened.flat, opened.share, isWhole, trust);
    const isNews = parcel.age > this.own.age;
    if (reason !== undefined) {
      return { ...measured, age: this.own.age, accepted: false, isNews, reason: `Message refused: ${reason}.` };
    }
    strategy.merge(this.own, opened, force);
    if (opened.share * force >= TAKEOVER_SHARE) this.#average.restart(this.own.flat);
    return { ...measured, age: this.own.age, accepted: true, isNews };
  }

  /** See Learner.frame. */
  frame(): Uint8Array {
    const { uid, trainee, packing } = this.#parts;
    const { flat, age } = this.own;
    return encodeFrame(uid, { way: 'peer', age, weights: flat }, trainee.layout, packing);
  }

  /** See Learner.blend. */
  blend(bytes: Uint8Array, { maxShare }: BlendTerms): MergeOutcome {
    const given = this.#whole(bytes);
    if (typeof given === 'string') return this.#refused(given);
    const { flat, age } = this.own;
    const share = Math.min(maxShare, mergeShare({ kind: 'ageWeighted' }, age, given.age));
    const { force, reason, ...measured } = this.#parts.guard.judge(flat, given.flat, share, false, 1, false);
    const outcome = { ...measured, age, isNews: given.age > age };
    if (reason !== undefined) return { ...outcome, accepted: false, reason: `Message refused: ${reason}.` };
    mergeInto(flat, given.flat, share * force);
    return { ...outcome, accepted: true };
  }

  /** See Learner.adopt. @throws ModelError where the bytes are no frame of this model */
  adopt(bytes: Uint8Array): void {
    const given = this.#whole(bytes);
    if (typeof given === 'string') throw new ModelError(given);
    this.load(given.flat, given.age);
  }

  /** All weights and their age, as `frame` writes them. */
  #whole(bytes: Uint8Array): Readonly<Own> | string {
    const parcel = this.#decode(bytes);
    if (typeof parcel === 'string') return parcel;
    const { way, age, weights, change, part } = parcel;
    if (way !== 'peer' || weights === undefined || change !== undefined || part !== undefined) {
      return 'the frame does not hold all weights and nothing else';
    }
    return { flat: weights, age };
  }

  #decode(bytes: Uint8Array): Parcel | string {
    const { uid, trainee, strategy } = this.#parts;
    const decoded = decodeFrame(bytes, uid, trainee.layout, strategy.models);
    return decoded.isValid ? decoded.parcel : decoded.reason;
  }

  #refused(reason: string): MergeOutcome {
    const unknown = { distance: Number.NaN, lossBefore: Number.NaN, lossAfter: Number.NaN };
    return { ...unknown, age: this.own.age, accepted: false, isNews: false, reason };
  }
}
