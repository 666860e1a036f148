import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, place } from '../../../src/operator/shard/placement.ts';

const candidates = (count: number, change: (index: number) => Partial<Candidate> = () => ({})): readonly Candidate[] =>
  Array.from({ length: count }, (_, index) => ({
    node: `flock-${index}`,
    weight: 1,
    domain: `machine-${index}`,
    fits: true,
    ...change(index),
  }));

describe('placement', () => {
  it('gives as many different holders as asked for, or all that fit', () => {
    fc.assert(
      fc.property(fc.nat({ max: 12 }), fc.integer({ min: 1, max: 5 }), fc.string(), (count, replicas, shard) => {
        const all = candidates(count, (index) => ({ fits: index % 4 !== 3 }));
        const chosen = place(shard, all, replicas);
        const fitting = all.filter(({ fits }) => fits).length;
        expect(chosen).toHaveLength(Math.min(replicas, fitting));
        expect(new Set(chosen).size).toBe(chosen.length);
      }),
    );
  });

  it('does not depend on the order of the candidates', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray(candidates(8) as Candidate[], { minLength: 8 }), (shuffled) => {
        expect(place('digits', shuffled, 3)).toEqual(place('digits', candidates(8), 3));
      }),
    );
  });

  it('moves at most one holder of a shard when a validator comes or goes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 15 }), fc.string(), fc.nat(), (count, shard, which) => {
        const before = place(shard, candidates(count), 3);
        const grown = place(shard, candidates(count + 1), 3);
        expect(before.filter((node) => !grown.includes(node)).length).toBeLessThanOrEqual(1);
        const gone = `flock-${which % count}`;
        const shrunk = place(
          shard,
          candidates(count).filter(({ node }) => node !== gone),
          3,
        );
        const lost = before.filter((node) => !shrunk.includes(node));
        expect(lost).toEqual(before.includes(gone) ? [gone] : []);
      }),
    );
  });

  it('spreads holders over machines before it uses one twice', () => {
    const all = candidates(9, (index) => ({ domain: `machine-${index % 3}` }));
    for (let shard = 0; shard < 20; shard++) {
      const used = place(`digits-${shard}`, all, 3).map((node) => Number(node.slice(6)) % 3);
      expect(new Set(used).size).toBe(3);
    }
  });

  it('gives a validator of twice the weight about twice the shards', () => {
    const all = candidates(4, (index) => ({ weight: index === 0 ? 2 : 1 }));
    const shards = Array.from({ length: 4000 }, (_, index) => place(`shard-${index}`, all, 1)[0]);
    const share = shards.filter((node) => node === 'flock-0').length / shards.length;
    expect(share).toBeGreaterThan(0.36);
    expect(share).toBeLessThan(0.44);
  });
});
