import { createHash } from 'node:crypto';
import type { Member } from './charter.ts';

/** Up to so many others, a peer is connected to all of them. */
export const connectAllUpTo = 16;

/** Beyond, every peer picks so many; what others picked comes on top, so that the whole stays connected. */
export const neighboursBeyond = 8;

const shortestBackoffMs = 500;
const longestBackoffMs = 15_000;

/** The one of a pair that dials second waits so long, or both would dial at once and hold two connections. */
export const secondDialerDelayMs = 1500;

/**
 * How long to wait before trying again after `failures` failures in a row (0: just disconnected).
 * 0.5, 1, 2 ... 15 s, the upper half of it by chance, so that a fleet does not come back in step.
 */
export function backoffMs(failures: number, random: () => number): number {
  const most = Math.min(longestBackoffMs, shortestBackoffMs * 2 ** Math.min(failures + 1, 10));
  return Math.max(shortestBackoffMs, most / 2 + (random() * most) / 2);
}

/** Others in the order in which `self` prefers them: a hash of the pair, so everyone has favourites of its own. */
export function rankNeighbours(self: string, others: readonly Member[]): readonly Member[] {
  if (others.length <= connectAllUpTo) return others;
  const rank = new Map(others.map((m) => [m.peerId, pairHash(self, m.peerId)]));
  return [...others].sort((a, b) => ((rank.get(a.peerId) ?? '') < (rank.get(b.peerId) ?? '') ? -1 : 1));
}

/** What the keeper knows of one peer. */
export interface DialState {
  /** Unix milliseconds before which it is not dialed again. */
  readonly notBefore: number;
  readonly dialing: boolean;
}

/** Whom to dial now, and when to look again. */
export interface DialPlan {
  readonly dial: readonly Member[];
  /** Unix milliseconds; undefined: only when something changes. */
  readonly nextLook: number | undefined;
}

/**
 * Pure. Walks the ranking until enough peers are connected, being dialed, or due to be dialed; who is in back-off is
 * passed over, so that an unreachable favourite never leaves a peer alone.
 * @param ranked members to keep, best first, without self; those without addresses can only dial us
 */
export function planDials(
  ranked: readonly Member[],
  states: ReadonlyMap<string, DialState>,
  connected: ReadonlySet<string>,
  now: number,
): DialPlan {
  const enough = ranked.length <= connectAllUpTo ? ranked.length : neighboursBeyond;
  const dial: Member[] = [];
  let had = 0;
  let nextLook: number | undefined;
  for (const member of ranked) {
    if (had >= enough) break;
    const state = states.get(member.peerId);
    if (connected.has(member.peerId) || state?.dialing) {
      had += 1;
    } else if (member.addresses.length > 0) {
      const notBefore = state?.notBefore ?? 0;
      if (notBefore <= now) {
        dial.push(member);
        had += 1;
      } else {
        nextLook = Math.min(nextLook ?? notBefore, notBefore);
      }
    }
  }
  return { dial, nextLook };
}

function pairHash(a: string, b: string): string {
  return createHash('sha256')
    .update(a < b ? `${a} ${b}` : `${b} ${a}`)
    .digest('hex');
}
