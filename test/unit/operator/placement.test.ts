import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Candidate, place } from '../../../src/operator/shard/placement.ts';

const candidates = (count: number, change: (index: number) => Partial<Candidate> = () => ({})): readonly Candidate[] =>
  Array.from({ length: count }, (_, index) => ({
    node: `flock-${index}`,
    weight: 1,
    machine: `machine-${index}`,
    domain: undefined,
    zone: undefined,
    grade: 0,
    holds: false,
    ...change(index),
  }));
const holding = (all: readonly Candidate[], holders: readonly string[]): readonly Candidate[] =>
  all.map((one) => ({ ...one, holds: holders.includes(one.node) }));

/** Fleets as they are: several validators on a machine, machines in zones of different size, weights that differ. */
const fleet = fc
  .array(
    fc.record({
      machine: fc.nat({ max: 7 }),
      weight: fc.constantFrom(0.25, 0.5, 1, 2),
    }),
    { minLength: 1, maxLength: 14 },
  )
  .chain((members) => fc.nat({ max: 3 }).map((zones) => ({ members, zones })))
  .map(({ members, zones }) =>
    members.map(
      ({ machine, weight }, index): Candidate => ({
        node: `flock-${index}`,
        weight,
        machine: `machine-${machine}`,
        domain: undefined,
        zone: zones === 0 ? undefined : `zone-${machine % zones}`,
        grade: 0,
        holds: false,
      }),
    ),
  );

describe('the validators that should hold a shard', () => {
  it('are the same whatever the order in which candidates come', () => {
    fc.assert(
      fc.property(fleet, fc.string(), fc.infiniteStream(fc.nat()), (all, shard, random) => {
        const keyed = all.map((one) => ({ one, at: random.next().value ?? 0 }));
        const shuffled = keyed.sort((a, b) => a.at - b.at).map(({ one }) => one);
        expect(place(shard, shuffled, 20)).toEqual(place(shard, all, 20));
      }),
    );
  });

  it('use every zone and every machine before they use one twice', () => {
    fc.assert(
      fc.property(fleet, fc.string(), fc.integer({ min: 1, max: 6 }), (all, shard, replicas) => {
        const names = place(shard, all, replicas);
        expect(new Set(names).size).toBe(Math.min(replicas, all.length));
        const chosen = all.filter(({ node }) => names.includes(node));
        const left = all.filter((one) => !chosen.includes(one));
        const count = (of: keyof Candidate, value: unknown, among = chosen): number =>
          among.filter((one) => one[of] === value).length;
        for (const one of chosen) {
          for (const other of left) {
            // Nobody who was left out is in a zone that is used less by two.
            expect(count('zone', one.zone)).toBeLessThanOrEqual(count('zone', other.zone) + 1);
            if (one.zone !== other.zone) continue;
            expect(count('machine', one.machine)).toBeLessThanOrEqual(count('machine', other.machine) + 1);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it('are spread over the values of a label of one’s own', () => {
    const all = candidates(9, (index) => ({ domain: `rack-${index % 3}` }));
    for (let shard = 0; shard < 20; shard++) {
      const used = place(`digits-${shard}`, all, 3).map((node) => Number(node.slice(6)) % 3);
      expect(new Set(used).size).toBe(3);
    }
  });

  it('are spread over machines within a value of that label', () => {
    const all = candidates(12, (index) => ({ machine: `machine-${index % 4}`, domain: `rack-${index % 2}` }));
    for (let shard = 0; shard < 20; shard++) {
      const used = place(`digits-${shard}`, all, 4).map((node) => Number(node.slice(6)) % 4);
      expect(new Set(used).size).toBe(4);
    }
  });

  it('of a higher grade come after all others, also where that puts two on one machine', () => {
    const all = candidates(4, (index) => ({ machine: `machine-${index % 2}`, grade: index % 2 }));
    for (let shard = 0; shard < 20; shard++) {
      expect(place(`digits-${shard}`, all, 2).toSorted()).toEqual(['flock-0', 'flock-2']);
    }
  });

  it('change by one holder at most where a validator comes, and by nobody but the one that goes', () => {
    fc.assert(
      fc.property(fleet, fc.string(), fc.nat(), fc.integer({ min: 1, max: 5 }), (all, shard, which, replicas) => {
        const gone = all[which % all.length]!.node;
        const fewer = all.filter(({ node }) => node !== gone);
        const before = place(shard, fewer, replicas);
        const grown = place(shard, holding(all, before), replicas);
        const left = before.filter((node) => !grown.includes(node));
        expect(left.length).toBeLessThanOrEqual(grown.includes(gone) && before.length === replicas ? 1 : 0);
        const whole = place(shard, all, replicas);
        const shrunk = place(shard, holding(fewer, whole), replicas);
        expect(whole.filter((node) => !shrunk.includes(node))).toEqual(whole.includes(gone) ? [gone] : []);
      }),
      { numRuns: 1000 },
    );
  });

  it('move no more of many shards to a newcomer than its share', () => {
    const shards = Array.from({ length: 2000 }, (_, index) => `shard-${index}`);
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 12 }), fc.constantFrom(0.5, 1, 2), (count, weight) => {
        const small = candidates(count);
        const grown = [...small, ...candidates(count + 1, () => ({ weight })).slice(count)];
        let moved = 0;
        for (const shard of shards) {
          const before = place(shard, small, 3);
          const after = place(shard, holding(grown, before), 3);
          moved += before.filter((node) => !after.includes(node)).length;
        }
        // No newcomer is given more than its weight's share of all copies, nor more than one copy of each shard.
        const share = Math.min(1, (3 * weight) / (count + weight));
        expect(moved / shards.length).toBeLessThanOrEqual(share + 0.03);
        expect(moved / shards.length).toBeGreaterThan(share / 2);
      }),
      { numRuns: 12 },
    );
  });

  it('stay where they are while weights wobble by less than the bonus of staying', () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.array(fc.double({ min: 0.9, max: 1.1, noNaN: true }), { minLength: 8, maxLength: 8 }),
        (shard, wobble) => {
          const before = place(shard, candidates(8), 3);
          const now = candidates(8, (index) => ({ weight: wobble[index] ?? 1 }));
          expect(place(shard, holding(now, before), 3).toSorted()).toEqual(before.toSorted());
        },
      ),
    );
  });

  it('take about twice the shards with twice the weight', () => {
    const all = candidates(4, (index) => ({ weight: index === 0 ? 2 : 1 }));
    const shards = Array.from({ length: 4000 }, (_, index) => place(`shard-${index}`, all, 1)[0]);
    const share = shards.filter((node) => node === 'flock-0').length / shards.length;
    expect(share).toBeGreaterThan(0.36);
    expect(share).toBeLessThan(0.44);
  });
});
