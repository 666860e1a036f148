import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RunningAverage } from '../../../src/learning/average.ts';
import { ProbeGate } from '../../../src/learning/gate.ts';
import { GossipStrategy } from '../../../src/learning/gossip.ts';
import { Guard } from '../../../src/learning/guard.ts';
import { mergeInto, mergeShare } from '../../../src/learning/merge.ts';

const age = fc.nat(1_000_000);
const ageWeighted = { kind: 'ageWeighted' } as const;

describe('merge by age', () => {
  it('gives the received model the share of its age, so that shares of both sides add up to one', () => {
    expect(mergeShare(ageWeighted, 100, 300)).toBe(0.75);
    fc.assert(
      fc.property(age, age, (own, received) => {
        const share = mergeShare(ageWeighted, own, received);
        expect(share).toBeGreaterThanOrEqual(0);
        expect(share + mergeShare(ageWeighted, received, own)).toBeCloseTo(1, 12);
      }),
    );
  });

  it('takes halves of two untrained models, all of a trained one, nothing of an untrained one', () => {
    expect(mergeShare(ageWeighted, 0, 0)).toBe(0.5);
    expect(mergeShare(ageWeighted, 0, 10)).toBe(1);
    expect(mergeShare(ageWeighted, 10, 0)).toBe(0);
  });

  it('mean takes halves whatever the ages', () => {
    fc.assert(fc.property(age, age, (own, received) => mergeShare({ kind: 'mean' }, own, received) === 0.5));
  });

  it('limited keeps the older whole when ages are further apart than the limit', () => {
    const limited = { kind: 'limited', limit: 50 } as const;
    expect(mergeShare(limited, 100, 151)).toBe(1);
    expect(mergeShare(limited, 151, 100)).toBe(0);
    expect(mergeShare(limited, 100, 150)).toBe(0.6);
  });

  it('leaves every weight between the two, and the age at their maximum', () => {
    const weights = fc.array(fc.tuple(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -1000, max: 1000 })));
    fc.assert(
      fc.property(weights, age, age, (pairs, ownAge, receivedAge) => {
        const model = { flat: Float32Array.from(pairs, ([own]) => own), age: ownAge };
        const weights = Float32Array.from(pairs, ([, other]) => other);
        const strategy = new GossipStrategy(ageWeighted);
        strategy.reset(model);
        const opened = strategy.open(model, { way: 'peer', age: receivedAge, weights });
        if (typeof opened === 'string') throw new Error(opened);
        strategy.merge(model, opened, 1);
        const { flat } = model;
        expect(model.age).toBe(Math.max(ownAge, receivedAge));
        pairs.forEach(([own, other], i) => {
          expect(flat[i]!).toBeGreaterThanOrEqual(Math.min(own, other) - 1e-3);
          expect(flat[i]!).toBeLessThanOrEqual(Math.max(own, other) + 1e-3);
        });
      }),
    );
  });

  it('measures how far apart two models are, relative to one’s own length', () => {
    const distance = (own: number[], received: number[]) =>
      new Guard({ probe: () => 0, guessing: 1 }, { clips: false, alike: false }).judge(
        Float32Array.from(own),
        Float32Array.from(received),
        0.5,
        false,
        1,
      ).distance;
    expect(distance([3, 4], [3, 4])).toBe(0);
    expect(distance([3, 4], [-3, -4])).toBe(2);
    expect(distance([0, 0], [0, 0])).toBe(0);
    const own = Float32Array.of(1, 1);
    mergeInto(own, Float32Array.of(3, 5), 0.5);
    expect([...own]).toEqual([2, 3]);
  });
});

describe('the running average', () => {
  it('forgets the untrained start and then remembers about twenty updates', () => {
    const average = new RunningAverage(Float32Array.of(1000), false);
    average.observe(Float32Array.of(1));
    expect(average.flat[0]).toBe(1);
    for (let i = 0; i < 300; i++) average.observe(Float32Array.of(i % 2 === 0 ? 0 : 2));
    expect(average.flat[0]).toBeCloseTo(1, 1);
  });

  it('keeps a checkpoint it started from, and follows a takeover at once', () => {
    const average = new RunningAverage(Float32Array.of(10), true);
    average.observe(Float32Array.of(0));
    expect(average.flat[0]).toBeCloseTo(9.5, 5);
    average.restart(Float32Array.of(3));
    expect(average.flat[0]).toBe(3);
  });
});

describe('the probe gate', () => {
  const guessing = Math.log(10);

  it('lets nothing in that is far worse than guessing', () => {
    const gate = new ProbeGate(guessing);
    expect(gate.limit(0.1, 0.5)).toBeCloseTo(2 * guessing, 10);
    // Who is worse off may take what is better than itself.
    expect(gate.limit(10, 0.5)).toBe(20);
  });

  it('grows strict as neighbours grow good, but not for messages that weigh nothing', () => {
    const gate = new ProbeGate(guessing);
    for (let i = 0; i < 32; i++) gate.remember(0.5 + 0.01 * (i % 10), 0.5);
    // The median is 0.55, the lowest tenth 0.50.
    expect(gate.limit(0.05, 0.5)).toBeCloseTo(0.75, 1);
    expect(gate.limit(0.05, 0.01)).toBeCloseTo(2 * guessing, 10);
    for (let i = 0; i < 32; i++) gate.remember(0, 0.5);
    expect(gate.limit(0, 0.5)).toBeCloseTo(0.1 * guessing, 10);
  });

  it('takes what is no worse than what is here, whatever the others send', () => {
    const gate = new ProbeGate(guessing);
    for (let i = 0; i < 32; i++) gate.remember(0.3, 0.5);
    expect(gate.limit(1.5, 0.5)).toBe(1.5);
  });

  it('is wide where honest models are far from each other', () => {
    const gate = new ProbeGate(guessing);
    for (let i = 0; i < 32; i++) gate.remember(0.2 + 0.05 * (i % 16), 0.5);
    expect(gate.limit(0.1, 0.5)).toBeGreaterThan(0.95);
  });

  it('is narrow where all learn from data of the same kind, but not for the models of others', () => {
    const gate = new ProbeGate(guessing, true);
    for (let i = 0; i < 32; i++) gate.remember(0.2 + 0.01 * (i % 10), 0.5);
    // The median is 0.25, the lowest tenth 0.20.
    expect(gate.limit(0.05, 0.5)).toBeCloseTo(0.27, 1);
    expect(gate.limit(0.05, 0.5)).toBeLessThan(0.28);
    expect(gate.limit(0.05, 0.5, false)).toBeCloseTo(0.45, 1);
    for (let i = 0; i < 32; i++) gate.remember(0, 0.5);
    expect(gate.limit(0, 0.5)).toBe(0);
  });

  it('is not widened by bad models while they are fewer than half, taken or refused', () => {
    const gate = new ProbeGate(guessing);
    for (let i = 0; i < 32; i++) gate.remember([4, 0.11, 4.5, 0.1, 0.12][i % 5] ?? 0, 0.5);
    expect(gate.limit(0.05, 0.5)).toBeLessThan(0.3);
    for (let i = 0; i < 64; i++) gate.remember(i % 2 === 0 ? 100 : Number.NaN, 0.5);
    expect(gate.limit(0.05, 0.5)).toBeLessThan(0.3);
  });
});
