import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PickInput, pick } from '../../../src/chunks/picker.ts';
import { seeded } from './fixtures.ts';

const base: Omit<PickInput, 'missing'> = {
  mayHave: () => true,
  holders: () => 1,
  most: 4,
  now: 1_000,
  endgameAfterMs: 300,
  random: seeded(1),
};
const free = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ key: `c${index}`, inFlight: 0, since: 0 }));

describe('picking', () => {
  it('takes the rarest that the peer may have', () => {
    const holders = (key: string): number => Number(key.slice(1));
    expect(pick({ ...base, missing: free(9), holders, most: 2, mayHave: (key) => key !== 'c0' })).toEqual(['c1', 'c2']);
  });

  it('breaks ties differently for different peers', () => {
    const picks = [1, 2, 3, 4].map((seed) => pick({ ...base, missing: free(64), random: seeded(seed) }).join());
    expect(new Set(picks).size).toBe(4);
  });

  it('does not duplicate while anything is left that nobody was asked for', () => {
    const missing = [...free(1), { key: 'late', inFlight: 1, since: 0 }];
    expect(pick({ ...base, missing, mayHave: (key) => key === 'late' })).toEqual([]);
  });

  it('in the endgame takes one late block, and none that has two sources', () => {
    const missing = [
      { key: 'late', inFlight: 1, since: 0 },
      { key: 'fresh', inFlight: 1, since: 900 },
      { key: 'twice', inFlight: 2, since: 0 },
    ];
    expect(pick({ ...base, missing })).toEqual(['late']);
  });

  it('picks different blocks, no more than asked, out of any number', () => {
    fc.assert(
      fc.property(fc.nat(2_000), fc.integer({ min: 1, max: 16 }), fc.integer(), (count, most, seed) => {
        const picked = pick({ ...base, missing: free(count), most, random: seeded(seed) });
        expect(new Set(picked).size).toBe(Math.min(most, count));
      }),
    );
  });
});
