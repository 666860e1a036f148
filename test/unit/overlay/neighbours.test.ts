import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  backoffMs,
  connectAllUpTo,
  neighboursBeyond,
  planDials,
  rankNeighbours,
} from '../../../src/overlay/neighbours.ts';
import { memberOf } from './fleet.ts';

const crowd = (size: number) =>
  Array.from({ length: size }, (_, i) => memberOf(`n-${i}`, `peer-${i}`, ['/ip4/10.0.0.1/tcp/1']));
const nobody: ReadonlySet<string> = new Set();

describe('back-off', () => {
  it('is between 0.5 and 15 s and grows', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, chance) => {
        const wait = backoffMs(failures, () => chance);
        expect(wait).toBeGreaterThanOrEqual(500);
        expect(wait).toBeLessThanOrEqual(15_000);
      }),
    );
    expect(backoffMs(0, () => 0)).toBe(500);
    expect(backoffMs(9, () => 0)).toBe(7500);
    expect(backoffMs(9, () => 0.999)).toBeGreaterThan(14_900);
  });
});

describe('whom to dial', () => {
  it('is everyone, up to sixteen others', () => {
    const others = crowd(connectAllUpTo);
    expect(planDials(rankNeighbours('me', others), new Map(), nobody, 0).dial).toHaveLength(connectAllUpTo);
  });

  it('is eight beyond', () => {
    const plan = planDials(rankNeighbours('me', crowd(40)), new Map(), nobody, 0);
    expect(plan.dial).toHaveLength(neighboursBeyond);
  });

  it('passes over who is in back-off, so that unreachable favourites leave nobody alone', () => {
    const ranked = rankNeighbours('me', crowd(40));
    const states = new Map(ranked.slice(0, 20).map((m, i) => [m.peerId, { notBefore: 1000 + i, dialing: false }]));
    const plan = planDials(ranked, states, nobody, 500);
    expect(plan.dial).toEqual(ranked.slice(20, 28));
    expect(plan.nextLook).toBe(1000);
  });

  it('is nobody who is connected, being dialed, or has no address', () => {
    const [a, b, c, d] = crowd(4);
    const plan = planDials(
      [a!, b!, { ...c!, addresses: [] }, d!],
      new Map([['peer-1', { notBefore: 0, dialing: true }]]),
      new Set(['peer-0']),
      0,
    );
    expect(plan.dial).toEqual([d]);
    expect(plan.nextLook).toBeUndefined();
  });

  it('joins every crowd into one whole', () => {
    fc.assert(
      fc.property(fc.integer({ min: 18, max: 80 }), fc.string(), (size, salt) => {
        const all = crowd(size).map((m) => ({ ...m, peerId: `${salt}${m.peerId}` }));
        const links = new Map<string, Set<string>>(all.map((m) => [m.peerId, new Set()]));
        for (const { peerId } of all) {
          const others = all.filter((m) => m.peerId !== peerId);
          for (const { peerId: other } of planDials(rankNeighbours(peerId, others), new Map(), nobody, 0).dial) {
            links.get(peerId)!.add(other);
            links.get(other)!.add(peerId);
          }
        }
        const reached = new Set([all[0]!.peerId]);
        for (const peer of reached) for (const next of links.get(peer)!) reached.add(next);
        expect(reached.size).toBe(size);
      }),
      { numRuns: 20 },
    );
  });
});
