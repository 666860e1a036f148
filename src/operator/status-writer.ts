import type { Condition } from '../api/index.ts';
import { deepEqual, type EventNote, type Existing, type KubeObject, type ReconcileContext } from '../kube/index.ts';
import { numbersEveryMs } from './numbers.ts';

/** A status as every kind of ours has it. */
export interface Status {
  readonly observedGeneration?: number | undefined;
  readonly conditions?: readonly Condition[] | undefined;
}

/** What to do with a status: nothing, write it, or come back when it is its turn. */
export type Decision = { readonly write: false; readonly afterMs?: number } | { readonly write: true };

/**
 * A change that tells something (a condition, a generation, a count of things) is written at once; measured numbers that
 * move all the time only now and then.
 * @param loud what of the status is worth a write at once
 * @param since ms since the last write; undefined where there was none
 * @param everyMs numbers are written this often
 */
export function decide<S extends Status>(
  before: S | undefined,
  next: S,
  loud: (status: S) => unknown,
  since: number | undefined,
  everyMs: number = numbersEveryMs(1),
): Decision {
  if (before !== undefined && deepEqual(plain(before), plain(next))) return { write: false };
  if (before === undefined || !deepEqual(plain(told(before, loud)), plain(told(next, loud)))) return { write: true };
  // Before the last write: the wall clock was set back.
  if (since === undefined || since < 0 || since >= everyMs) return { write: true };
  return { write: false, afterMs: everyMs - since };
}

const told = <S extends Status>(status: S, loud: (status: S) => unknown): unknown => ({
  generation: status.observedGeneration,
  // Sentences may hold numbers that move; status and reason say what is the matter.
  conditions: status.conditions?.map(({ type, status: is, reason, observedGeneration }) => ({
    type,
    is,
    reason,
    observedGeneration,
  })),
  loud: loud(status),
});

/** Without absent fields, as the API server keeps it. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));

/** Writes statuses of one kind, each object no oftener than it has something to say. */
export class StatusWriter<T extends KubeObject & { readonly status?: S | undefined }, S extends Status> {
  readonly #written = new Map<string, number>();
  readonly #loud: (status: S) => unknown;
  readonly #news: (object: T, before: S | undefined, next: S) => readonly EventNote[];

  /**
   * @param loud what of the status is worth a write at once, besides conditions
   * @param news events that a transition is worth
   */
  constructor(loud: (status: S) => unknown, news: (object: T, before: S | undefined, next: S) => readonly EventNote[]) {
    this.#loud = loud;
    this.#news = news;
  }

  /**
   * Writes the status where that is due.
   * @param now unix ms
   * @returns ms after which the object should be looked at again, if numbers are held back
   */
  async write(context: ReconcileContext, object: Existing<T>, next: S, now: number): Promise<number | undefined> {
    const { uid } = object.metadata;
    const last = this.#written.get(uid);
    const since = last === undefined ? undefined : now - last;
    const decision = decide(object.status, next, this.#loud, since, numbersEveryMs(this.#written.size));
    if (!decision.write) return decision.afterMs;
    await context.setStatus(object, next);
    this.#remember(uid, now);
    for (const note of this.#news(object, object.status, next)) context.events.record(object, note);
    return undefined;
  }

  /** Forgets an object that is gone. */
  forget(uid: string): void {
    this.#written.delete(uid);
  }

  #remember(uid: string, now: number): void {
    this.#written.delete(uid);
    this.#written.set(uid, now);
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= 20_000) break;
      this.#written.delete(oldest);
    }
  }
}

/** Reasons that are the normal course of things: worth a condition, not an event. */
const QUIET: ReadonlySet<string> = new Set([
  'Pending',
  'InProgress',
  'PodNotReady',
  'VolumePending',
  'ValidatorsNotReady',
]);

/** Reasons that are no trouble: somebody wanted it so. */
const WANTED: ReadonlySet<string> = new Set(['Deleting', 'Draining', 'TargetReached']);

/** An event for each of these conditions that changed to something that a person cares about. */
export function transitions(
  types: readonly string[],
  before: readonly Condition[] | undefined,
  next: readonly Condition[] | undefined,
): readonly EventNote[] {
  return types.flatMap((type) => {
    const was = before?.find((condition) => condition.type === type);
    const is = next?.find((condition) => condition.type === type);
    if (is === undefined || (was?.status === is.status && was.reason === is.reason)) return [];
    if (is.status === 'True') {
      if (was === undefined && type !== 'Ready') return [];
      return [{ type: 'Normal' as const, reason: type, action: 'Observe', note: is.message }];
    }
    if (QUIET.has(is.reason) || is.status === 'Unknown') return [];
    const type_ = WANTED.has(is.reason) ? ('Normal' as const) : ('Warning' as const);
    return [{ type: type_, reason: is.reason, action: 'Observe', note: is.message }];
  });
}
