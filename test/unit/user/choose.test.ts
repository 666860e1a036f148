import { describe, expect, it } from 'vitest';
import type { Report } from '../../../src/overlay/index.ts';
import { type Candidate, rankValidators, reputationsOf } from '../../../src/user/index.ts';

const candidate = (peerId: string, change: Partial<Candidate> = {}): Candidate => ({
  peerId,
  reputation: 0.5,
  rowsFree: 10,
  rowsHeld: 0,
  ...change,
});
const order = (candidates: readonly Candidate[], rows = true) => rankValidators(candidates, rows).map((c) => c.peerId);

describe('the order in which validators are asked', () => {
  it('begins with who has the rows already: they go nowhere else', () => {
    expect(order([candidate('a', { reputation: 1 }), candidate('b', { rowsHeld: 5, rowsFree: 0 })])).toEqual([
      'b',
      'a',
    ]);
  });

  it('is by reputation, and among equals by room', () => {
    const low = candidate('low', { reputation: 0.2, rowsFree: 1000 });
    const [small, large] = [
      candidate('small', { reputation: 0.71 }),
      candidate('large', { reputation: 0.7, rowsFree: 99 }),
    ];
    expect(order([low, small, large])).toEqual(['large', 'small', 'low']);
  });

  it('leaves out who has no room, for rows but not for models', () => {
    const full = candidate('full', { rowsFree: 0, reputation: 1 });
    expect(order([full, candidate('a')])).toEqual(['a']);
    expect(order([full, candidate('a')], false)).toEqual(['full', 'a']);
  });
});

describe('the reputation of a validator', () => {
  const says = (of: Readonly<Record<string, number>>): Report =>
    ({
      reputation: Object.entries(of).map(([peerId, p]) => ({ peerId, storage: p, learning: p, interactions: p })),
    }) as unknown as Report;

  it('is what the others say in the middle, and not what it says itself', () => {
    const reports = new Map([
      ['a', says({ a: 1, b: 0.9 })],
      ['b', says({ a: 0.2, b: 1 })],
      ['c', says({ a: 0.3, b: 0.7 })],
      ['d', says({ a: 0.9, b: 0.8 })],
    ]);
    expect(reputationsOf(reports).get('a')).toBeCloseTo(0.3);
    expect(reputationsOf(reports).get('b')).toBeCloseTo(0.8);
    expect(reputationsOf(reports).get('e')).toBeUndefined();
  });
});
