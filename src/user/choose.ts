import type { Report } from '../overlay/index.ts';

/** A validator that takes users of a model. */
export interface Candidate {
  readonly peerId: string;
  /** 0..1, see `reputationsOf`. */
  readonly reputation: number;
  /** Rows that it would take of this user. */
  readonly rowsFree: number;
  /** Rows of this user that it has. */
  readonly rowsHeld: number;
}

/** Where nobody has judged a validator. */
const NEUTRAL = 0.5;
/** Reputations that differ by less are equal: room decides then, or all users would go to the same few. */
const STEP = 0.05;

/**
 * Validators in the order in which a user asks them: who has its rows already, then by reputation, then by room.
 * @param rows whether rows are to be sent: who has no room for any is left out then
 */
export function rankValidators<T extends Candidate>(candidates: readonly T[], rows: boolean): readonly T[] {
  const step = ({ reputation }: Candidate): number => Math.round(reputation / STEP);
  return candidates
    .filter(({ rowsFree, rowsHeld }) => !rows || rowsFree > 0 || rowsHeld > 0)
    .toSorted(
      (a, b) =>
        Number(b.rowsHeld > 0) - Number(a.rowsHeld > 0) ||
        step(b) - step(a) ||
        b.rowsFree - a.rowsFree ||
        (a.peerId < b.peerId ? -1 : 1),
    );
}

/**
 * What the validators say of each other: of each part the median, so that fewer than half cannot move it where they like; of the
 * three parts the mean. Nobody is asked about itself.
 * @param reports the newest of each validator, by peer id
 */
export function reputationsOf(reports: ReadonlyMap<string, Report>): ReadonlyMap<string, number> {
  const judged = new Map<string, Report['reputation'][number][]>();
  for (const [from, { reputation }] of reports) {
    for (const one of reputation) {
      if (one.peerId === from) continue;
      judged.set(one.peerId, [...(judged.get(one.peerId) ?? []), one]);
    }
  }
  return new Map(
    [...judged].map(([peer, said]) => [
      peer,
      (median(said.map(({ storage }) => storage)) +
        median(said.map(({ learning }) => learning)) +
        median(said.map(({ interactions }) => interactions))) /
        3,
    ]),
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[Math.floor(index)] ?? NEUTRAL;
  return (at((sorted.length - 1) / 2) + at(sorted.length / 2)) / 2;
}

/** Of a validator that nobody has judged yet. */
export const neutralReputation = NEUTRAL;
