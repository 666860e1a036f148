import type { ModelReport, Report } from '../../overlay/index.ts';

/** A report older than this says nothing of the present. ms */
export const STALE_MS = 15_000;

/** Parts of a reputation, 0..1, aggregated over what the others say. */
export interface Reputation {
  readonly score: number;
  readonly storage: number;
  readonly learning: number;
  readonly interactions: number;
}

/** What was last heard of one validator. */
export interface Heard {
  readonly report: Report;
  /** Unix ms on our clock. */
  readonly at: number;
  /** From the others' reports; undefined where nobody has judged it. */
  readonly reputation: Reputation | undefined;
  /** By model uid: when its age last grew; unix ms on our clock. */
  readonly grewAt: ReadonlyMap<string, number>;
}

/** Whether the report is recent enough to speak of the present. @param now unix ms */
export const isFresh = (heard: Heard | undefined, now: number): heard is Heard =>
  heard !== undefined && now - heard.at <= STALE_MS;

/** Below this score nobody takes a validator's word on itself. */
const DISTRUSTED = 0.2;

/** Whether its neighbours judge it so badly that what it says of itself must not count. */
export const isDistrusted = (heard: Heard | undefined): boolean =>
  heard?.reputation !== undefined && heard.reputation.score < DISTRUSTED;

/** What a validator says of one model. */
export const modelReport = (heard: Heard, uid: string): ModelReport | undefined =>
  heard.report.models.find((model) => model.uid === uid);
