import type { Learning } from '../api/index.ts';
import { seeded, seedOf } from './random.ts';
import type { Dispatch, Routing, RoutingInit, View } from './routing.ts';

/** Draws among all before the free ones are counted: nearly always the first is free. */
const DRAWS = 4;

/**
 * Among equals: `fanout` others hear of each exchange.
 * - `random`: anybody.
 * - `exponential`: the one-peer exponential graph (Ying et al. 2021): who is 1, 2, 4, 8 .. places on, in turn; after
 *   log2(n) exchanges everybody has heard, over others, of everybody.
 * - `permutation`: in each wait, all are shifted against each other by one seeded number, so that each hears from one.
 * No fixed ring: where the same few stand between two halves of a fleet for ever, they decide what these learn.
 */
export class PeerRouting implements Routing {
  readonly #init: RoutingInit;
  readonly #fanout: number;
  readonly #kind: Learning['peers'];
  #round = 0;

  constructor({ peers, fanout }: Pick<Learning, 'peers' | 'fanout'>, init: RoutingInit) {
    this.#init = init;
    this.#kind = peers;
    this.#fanout = fanout;
  }

  next(view: View): readonly Dispatch[] {
    const to = new Set<string>();
    for (let nth = 0; nth < this.#fanout; nth++) {
      const peer = this.#choose(view, to);
      if (peer !== undefined) to.add(peer);
    }
    return to.size === 0 ? [] : [{ way: 'peer', to: [...to] }];
  }

  relation(): 'peer' {
    return 'peer';
  }

  heard(): void {}

  #choose(view: View, taken: ReadonlySet<string>): string | undefined {
    const at = this.#kind === 'random' ? -1 : view.members.indexOf(this.#init.self);
    if (at === -1) return this.#anybody(view, taken);
    const all = view.members.length;
    // Who cannot be reached is left out for the next in turn.
    for (let tries = 0; tries < all; tries++) {
      const peer = view.members[(at + this.#shift(all, view.time)) % all];
      if (peer !== undefined && peer !== this.#init.self && !taken.has(peer) && view.isFree(peer)) return peer;
    }
    return this.#anybody(view, taken);
  }

  /** Places on, 1 .. all - 1. */
  #shift(all: number, time: number): number {
    if (all < 2) return 0;
    const round = this.#round++;
    if (this.#kind === 'exponential') return 2 ** (round % Math.ceil(Math.log2(all))) % all;
    const { uid, waitMilliseconds } = this.#init;
    return (
      1 + Math.floor(seeded(seedOf(`${uid}/${Math.floor(time / waitMilliseconds)}/${this.#turn(time)}`))() * (all - 1))
    );
  }

  #turns = { period: -1, count: 0 };

  /** How often a choice was made within this wait: another number for the second message of a fanout. */
  #turn(time: number): number {
    const period = Math.floor(time / this.#init.waitMilliseconds);
    this.#turns = { period, count: this.#turns.period === period ? this.#turns.count + 1 : 0 };
    return this.#turns.count;
  }

  #anybody({ neighbours, isFree }: View, taken: ReadonlySet<string>): string | undefined {
    const { random } = this.#init;
    const isChoice = (peer: string | undefined): peer is string =>
      peer !== undefined && !taken.has(peer) && isFree(peer);
    for (let draw = 0; draw < DRAWS; draw++) {
      const peer = neighbours[Math.floor(random() * neighbours.length)];
      if (isChoice(peer)) return peer;
    }
    const free = neighbours.filter(isChoice);
    return free[Math.floor(random() * free.length)];
  }
}
