import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FederatedStrategy } from '../../../src/learning/federated.ts';
import { GossipStrategy } from '../../../src/learning/gossip.ts';
import { OuterStrategy } from '../../../src/learning/outer.ts';
import type { Own, Parcel, Relation, Strategy } from '../../../src/learning/strategy.ts';

const model = (age: number, ...weights: number[]): Own => ({ age, flat: Float32Array.from(weights) });
const fresh = <S extends Strategy>(strategy: S, own: Own): S => {
  strategy.reset(own);
  return strategy;
};
/** Takes a parcel in; gives why not. */
function take(strategy: Strategy, own: Own, parcel: Parcel, from: Relation = 'peer', force = 1): string | undefined {
  const opened = strategy.open(own, parcel, from);
  if (typeof opened === 'string') return opened;
  strategy.merge(own, opened, force);
  return undefined;
}
/** Trains: every weight grows by `by`. */
function train(strategy: Strategy, own: Own, by: number, steps = 1): boolean {
  if (!strategy.prepare(own)) return false;
  own.flat.forEach((w, i) => {
    own.flat[i] = w + by;
  });
  own.age += steps;
  strategy.trained(own, steps);
  return true;
}

describe('gossip in parts', () => {
  it('sends the parts in turn, which together are the model', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer(), { minLength: 5, maxLength: 40 }),
        fc.integer({ min: 2, max: 5 }),
        (all, of) => {
          const own = model(3, ...all);
          const strategy = fresh(new GossipStrategy({ kind: 'mean' }, of), own);
          const parts = Array.from({ length: of }, () => strategy.outgoing(own));
          expect(parts.map(({ part }) => part?.index)).toEqual([...Array(of).keys()]);
          expect(parts.flatMap(({ weights }) => [...(weights ?? [])])).toEqual([...own.flat]);
        },
      ),
    );
  });

  it('merges a part by its own age and leaves the others alone', () => {
    const own = model(10, 0, 0, 0, 0);
    const strategy = fresh(new GossipStrategy({ kind: 'ageWeighted' }, 2), own);
    const part = { index: 1, of: 2 };
    const parcel: Parcel = { way: 'peer', age: 30, part, weights: Float32Array.of(4, 8) };
    expect(take(strategy, own, parcel)).toBeUndefined();
    expect([...own.flat]).toEqual([0, 0, 3, 6]);
    expect(own.age).toBe(30);
    strategy.outgoing(own);
    expect(strategy.outgoing(own).age).toBe(30);
    expect(strategy.outgoing(own).age).toBe(10);
    // The part has age 30 now: the same message weighs a half.
    take(strategy, own, { ...parcel, weights: Float32Array.of(5, 10) });
    expect([...own.flat]).toEqual([0, 0, 4, 8]);
  });

  it('goes only as far as it is told to', () => {
    const own = model(10, 0, 0);
    const strategy = fresh(new GossipStrategy({ kind: 'mean' }), own);
    take(strategy, own, { way: 'peer', age: 10, weights: Float32Array.of(8, 8) }, 'peer', 0.25);
    expect([...own.flat]).toEqual([1, 1]);
  });

  it.each<[string, Parcel]>([
    ['another number of parts', { way: 'peer', age: 1, part: { index: 0, of: 3 }, weights: new Float32Array(1) }],
    ['a whole model', { way: 'peer', age: 1, weights: new Float32Array(4) }],
    ['a change', { way: 'up', age: 1, base: 0, change: new Float32Array(4) }],
    ['an order from above', { way: 'down', age: 1, weights: new Float32Array(4) }],
  ])('refuses %s', (_, parcel) => {
    const own = model(1, 1, 2, 3, 4);
    const strategy = fresh(new GossipStrategy({ kind: 'mean' }, 2), own);
    expect(take(strategy, own, parcel)).toMatch(/^it is /);
    expect([...own.flat]).toEqual([1, 2, 3, 4]);
  });
});

describe('an outer step', () => {
  const options = { learningRate: 0.7, momentum: 0.3, consensus: 1 };

  it('is d <- 0.3 d + 0.7 mean(D) - (phi - mean phi), phi <- phi + d', () => {
    const own = model(0, 0);
    const strategy = fresh(new OuterStrategy(1, options), own);
    train(strategy, own, 2); // phi 0, D 2
    take(strategy, own, { way: 'peer', age: 1, weights: Float32Array.of(1), change: Float32Array.of(4) });
    train(strategy, own, 0);
    expect(own.flat[0]).toBeCloseTo(0.7 * 3 + 0.5, 5); // mean D 3, phi half the way to 1
    train(strategy, own, 0); // D 0, nobody heard: momentum alone
    expect(own.flat[0]).toBeCloseTo(2.6 + 0.3 * 2.6, 5);
  });

  it('sends slow weights and the change since them', () => {
    const own = model(0, 1, 1);
    const strategy = fresh(new OuterStrategy(2, options), own);
    train(strategy, own, 2);
    expect(strategy.outgoing(own)).toEqual({
      way: 'peer',
      age: 1,
      weights: Float32Array.of(1, 1),
      change: Float32Array.of(2, 2),
    });
  });

  it('brings validators together that learn nothing new', () => {
    const fleet = [0, 8, -4, 12].map((start) => {
      const own = model(1, start);
      return { own, strategy: fresh(new OuterStrategy(1, { ...options, momentum: 0 }), own) };
    });
    for (let round = 0; round < 60; round++) {
      fleet.forEach(({ own, strategy }, i) => {
        const other = fleet[(i + 1 + (round % 3)) % 4]!;
        if (round > 0) take(other.strategy, other.own, strategy.outgoing(own));
        train(strategy, own, 0);
      });
    }
    const found = fleet.map(({ own }) => own.flat[0]!);
    expect(Math.max(...found) - Math.min(...found)).toBeLessThan(0.1);
  });

  it('lets a newcomer take over slow weights and age', () => {
    const own = model(0, 5);
    const strategy = fresh(new OuterStrategy(1, options), own);
    take(strategy, own, { way: 'peer', age: 70, weights: Float32Array.of(1), change: Float32Array.of(4) });
    expect([own.age, own.flat[0]]).toEqual([70, 1]);
  });

  it('refuses what brings no change', () => {
    const own = model(1, 5);
    const strategy = fresh(new OuterStrategy(1, options), own);
    expect(take(strategy, own, { way: 'peer', age: 70, weights: Float32Array.of(1) })).toBe(
      'it is of another strategy',
    );
  });
});

describe('federated averaging', () => {
  const peer = (start = 0, age = 0) => {
    const own = model(age, start);
    return { own, strategy: fresh(new FederatedStrategy(1), own) };
  };

  it('averages what the members did, the aggregator one of them, and everybody goes on from there', () => {
    const [leader, one, two] = [peer(), peer(), peer()];
    train(leader.strategy, leader.own, 1);
    train(one.strategy, one.own, 4);
    train(two.strategy, two.own, 7);
    for (const member of [one, two]) {
      const up = member.strategy.outgoing(member.own, 'up');
      expect(up).toMatchObject({ way: 'up', base: 0, age: 1 });
      expect(take(leader.strategy, leader.own, up!, 'member')).toBeUndefined();
      expect(member.strategy.outgoing(member.own, 'up')).toBeUndefined();
      expect(train(member.strategy, member.own, 1)).toBe(false);
    }
    const down = leader.strategy.outgoing(leader.own, 'down')!;
    expect(down).toMatchObject({ way: 'down', age: 1, weights: Float32Array.of(4) });
    for (const member of [one, two]) {
      expect(take(member.strategy, member.own, down, 'leader')).toBeUndefined();
      expect([member.own.age, member.own.flat[0]]).toEqual([1, 4]);
      expect(train(member.strategy, member.own, 1)).toBe(true);
    }
  });

  it('counts an answer to an earlier round not at all', () => {
    const [leader, late] = [peer(), peer()];
    train(late.strategy, late.own, 100);
    const up = late.strategy.outgoing(late.own, 'up')!;
    train(leader.strategy, leader.own, 1);
    leader.strategy.outgoing(leader.own, 'down');
    expect(take(leader.strategy, leader.own, up, 'member')).toBe('its round started at age 0, this one at 1');
    expect(leader.own.flat[0]).toBe(1);
  });

  it('tells an aggregator that is behind, which takes over what was learned while it was away', () => {
    const [back, member] = [peer(1, 5), peer(9, 50)];
    const down = back.strategy.outgoing(back.own, 'down')!;
    expect(take(member.strategy, member.own, down, 'leader')).toMatch(/it has age 5, here is a model of age 50/);
    const up = member.strategy.outgoing(member.own, 'up')!;
    expect(take(back.strategy, back.own, up, 'member')).toBeUndefined();
    expect([back.own.age, back.own.flat[0]]).toEqual([50, 9]);
  });

  it('takes over nobody’s model while it is followed, however old that claims to be', () => {
    const [leader, one, liar] = [peer(), peer(), peer(-99, 1_000_000)];
    train(leader.strategy, leader.own, 1);
    train(one.strategy, one.own, 1);
    take(leader.strategy, leader.own, one.strategy.outgoing(one.own, 'up')!, 'member');
    const down = { ...liar.strategy.outgoing(liar.own, 'peer')!, way: 'up' } as const;
    expect(take(leader.strategy, leader.own, down, 'member')).toMatch(/no aggregator/);
    leader.strategy.outgoing(leader.own, 'down');
    expect(take(leader.strategy, leader.own, down, 'member')).toMatch(/no aggregator/);
    // A round without answers: others may have gone on without it.
    train(leader.strategy, leader.own, 1);
    leader.strategy.outgoing(leader.own, 'down');
    expect(take(leader.strategy, leader.own, down, 'member')).toBeUndefined();
  });

  it('takes orders and answers from nobody else', () => {
    const { own, strategy } = peer();
    const down: Parcel = { way: 'down', age: 5, weights: Float32Array.of(3) };
    for (const from of ['stranger', 'peer'] as const) {
      expect(take(strategy, own, down, from)).toMatch(/no aggregator/);
      expect(take(strategy, own, { way: 'up', age: 5, base: 0, change: Float32Array.of(3) }, from)).toBeDefined();
    }
    expect(take(strategy, own, { way: 'peer', age: 5, weights: Float32Array.of(3) }, 'stranger')).toBeDefined();
    expect(own.flat[0]).toBe(0);
  });

  it('merges models of other groups by age, at the end of a round', () => {
    const leader = peer(0, 10);
    train(leader.strategy, leader.own, 0, 10);
    take(leader.strategy, leader.own, { way: 'peer', age: 30, weights: Float32Array.of(8) });
    expect(leader.own.flat[0]).toBe(0);
    const down = leader.strategy.outgoing(leader.own, 'down')!;
    expect(down.age).toBe(30);
    expect(down.weights?.[0]).toBeCloseTo(6, 5);
  });
});
