import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { findCondition } from '../../../src/api/index.ts';
import { LOST_MS } from '../../../src/operator/shard/candidates.ts';
import { NOW } from './cluster.ts';
import { CHUNKS, ShardFlock } from './shard-flock.ts';

const CID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const OTHER = 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
const MIB = 2 ** 20;

let flock: ShardFlock;
beforeEach(() => {
  flock = new ShardFlock(NOW);
});

/** So many validators, a model of two shards with three replicas, and a version that is held everywhere it should be. */
function replicated(size: number): void {
  for (let at = 0; at < size; at++) flock.add(`flock-${at}`);
  flock.addModel('digits', 2, 3);
  flock.look();
  flock.certify(CID, 6 * MIB, ['flock-0']);
  flock.settle();
  expect(flock.shards.map(({ status }) => status?.availableReplicas)).toEqual([3, 3]);
}
const reason = (shard: string, type = 'FullyReplicated'): string | undefined =>
  findCondition(flock.shard(shard), type)?.reason;
/** The first one that is not among these. */
const outsider = (among: readonly string[]): string =>
  [...flock.birds.keys()].find((name) => !among.includes(name)) ?? '';

describe('a holder that falls silent', () => {
  it('is waited for, then lost at the very moment that was foretold, and its copy is made elsewhere', () => {
    replicated(5);
    const [first = ''] = flock.wanted('digits-0');
    const bird = flock.birds.get(first)!;
    flock.pass(60_000);
    bird.up = false;
    flock.pass(16_000);
    const { lookAt } = flock.look();
    expect(flock.stateOf('digits-0', first)).toBe('Stale');
    expect(flock.shard('digits-0').status).toMatchObject({ availableReplicas: 2, ready: 'no: InProgress' });
    expect(lookAt).toBe(bird.heardAt! + LOST_MS);
    flock.pass(lookAt! - flock.now - 1);
    flock.look();
    expect(flock.wanted('digits-0')).toContain(first);
    flock.pass(1);
    flock.look();
    expect(flock.stateOf('digits-0', first)).toBe('Lost');
    expect(flock.wanted('digits-0')).toHaveLength(3);
    expect(reason('digits-0')).toBe('Repairing');
    flock.settle();
    expect(flock.shard('digits-0').status).toMatchObject({ availableReplicas: 3, copied: '9/9', ready: 'yes' });
    expect(flock.shard('digits-0').status?.repair).toBeUndefined();
    expect(flock.breaches).toEqual([]);
  });

  it('has its place back, and nobody copies any more, when it returns while the copy is being made', () => {
    for (let kind = 0; kind < 6; kind++) {
      flock = new ShardFlock(NOW);
      for (let at = 0; at < 5; at++) flock.add(`flock-${kind}-${at}`);
      flock.addModel('digits', CHUNKS, 3);
      flock.certify(CID, 6 * MIB, [`flock-${kind}-0`]);
      flock.settle();
      const wanted = (): readonly string[] => flock.shards.map(({ metadata }) => flock.wanted(metadata.name).join(' '));
      const before = wanted();
      const bird = flock.birds.get(`flock-${kind}-1`)!;
      bird.up = false;
      flock.pass(LOST_MS + 1);
      flock.look();
      expect(wanted().join(' ')).not.toContain(`flock-${kind}-1`);
      bird.up = true;
      flock.pass(1_000);
      flock.look();
      expect(wanted()).toEqual(before);
      expect(flock.shards.every(({ status }) => status?.holders?.length === 3)).toBe(true);
    }
  });

  it('is not lost because the operator hears nobody, or has just begun to listen', () => {
    replicated(5);
    const before = flock.shards.map(({ metadata }) => flock.wanted(metadata.name));
    for (const bird of flock.birds.values()) bird.up = false;
    flock.ears = { ...flock.ears, deaf: true };
    flock.pass(10 * LOST_MS);
    flock.look();
    expect(flock.shards.map(({ metadata }) => flock.wanted(metadata.name))).toEqual(before);
    for (const bird of flock.birds.values()) bird.heardAt = undefined;
    flock.ears = { since: undefined, deaf: true };
    flock.look();
    expect(flock.shards.map(({ metadata }) => flock.wanted(metadata.name))).toEqual(before);
    expect(flock.shard('digits-0').status?.holders?.every(({ state }) => state === 'Stale')).toBe(true);
  });
});

describe('a holder whose storage challenges fail', () => {
  it('loses the replica, and gets no other one before it is fair again', () => {
    replicated(5);
    const [first = ''] = flock.wanted('digits-0');
    flock.birds.get(first)!.storage = 0.2;
    flock.pass(1_000);
    flock.look();
    expect(flock.stateOf('digits-0', first)).toBe('Corrupt');
    expect(reason('digits-0')).toBe('Repairing');
    flock.settle();
    expect(flock.wanted('digits-0')).not.toContain(first);
    expect(flock.shard('digits-0').status?.availableReplicas).toBe(3);
    flock.birds.get(first)!.storage = 0.3;
    for (const name of flock.birds.keys())
      if (name !== first) flock.birds.get(name)!.cordon = name === outsider([first]);
    flock.settle();
    expect(flock.wanted('digits-0')).not.toContain(first);
    expect(flock.breaches).toEqual([]);
  });

  it('is not condemned by the few that are heard first after a restart of the operator', () => {
    replicated(5);
    const [first = ''] = flock.wanted('digits-0');
    Object.assign(flock.birds.get(first)!, { storage: 0.1, recorded: 0.9 });
    flock.ears = { since: undefined, deaf: false };
    flock.look();
    expect(flock.wanted('digits-0')).toContain(first);
  });
});

describe('an operator that has just begun', () => {
  it('moves nothing, though it has not heard how much room there is', () => {
    for (let at = 0; at < 8; at++) {
      const room = at % 2 === 0 ? 900 * MIB : 60 * MIB;
      flock.add(`flock-${at}`, { disk: { usedBytes: 0, freeBytes: room } });
    }
    flock.addModel('digits', 8, 3);
    flock.look();
    flock.certify(CID, 6 * MIB, ['flock-0']);
    flock.settle();
    const before = flock.shards.map(({ metadata }) => flock.wanted(metadata.name));
    for (const bird of flock.birds.values()) bird.heardAt = undefined;
    flock.ears = { since: undefined, deaf: true };
    flock.look();
    expect(flock.shards.map(({ metadata }) => flock.wanted(metadata.name))).toEqual(before);
    flock.ears = { since: flock.now, deaf: false };
    flock.pass(31_000);
    flock.look();
    expect(flock.shards.map(({ metadata }) => flock.wanted(metadata.name))).toEqual(before);
  });
});

describe('chunks that a holder finds corrupt', () => {
  it('do not count until it has fetched them again', () => {
    replicated(4);
    const [first = ''] = flock.wanted('digits-0');
    flock.birds.get(first)!.held.get(CID)?.delete(1);
    flock.look();
    expect(flock.stateOf('digits-0', first)).toBe('Fetching');
    expect(flock.shard('digits-0').status).toMatchObject({ availableReplicas: 2, copied: '8/9' });
    flock.settle();
    expect(flock.shard('digits-0').status?.availableReplicas).toBe(3);
  });
});

describe('machines', () => {
  it('of different zones are used before one is used twice', () => {
    for (let at = 0; at < 9; at++) flock.add(`flock-${at}`, { machine: `m-${at % 4}`, zone: `z-${(at % 4) % 3}` });
    flock.addModel('digits', 8, 3);
    flock.certify(CID, 6 * MIB, ['flock-0']);
    flock.settle();
    for (const { status } of flock.shards) {
      expect(new Set(status?.holders?.map(({ zone }) => zone)).size).toBe(3);
      expect(new Set(status?.holders?.map(({ machine }) => machine)).size).toBe(3);
    }
  });

  it('that are cordoned hand their shards on before they are drained, copy first, and take no new ones', () => {
    replicated(5);
    const [first = ''] = flock.wanted('digits-0');
    flock.cordoned.add(`on-${first}`);
    flock.look();
    expect(flock.stateOf('digits-0', first)).toBe('Draining');
    expect(flock.shard('digits-0').status?.availableReplicas).toBe(3);
    flock.settle();
    expect(flock.stateOf('digits-0', first)).toBeUndefined();
    expect(flock.shard('digits-0').status).toMatchObject({ availableReplicas: 3, ready: 'yes' });
    expect(flock.breaches).toEqual([]);
  });

  it('that are cordoned keep what nobody else can take', () => {
    replicated(3);
    flock.cordoned.add('on-flock-0');
    flock.settle();
    expect(flock.wanted('digits-0')).toContain('flock-0');
    expect(flock.shard('digits-0').status?.ready).toBe('yes');
  });

  it('are remembered while a pod is restarted: nothing moves', () => {
    for (let at = 0; at < 6; at++) flock.add(`flock-${at}`, { machine: `m-${at % 3}`, zone: `z-${at % 3}` });
    flock.addModel('digits', 4, 3);
    flock.certify(CID, 6 * MIB, ['flock-0']);
    flock.settle();
    const before = flock.shards.map(({ metadata }) => flock.wanted(metadata.name));
    for (const [name, bird] of flock.birds) {
      const { machine } = bird;
      Object.assign(bird, { machine: undefined, up: false });
      flock.pass(20_000);
      flock.look();
      expect(
        flock.shards.map(({ metadata }) => flock.wanted(metadata.name)),
        name,
      ).toEqual(before);
      Object.assign(bird, { machine, up: true });
      flock.pass(1_000);
      flock.look();
    }
    expect(flock.breaches).toEqual([]);
  });
});

describe('room', () => {
  it('is reckoned with all versions that are kept before anything is assigned', () => {
    for (let at = 0; at < 3; at++) flock.add(`flock-${at}`, { size: '128Mi' });
    flock.addModel('digits', 2, 3, { versions: { keep: 3 } });
    flock.look();
    expect(flock.wanted('digits-0')).toHaveLength(3);
    // Two halves of three versions are 120 MiB of 128.
    flock.certify(CID, 40 * MIB, ['flock-0']);
    flock.look();
    for (const name of ['digits-0', 'digits-1']) {
      expect(flock.shard(name).status).toMatchObject({ holders: [], ready: 'no: CapacityExceeded' });
    }
    expect(findCondition(flock.shard('digits-0'), 'Ready')?.message).toMatch(
      /60\.0 MiB .* 3 validators have no room for 3 replicas of each of 2 shards\. Enlarge storage\.size/,
    );
    for (const bird of flock.birds.values()) bird.size = '256Mi';
    flock.settle();
    expect(flock.shards.map(({ status }) => status?.availableReplicas)).toEqual([3, 3]);
    expect(flock.breaches).toEqual([]);
  });

  it('goes by what is free where the disk has less than the volume asks for', () => {
    for (let at = 0; at < 3; at++) flock.add(`flock-${at}`, { disk: { usedBytes: 10 * MIB, freeBytes: 20 * MIB } });
    flock.addModel('digits', 1, 3);
    flock.certify(CID, 20 * MIB, ['flock-0']);
    flock.look();
    expect(reason('digits-0')).toBe('CapacityExceeded');
  });

  it('of a model that is held is not taken by the next one', () => {
    for (let at = 0; at < 3; at++) flock.add(`flock-${at}`, { size: '256Mi' });
    flock.addModel('digits', 1, 3, { versions: { keep: 1 } });
    flock.certify(CID, 100 * MIB, ['flock-0']);
    flock.settle();
    flock.addModel('spam', 1, 3, { versions: { keep: 1 } });
    flock.certify(CID, 100 * MIB);
    flock.settle();
    expect(flock.shard('digits-0').status?.ready).toBe('yes');
    expect(flock.shard('spam-0').status).toMatchObject({ holders: [], ready: 'no: CapacityExceeded' });
  });
});

describe('a shard that is pinned by hand', () => {
  it('is repaired as any other, in the size that its holders report', () => {
    replicated(5);
    flock.addShard('keepsake', 'digits', { index: 0, of: 1, replicas: 2, versionCid: OTHER });
    for (const name of ['flock-0', 'flock-1']) {
      flock.birds.get(name)!.held.set(OTHER, new Set(Array.from({ length: CHUNKS }, (_, at) => at)));
    }
    flock.settle();
    const [first = ''] = flock.wanted('keepsake');
    expect(flock.shard('keepsake').status).toMatchObject({ versionCid: OTHER, chunks: CHUNKS, availableReplicas: 2 });
    flock.birds.get(first)!.up = false;
    flock.pass(LOST_MS + 1);
    flock.settle();
    expect(flock.wanted('keepsake')).not.toContain(first);
    expect(flock.shard('keepsake').status?.availableReplicas).toBe(2);
  });
});

describe('whatever happens', () => {
  const which = fc.nat({ max: 7 });
  const happening = fc.oneof(
    { weight: 4, arbitrary: fc.record({ what: fc.constant('look' as const), fetches: fc.nat({ max: 3 }) }) },
    {
      weight: 3,
      arbitrary: fc.record({ what: fc.constant('time' as const), ms: fc.constantFrom(1_000, 16_000, 121_000) }),
    },
    { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('silence' as const, 'return' as const), which }) },
    { weight: 2, arbitrary: fc.record({ what: fc.constantFrom('cordon' as const, 'uncordon' as const), which }) },
    { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('drain' as const, 'undrain' as const), which }) },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant('judge' as const), which, storage: fc.constantFrom(0.1, 0.3, 0.9) }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('add' as const), machine: which }) },
    { weight: 1, arbitrary: fc.constant({ what: 'restart' as const }) },
  );
  type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never;

  const happen = (one: Happening): void => {
    const pick = (at: number): string => [...flock.birds.keys()][at % flock.birds.size] ?? '';
    switch (one.what) {
      case 'look':
        flock.look();
        flock.obey(one.fetches);
        break;
      case 'time':
        flock.pass(one.ms);
        flock.ears = { since: flock.ears.since ?? flock.now, deaf: ![...flock.birds.values()].some(({ up }) => up) };
        break;
      case 'silence':
      case 'return':
        flock.birds.get(pick(one.which))!.up = one.what === 'return';
        break;
      case 'cordon':
        flock.cordoned.add(flock.birds.get(pick(one.which))!.machine ?? '');
        break;
      case 'uncordon':
        flock.cordoned.delete(flock.birds.get(pick(one.which))!.machine ?? '');
        break;
      case 'drain':
      case 'undrain':
        flock.birds.get(pick(one.which))!.cordon = one.what === 'drain';
        break;
      case 'judge':
        flock.birds.get(pick(one.which))!.storage = one.storage;
        break;
      case 'add':
        flock.add(`new-${flock.birds.size}`, { machine: `m-${one.machine}` });
        break;
      case 'restart':
        flock.ears = { since: undefined, deaf: false };
        for (const bird of flock.birds.values()) if (!bird.up) bird.heardAt = undefined;
        break;
    }
  };

  it('the operator leaves no shard with fewer live copies than it had, and repairs all when it is quiet (invariant 4)', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        flock = new ShardFlock(NOW);
        for (let at = 0; at < 6; at++) flock.add(`flock-${at}`, { machine: `m-${at % 4}` });
        flock.addModel('digits', 3, 3);
        flock.certify(CID, 6 * MIB, ['flock-0']);
        flock.settle();
        for (const one of happenings) happen(one);
        expect(flock.breaches).toEqual([]);
        // All come back: what was on their disks is there, so nothing may have been lost by a drop.
        flock.cordoned.clear();
        for (const bird of flock.birds.values()) Object.assign(bird, { up: true, cordon: false, storage: 0.9 });
        flock.ears = { since: NOW, deaf: false };
        flock.pass(1_000);
        flock.settle();
        expect(flock.breaches).toEqual([]);
        for (const { status } of flock.shards) {
          expect(status).toMatchObject({ availableReplicas: 3, copied: '6/6', ready: 'yes' });
          expect(status?.holders?.map(({ state }) => state)).toEqual(['Verified', 'Verified', 'Verified']);
          expect(new Set(status?.holders?.map(({ machine }) => machine)).size).toBe(3);
          expect(status?.repair).toBeUndefined();
        }
      }),
      { numRuns: 300 },
    );
  });
});
