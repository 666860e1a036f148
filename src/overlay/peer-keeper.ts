import type { Logger } from 'pino';
import type { Member } from './charter.ts';
import { backoffMs, type DialState, planDials, rankNeighbours, secondDialerDelayMs } from './neighbours.ts';
import { wordsOf } from './words.ts';

/** What the keeper needs. */
export interface PeerKeeperInit {
  readonly self: string;
  /** Members in force. */
  readonly members: () => readonly Member[];
  /** Peers that are connected and have said hello. */
  readonly connected: () => ReadonlySet<string>;
  /** Dials the member and says hello; rejects when either fails. */
  readonly dial: (member: Member) => Promise<void>;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly clock: () => number;
  readonly random: () => number;
}

/** After so many failures in a row a person should hear of it, once. */
const worthTelling = 5;

/** When so many dials in a row have failed, whoever they went to, it is us who are cut off, or nobody is there yet... */
const fruitless = 32;
/** ...then so long passes between one try and the next. */
const fruitlessPauseMs = 5000;

/**
 * Keeps the peers that we want: dials them, for ever, with back-off. A name is resolved afresh at every dial (by the
 * system's resolver, at connect), because a pod comes back with another IP.
 *
 * Guarantee: a member with an address that is wanted, not connected and not in back-off is being dialed.
 * Caveat: a dial counts as done only after the hello; a refused peer sees its connection open for a moment.
 */
export class PeerKeeper {
  readonly #init: PeerKeeperInit;
  readonly #states = new Map<string, DialState & { readonly failures: number }>();
  /** The last ranking, and of whom: hashing thousands of members at each look would take a core. */
  #ranking: { readonly others: readonly Member[]; readonly ranked: readonly Member[] } = { others: [], ranked: [] };
  /** Dials of anyone that failed since one succeeded. */
  #failedInARow = 0;
  #pausedUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(init: PeerKeeperInit) {
    this.#init = init;
  }

  start(): void {
    this.#running = true;
    this.#look();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#failedInARow = 0;
    this.#pausedUntil = 0;
    this.#states.clear();
  }

  /** A new charter: others have it too or soon will, so everybody is worth a fresh try. */
  charterChanged(): void {
    this.#failedInARow = 0;
    this.#pausedUntil = 0;
    for (const [peer, state] of this.#states) if (!state.dialing) this.#states.delete(peer);
    const waits = this.#dialsSecond();
    const notBefore = this.#init.clock() + secondDialerDelayMs;
    for (const { peerId } of this.#init.members()) {
      if (!this.#states.has(peerId) && waits(peerId))
        this.#states.set(peerId, { notBefore, dialing: false, failures: 0 });
    }
    this.#look();
  }

  /** A peer was connected or lost. */
  peersChanged(): void {
    this.#look();
  }

  /** A connection to the peer is gone. */
  lost(peer: string): void {
    if (this.#states.get(peer)?.dialing) return;
    const { clock, random } = this.#init;
    const extra = this.#dialsSecond()(peer) ? secondDialerDelayMs : 0;
    this.#states.set(peer, { notBefore: clock() + extra + backoffMs(0, random), dialing: false, failures: 0 });
    this.#look();
  }

  /** Of a pair that can dial each other the greater id waits; who cannot be dialed never waits. */
  #dialsSecond(): (peer: string) => boolean {
    const { self, members } = this.#init;
    const canBeDialed = members().some((m) => m.peerId === self && m.addresses.length > 0);
    return (peer) => canBeDialed && self > peer;
  }

  #look(): void {
    if (!this.#running) return;
    clearTimeout(this.#timer);
    const { self, members, connected, clock } = this.#init;
    const all = members();
    // Who is no member itself would be turned away everywhere.
    if (!all.some((m) => m.peerId === self)) return;
    const others = all.filter((m) => m.peerId !== self);
    const now = clock();
    if (now < this.#pausedUntil) {
      this.#timer = setTimeout(() => this.#look(), Math.max(10, this.#pausedUntil - now));
      return;
    }
    const plan = planDials(this.#rank(others), this.#states, connected(), now);
    for (const member of plan.dial) void this.#dial(member);
    if (plan.nextLook !== undefined) {
      this.#timer = setTimeout(() => this.#look(), Math.max(10, plan.nextLook - now));
    }
  }

  #rank(others: readonly Member[]): readonly Member[] {
    const last = this.#ranking;
    const isSame = last.others.length === others.length && others.every((member, at) => member === last.others[at]);
    if (!isSame) this.#ranking = { others, ranked: rankNeighbours(this.#init.self, others) };
    return this.#ranking.ranked;
  }

  async #dial(member: Member): Promise<void> {
    const { dial, log, clock, random } = this.#init;
    const failures = this.#states.get(member.peerId)?.failures ?? 0;
    this.#states.set(member.peerId, { notBefore: 0, dialing: true, failures });
    try {
      await dial(member);
      this.#failedInARow = 0;
      this.#states.set(member.peerId, { notBefore: clock() + backoffMs(0, random), dialing: false, failures: 0 });
    } catch (error) {
      this.#failedInARow += 1;
      if (this.#failedInARow >= fruitless) this.#pausedUntil = clock() + fruitlessPauseMs;
      const wait = backoffMs(failures, random);
      const about = { peer: member.peerId, name: member.name, addresses: member.addresses, reason: wordsOf(error) };
      if (failures + 1 === worthTelling) log.info(about, 'a member cannot be reached, trying on');
      else log.debug({ ...about, waitMs: Math.round(wait) }, 'could not connect to a member, trying again');
      this.#states.set(member.peerId, { notBefore: clock() + wait, dialing: false, failures: failures + 1 });
    }
    this.#look();
  }
}
