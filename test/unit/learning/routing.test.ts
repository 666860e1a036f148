import { describe, expect, it } from 'vitest';
import { AggregatorRouting } from '../../../src/learning/aggregator-routing.ts';
import { PeerRouting } from '../../../src/learning/peer-routing.ts';
import { seeded } from '../../../src/learning/random.ts';
import type { View } from '../../../src/learning/routing.ts';

const members = Array.from({ length: 16 }, (_, i) => `v${i}`);
const init = (self: string) => ({ self, uid: 'uid', random: seeded(1), waitMilliseconds: 1000 });
const view = (self: string, now = 0, gone: readonly string[] = [], time = now): View => ({
  members,
  neighbours: members.filter((peer) => peer !== self && !gone.includes(peer)),
  isFree: (peer) => !gone.includes(peer),
  now,
  time,
});

describe('among equals', () => {
  const peersOf = (kind: 'random' | 'exponential' | 'permutation', self: string, fanout = 1) => {
    const routing = new PeerRouting({ peers: kind, fanout }, init(self));
    // Each has been up for another while.
    const up = members.indexOf(self) * 70_000;
    return (time: number, gone: readonly string[] = []) => routing.next(view(self, up + time, gone, time))[0]?.to ?? [];
  };

  it('random tells everybody sooner or later, and never oneself', () => {
    const next = peersOf('random', 'v3');
    const told = new Set(Array.from({ length: 300 }, (_, i) => next(i)).flat());
    expect([...told].sort()).toEqual(members.filter((peer) => peer !== 'v3').sort());
  });

  it('exponential tells who is 1, 2, 4 and 8 places on, in turn', () => {
    const next = peersOf('exponential', 'v3');
    expect([0, 1, 2, 3, 4].flatMap((now) => next(now))).toEqual(['v4', 'v5', 'v7', 'v11', 'v4']);
  });

  it('permutation: in one wait everybody hears from one other; in the next from another', () => {
    const all = members.map((self) => peersOf('permutation', self));
    const shifts = [0, 1000, 2000, 3000, 4000, 5000].map((now) => {
      const told = all.map((next) => next(now)[0] ?? '');
      expect(new Set(told).size).toBe(members.length);
      return told[0];
    });
    expect(new Set(shifts).size).toBeGreaterThan(2);
  });

  it.each(['random', 'exponential', 'permutation'] as const)('%s leaves out who cannot be reached', (kind) => {
    const gone = members.filter((peer) => !['v3', 'v9'].includes(peer));
    const next = peersOf(kind, 'v3');
    for (let now = 0; now < 20; now++) expect(next(now, gone)).toEqual(['v9']);
    expect(next(21, members)).toEqual([]);
  });

  it('fanout tells as many different ones, and no more than there are', () => {
    expect(new Set(peersOf('random', 'v3', 3)(0)).size).toBe(3);
    expect(peersOf('exponential', 'v3', 3)(0)).toEqual(['v4', 'v5', 'v7']);
    expect(peersOf('random', 'v3', 16)(0, members.slice(5))).toHaveLength(4);
  });
});

describe('over aggregators', () => {
  const options = { waitSeconds: 10, silentSeconds: 30 };
  const routingOf = (self: string, groups = 1) => new AggregatorRouting(options, () => groups, init(self));
  const leaderOf = (self: string, now = 0, gone: readonly string[] = []) => {
    const [dispatch] = routingOf(self).next(view(self, now, gone));
    return dispatch?.way === 'up' ? (dispatch.to[0] ?? '') : self;
  };

  it('all agree on one aggregator, and on the next when it is gone', () => {
    const [leader, ...none] = new Set(members.map((self) => leaderOf(self)));
    expect(none).toEqual([]);
    const others = members.filter((peer) => peer !== leader);
    const [next, ...more] = new Set(others.map((self) => leaderOf(self, 0, [leader!])));
    expect(more).toEqual([]);
    expect(next).not.toBe(leader);
  });

  it('replaces an aggregator that is connected but silent, and takes it back when it is heard', () => {
    const leader = leaderOf('v0');
    const self = members.find((peer) => peer !== leader)!;
    const routing = routingOf(self);
    const at = (now: number) => routing.next(view(self, now))[0]?.to[0];
    expect(at(0)).toBe(leader);
    routing.heard(leader, false, 20_000);
    expect(at(49_000)).toBe(leader);
    expect(at(50_000)).not.toBe(leader);
    routing.heard(leader, false, 51_000);
    expect(at(51_000)).toBe(leader);
  });

  it('an aggregator sends down when all have answered, or after the wait', () => {
    const leader = leaderOf('v0');
    const routing = routingOf(leader);
    const others = members.filter((peer) => peer !== leader);
    const next = (now: number, gone: readonly string[] = []) => routing.next(view(leader, now, gone));
    expect(next(0)).toEqual([]);
    for (const peer of others.slice(1)) routing.heard(peer, true, 1);
    routing.heard(others[0]!, false, 1);
    expect(next(1000)).toEqual([]);
    routing.heard(others[0]!, true, 2);
    expect(next(2000)[0]?.way).toBe('down');
    expect([...(next(12_000)[0]?.to ?? [])].sort()).toEqual([...others].sort());
    expect(next(12_001, others)).toEqual([{ way: 'down', to: [] }]);
  });

  it('trusts as aggregator and as member only who is', () => {
    const leader = leaderOf('v0');
    const [one, two] = members.filter((peer) => peer !== leader);
    expect(routingOf(one!).relation(leader, view(one!))).toBe('leader');
    expect(routingOf(one!).relation(two!, view(one!))).toBe('stranger');
    expect(routingOf(leader).relation(one!, view(leader))).toBe('member');
    expect(routingOf(leader).relation('nobody', view(leader))).toBe('stranger');
  });

  it('groups have an aggregator each, which tell each other', () => {
    const leaders = new Set<string>();
    for (const self of members) {
      const [dispatch] = routingOf(self, 4).next(view(self));
      if (dispatch === undefined) leaders.add(self);
      else leaders.add(dispatch.to[0]!);
    }
    expect(leaders.size).toBe(4);
    const [one, two] = [...leaders] as [string, string];
    const routing = routingOf(one, 4);
    expect(routing.relation(two, view(one))).toBe('peer');
    routing.next(view(one, 0));
    const [down, peer] = routing.next(view(one, 10_000));
    expect(down).toMatchObject({ way: 'down' });
    expect(down?.to).toHaveLength(3);
    expect(peer?.way).toBe('peer');
    expect(leaders).toContain(peer?.to[0]);
  });
});
