import type { Learning } from '../api/index.ts';
import { seedOf } from './random.ts';
import type { Dispatch, Routing, RoutingInit, View } from './routing.ts';
import type { Relation } from './strategy.ts';

const second = 1000;
const DEFAULTS = { waitSeconds: 10, silentSeconds: 30 } as const;

/**
 * Over aggregators: members send up, the aggregator of a group sends down when all who are connected have answered, or
 * after a wait, and then to the aggregator of another group.
 *
 * Who aggregates is a matter of the members alone, not of votes: a hash of model and name puts each group in an order,
 * and the first who is connected and not silent aggregates. Where two see different aggregators for a while, messages
 * to the wrong one are refused and nothing else happens.
 */
export class AggregatorRouting implements Routing {
  readonly #options: { readonly waitSeconds: number; readonly silentSeconds: number };
  readonly #groupsOf: (members: number) => number;
  readonly #init: RoutingInit;
  /** The groups of the members they were made for. */
  #groups: { readonly of: readonly string[]; readonly groups: readonly (readonly string[])[] } = { of: [], groups: [] };
  readonly #silent = new Set<string>();
  /** Since when the present aggregator has said nothing. */
  #quiet: { readonly leader: string; readonly since: number } = { leader: '', since: 0 };
  readonly #answered = new Set<string>();
  #roundSince: number | undefined;

  /** @param groupsOf number of groups for so many members */
  constructor(options: Learning['aggregator'], groupsOf: (members: number) => number, init: RoutingInit) {
    this.#options = { ...DEFAULTS, ...options };
    this.#groupsOf = groupsOf;
    this.#init = init;
  }

  next(view: View): readonly Dispatch[] {
    const { self, random } = this.#init;
    const group = this.#groupOf(self, view.members);
    const leader = this.#leaderOf(group, view);
    if (leader !== self) {
      this.#roundSince = undefined;
      this.#answered.clear();
      return view.isFree(leader) ? [{ way: 'up', to: [leader] }] : [];
    }
    this.#roundSince ??= view.now;
    const members = group.filter((peer) => peer !== self && view.neighbours.includes(peer));
    const isOver = view.now - this.#roundSince >= this.#options.waitSeconds * second;
    if (!isOver && !members.every((peer) => this.#answered.has(peer))) return [];
    this.#answered.clear();
    this.#roundSince = view.now;
    const others = this.#groups.groups.filter((one) => one !== group).map((one) => firstConnected(one, view));
    const other = others[Math.floor(random() * others.length)];
    return [
      { way: 'down', to: members.filter(view.isFree) },
      ...(other === undefined ? [] : [{ way: 'peer', to: [other] } as const]),
    ];
  }

  relation(from: string, view: View): Relation {
    const { self } = this.#init;
    const group = this.#groupOf(self, view.members);
    const leader = this.#leaderOf(group, view);
    if (leader !== self) return from === leader ? 'leader' : 'stranger';
    if (group.includes(from)) return 'member';
    return view.members.includes(from) ? 'peer' : 'stranger';
  }

  heard(from: string, isJudged: boolean, now: number): void {
    this.#silent.delete(from);
    if (from === this.#quiet.leader) this.#quiet = { leader: from, since: now };
    if (isJudged) this.#answered.add(from);
  }

  #groupOf(peer: string, members: readonly string[]): readonly string[] {
    if (this.#groups.of !== members) {
      const ranked = members
        .map((one) => ({ one, rank: seedOf(`${this.#init.uid}/${one}`) }))
        .toSorted((a, b) => a.rank - b.rank || (a.one < b.one ? -1 : 1))
        .map(({ one }) => one);
      const count = Math.max(1, Math.min(ranked.length, this.#groupsOf(ranked.length)));
      const groups = Array.from({ length: count }, (_, at) => ranked.filter((_one, rank) => rank % count === at));
      this.#groups = { of: members, groups };
    }
    return this.#groups.groups.find((group) => group.includes(peer)) ?? [];
  }

  #leaderOf(group: readonly string[], view: View): string {
    const { self } = this.#init;
    for (const peer of group) {
      if (peer === self) break;
      if (this.#silent.has(peer) || !view.neighbours.includes(peer)) continue;
      if (this.#quiet.leader !== peer) this.#quiet = { leader: peer, since: view.now };
      if (view.now - this.#quiet.since < this.#options.silentSeconds * second) return peer;
      this.#silent.add(peer);
    }
    return self;
  }
}

function firstConnected(group: readonly string[], { neighbours }: View): string | undefined {
  return group.find((peer) => neighbours.includes(peer));
}
