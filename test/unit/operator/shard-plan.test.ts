import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Demand, type Place, type Placing, planShards } from '../../../src/operator/shard/plan.ts';

const place = (node: string, change: Partial<Place> = {}): Place => ({
  node,
  weight: 1,
  machine: `on-${node}`,
  zone: undefined,
  labels: undefined,
  grade: 0,
  capacity: 100,
  reserve: 0,
  isOpen: true,
  ...change,
});
const demand = (name: string, change: Partial<Demand> = {}): Demand => ({
  name,
  key: name,
  group: 'digits',
  replicas: 2,
  bytes: 10,
  spread: 'kubernetes.io/hostname',
  nodeSelector: undefined,
  live: 0,
  isPlaced: false,
  isSteady: false,
  holders: [],
  ...change,
});
const stay = (...nodes: readonly string[]): Demand['holders'] => nodes.map((node) => ({ node, stays: true }));

/** The demands as they are once the plan was carried out: copies are made, and those that are not wanted any more are gone. */
const done = (demands: readonly Demand[], plan: ReadonlyMap<string, Placing>): readonly Demand[] =>
  demands.map((one) => {
    const { wanted, isPlaced } = plan.get(one.name)!;
    const whole = isPlaced && wanted.length >= one.replicas;
    return { ...one, holders: stay(...wanted), live: wanted.length, isPlaced: one.isPlaced || whole };
  });

const load = (demands: readonly Demand[], of: (one: Demand) => readonly string[]): ReadonlyMap<string, number> => {
  const bytes = new Map<string, number>();
  for (const one of demands) for (const node of of(one)) bytes.set(node, (bytes.get(node) ?? 0) + one.bytes);
  return bytes;
};

const places = fc.array(
  fc.record({
    capacity: fc.integer({ min: 0, max: 60 }),
    reserve: fc.constantFrom(0, 5),
    machine: fc.nat({ max: 4 }),
    weight: fc.constantFrom(0.5, 1, 2),
    isOpen: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);
const demands = fc.array(
  fc.record({
    group: fc.nat({ max: 3 }),
    replicas: fc.integer({ min: 1, max: 4 }),
    bytes: fc.integer({ min: 0, max: 30 }),
    live: fc.nat({ max: 4 }),
    isPlaced: fc.boolean(),
    holders: fc.uniqueArray(fc.record({ node: fc.nat({ max: 9 }), stays: fc.boolean() }), {
      selector: ({ node }) => node,
      maxLength: 4,
    }),
  }),
  { minLength: 1, maxLength: 8 },
);
const network = fc.record({ places, demands }).map((drawn) => ({
  places: drawn.places.map(({ machine, ...rest }, at) => place(`flock-${at}`, { ...rest, machine: `m-${machine}` })),
  demands: drawn.demands.map(({ group, holders, ...rest }, at) =>
    demand(`shard-${at}`, {
      ...rest,
      group: `model-${group}`,
      holders: holders.map(({ node, stays }) => ({ node: `flock-${node}`, stays })),
    }),
  ),
}));

describe('the plan of a network', () => {
  it('gives no validator a shard that it has no room for', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        const plan = planShards(drawn.demands, drawn.places);
        const before = load(drawn.demands, ({ holders }) => holders.map(({ node }) => node));
        const added = load(drawn.demands, ({ name, holders }) =>
          (plan.get(name)?.wanted ?? []).filter((node) => !holders.some((one) => one.node === node)),
        );
        for (const { node, capacity, reserve, isOpen } of drawn.places) {
          const given = added.get(node) ?? 0;
          if (given === 0) continue;
          expect(isOpen).toBe(true);
          // What is on it stays on it until others have it: only shards that are placed nowhere leave at once.
          const freed = drawn.demands.filter((one) => plan.get(one.name)?.isPlaced === false);
          const gone = load(freed, ({ holders }) => holders.map((one) => one.node)).get(node) ?? 0;
          expect(given).toBeLessThanOrEqual(capacity - reserve - (before.get(node) ?? 0) + gone);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('places shards that were never placed as a whole group, or not at all', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        const plan = planShards(drawn.demands, drawn.places);
        for (const parts of Map.groupBy(drawn.demands, ({ group }) => group).values()) {
          if (parts.some(({ isPlaced }) => isPlaced)) continue;
          const placings = parts.map(({ name }) => plan.get(name)!);
          expect(new Set(placings.map(({ isPlaced }) => isPlaced)).size).toBe(1);
          if (placings[0]?.isPlaced) expect(placings.some(({ shortage }) => shortage?.of === 'room')).toBe(false);
          else
            expect(placings.every(({ wanted, shortage }) => wanted.length === 0 && shortage !== undefined)).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('takes no holder away for want of room where nobody else can take its place', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        const plan = planShards(drawn.demands, drawn.places);
        const known = new Set(drawn.places.map(({ node }) => node));
        for (const { name, isPlaced, replicas, holders } of drawn.demands) {
          if (!isPlaced) continue;
          const there = holders.filter(({ node, stays }) => stays && known.has(node));
          expect(plan.get(name)?.wanted.length).toBeGreaterThanOrEqual(Math.min(replicas, there.length));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('is the same again when it was carried out, after few rounds', () => {
    fc.assert(
      fc.property(network, (drawn) => {
        let now: readonly Demand[] = drawn.demands;
        let plan = planShards(now, drawn.places);
        for (let round = 0; round < 12; round++) {
          now = done(now, plan);
          const next = planShards(now, drawn.places);
          const same = now.every(
            ({ name }) => plan.get(name)!.wanted.toSorted().join() === next.get(name)!.wanted.toSorted().join(),
          );
          if (same) return;
          plan = next;
        }
        throw new Error('it does not come to rest');
      }),
      { numRuns: 1000 },
    );
  });

  it('gives the last room to the shard with the fewest live replicas', () => {
    const shards = [
      demand('digits-0', { isPlaced: true, replicas: 3, live: 2, holders: stay('a', 'b') }),
      demand('digits-1', { isPlaced: true, replicas: 3, live: 1, holders: stay('a') }),
    ];
    const all = [place('a'), place('b'), place('c', { capacity: 10 })];
    const plan = planShards(shards, all);
    expect(plan.get('digits-1')?.wanted.toSorted()).toEqual(['a', 'b', 'c']);
    expect(plan.get('digits-0')?.wanted.toSorted()).toEqual(['a', 'b']);
    expect(plan.get('digits-0')?.shortage).toEqual({ of: 'room', candidates: 3, fitting: 2, bytes: 10 });
  });

  it('lets repair go before what has all replicas, and the older model before the younger', () => {
    const full = demand('old-0', { group: 'old', isPlaced: true, live: 2, holders: stay('a', 'b') });
    const young = [0, 1].map((at) => demand(`young-${at}`, { group: 'young', bytes: 60 }));
    const old = [0, 1].map((at) => demand(`older-${at}`, { group: 'older', bytes: 50 }));
    const all = ['a', 'b', 'c'].map((node) => place(node, { capacity: 80 }));
    const plan = planShards([full, ...old.slice(0, 1), ...young.slice(0, 1)], all);
    expect(plan.get('older-0')?.isPlaced).toBe(true);
    // Of three volumes of 80 two are taken by the older one.
    expect(plan.get('young-0')).toMatchObject({ wanted: [], isPlaced: false, shortage: { fitting: 1, candidates: 3 } });
  });

  it('says that there are too few validators where room is not the matter', () => {
    const plan = planShards([demand('digits-0', { replicas: 3 })], [place('a'), place('b')]);
    expect(plan.get('digits-0')).toEqual({
      wanted: expect.arrayContaining(['a', 'b']),
      shortage: { of: 'validators', candidates: 2 },
      isPlaced: true,
    });
  });

  it('moves a copy off a volume that holds more than it has room for, one at a time, where others can take it', () => {
    const shards = [0, 1].map((at) =>
      demand(`digits-${at}`, { replicas: 1, bytes: 30, isPlaced: true, live: 1, holders: stay('a') }),
    );
    const plan = planShards(shards, [place('a', { capacity: 40 }), place('b')]);
    expect(shards.map(({ name }) => plan.get(name)?.wanted[0]).toSorted()).toEqual(['a', 'b']);
    const nowhere = planShards(shards, [place('a', { capacity: 40 })]);
    expect(shards.map(({ name }) => nowhere.get(name)?.wanted)).toEqual([['a'], ['a']]);
    expect(shards.some(({ name }) => nowhere.get(name)?.shortage?.of === 'room')).toBe(true);
  });

  it('leaves holders where they are while little is known, and fills vacancies only', () => {
    const all = ['a', 'b', 'c', 'd'].map((node) => place(node, node < 'c' ? { weight: 0.01, capacity: 5 } : {}));
    const shard = demand('digits-0', { replicas: 3, isPlaced: true, live: 2, holders: stay('a', 'b') });
    expect(planShards([shard], all).get('digits-0')?.wanted.slice(0, 2).toSorted()).toEqual(['c', 'd']);
    const steady = planShards([{ ...shard, isSteady: true }], all).get('digits-0');
    expect(steady?.wanted.slice(0, 2).toSorted()).toEqual(['a', 'b']);
    expect(steady?.wanted).toHaveLength(3);
    const cordoned = all.map((one) => ({ ...one, grade: one.node === 'a' ? 1 : 0 }));
    const fleeing = planShards([{ ...shard, isSteady: true }], cordoned).get('digits-0');
    expect(fleeing?.wanted.toSorted()).toEqual(['b', 'c', 'd']);
  });

  it('gives nothing new to one that is not open, and leaves it what it has', () => {
    const shards = [
      demand('digits-0', { replicas: 1, isPlaced: true, live: 1, holders: stay('a') }),
      demand('digits-1', { replicas: 1, isPlaced: true, live: 1, holders: stay('b') }),
    ];
    const plan = planShards(shards, [place('a', { isOpen: false, weight: 100 }), place('b')]);
    expect(plan.get('digits-0')?.wanted).toEqual(['a']);
    expect(plan.get('digits-1')?.wanted).toEqual(['b']);
  });

  it('holds to the labels that the machines of holders must have', () => {
    const shards = [demand('digits-0', { nodeSelector: { disk: 'ssd' } })];
    const all = ['a', 'b', 'c'].map((node, at) => place(node, { labels: { disk: at === 0 ? 'hdd' : 'ssd' } }));
    expect(planShards(shards, all).get('digits-0')?.wanted.toSorted()).toEqual(['b', 'c']);
  });
});
