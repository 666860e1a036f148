import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeptVersion, planRetention, type RetentionInput, type RetentionPlan } from '../../../src/chunks/index.ts';
import { version } from './fixtures.ts';

const built = Array.from({ length: 5 }, (_, index) => version(4, index + 1));
const certified = (indexes: readonly number[], pinned: readonly number[] = []): KeptVersion[] =>
  indexes.map((index) => ({
    cid: built[index]!.cid.toString(),
    model: 'm',
    age: (index + 1) * 100,
    manifest: built[index]!.manifest,
    pinned: pinned.includes(index),
  }));
const blocks = built.flatMap(({ cid, chunks }) => [cid.toString(), ...chunks.map((chunk) => chunk.cid.toString())]);

describe('retention', () => {
  it('keeps the newest versions and the pinned ones, and of them what is assigned here', () => {
    const plan = planRetention({
      versions: certified([0, 1, 2, 3], [0]),
      keep: () => 2,
      assigned: () => new Set([1]),
      held: blocks,
      inUse: new Set(),
    });
    expect(new Set(plan.kept)).toEqual(new Set([0, 2, 3].map((index) => built[index]!.cid.toString())));
    const stays = blocks.filter((block) => !plan.drop.includes(block));
    expect(new Set(stays)).toEqual(
      new Set([0, 2, 3].flatMap((index) => [built[index]!.cid.toString(), built[index]!.chunks[1]!.cid.toString()])),
    );
  });

  it('keeps all of a version whose shards are not placed yet', () => {
    const plan = planRetention({
      versions: certified([4]),
      keep: () => 1,
      assigned: () => undefined,
      held: blocks,
      inUse: new Set(),
    });
    expect(plan.drop).toHaveLength(4 * 5);
    for (const { cid } of built[4]!.chunks) expect(plan.drop).not.toContain(cid.toString());
  });

  it('keeps a chunk that a version to be dropped shares with one that is kept', () => {
    const [old, kept] = [built[0]!, built[1]!];
    const shared = { ...kept.manifest, chunks: [old.chunks[0]!.cid, ...kept.manifest.chunks.slice(1)] };
    const versions = certified([0, 1]).map((one, at) => (at === 1 ? { ...one, manifest: shared } : one));
    const plan = planRetention({
      versions,
      keep: () => 1,
      assigned: () => undefined,
      held: blocks,
      inUse: new Set(),
    });
    expect(plan.drop).toContain(old.cid.toString());
    expect(plan.drop).not.toContain(old.chunks[0]!.cid.toString());
    expect(plan.drop).toContain(old.chunks[1]!.cid.toString());
  });

  it('keeps a chunk that occurs twice in a version when one of its places is assigned', () => {
    const one = built[0]!;
    const zeros = { ...one.manifest, chunks: one.manifest.chunks.map(() => one.chunks[0]!.cid) };
    const plan = planRetention({
      versions: [{ ...certified([0])[0]!, manifest: zeros }],
      keep: () => 1,
      assigned: () => new Set([3]),
      held: blocks,
      inUse: new Set(),
    });
    expect(plan.drop).not.toContain(one.chunks[0]!.cid.toString());
  });
});

describe('whatever is certified, pinned, placed, held and in use', () => {
  const models = ['a', 'b', 'c'];
  const versionOf = fc.record({
    at: fc.nat(built.length - 1),
    model: fc.constantFrom(...models),
    age: fc.nat(6),
    pinned: fc.option(fc.boolean(), { nil: undefined }),
    assigned: fc.option(fc.uniqueArray(fc.nat(5)), { nil: undefined }),
    /** Places whose chunk is that of another version: versions share chunks. */
    borrowed: fc.array(fc.tuple(fc.nat(3), fc.nat(built.length - 1)), { maxLength: 3 }),
  });
  const situation = fc.record({
    versions: fc.uniqueArray(versionOf, { selector: ({ at }) => at }),
    keeps: fc.dictionary(fc.constantFrom(...models), fc.integer({ min: -1, max: 4 })),
    held: fc.shuffledSubarray(blocks),
    inUse: fc.subarray(blocks),
  });
  const check = (property: (input: RetentionInput, plan: RetentionPlan) => void): void =>
    fc.assert(
      fc.property(situation, ({ versions, keeps, held, inUse }) => {
        const kept = versions.map(({ at, model, age, pinned, borrowed }): KeptVersion => {
          const chunks = [...built[at]!.manifest.chunks];
          for (const [place, from] of borrowed) chunks[place] = built[from]!.manifest.chunks[place]!;
          const manifest = { ...built[at]!.manifest, chunks };
          return { cid: built[at]!.cid.toString(), model, age, manifest, ...(pinned === undefined ? {} : { pinned }) };
        });
        const input: RetentionInput = {
          versions: kept,
          keep: (model) => keeps[model] ?? 0,
          assigned: (cid) => {
            const assigned = versions[kept.findIndex((one) => one.cid === cid)]?.assigned;
            return assigned && new Set(assigned);
          },
          held,
          inUse: new Set(inUse),
        };
        property(input, planRetention(input));
      }),
      { numRuns: 1000 },
    );
  const stays = ({ versions, assigned }: RetentionInput, { kept }: RetentionPlan): ReadonlySet<string> =>
    new Set(
      versions
        .filter(({ cid }) => kept.includes(cid))
        .flatMap(({ cid, manifest }) => [
          cid,
          ...manifest.chunks.flatMap((chunk, index) => (assigned(cid)?.has(index) === false ? [] : [chunk.toString()])),
        ]),
    );

  it('a pinned version is kept, and the newest of each model: as many as are asked for, one at least', () => {
    check(({ versions, keep }, { kept }) => {
      for (const { cid, pinned } of versions) if (pinned === true) expect(kept).toContain(cid);
      for (const model of models) {
        const mine = versions.filter((version) => version.model === model);
        const most = Math.max(1, keep(model));
        for (const version of mine) {
          const newer = mine.filter(({ age }) => age > version.age).length;
          const asNew = mine.filter(({ age }) => age === version.age).length;
          if (newer + asNew <= most) expect(kept).toContain(version.cid);
          if (newer >= most && version.pinned !== true) expect(kept).not.toContain(version.cid);
        }
        const unpinned = mine.filter(({ cid, pinned }) => pinned !== true && kept.includes(cid));
        expect(unpinned.length).toBeLessThanOrEqual(most);
      }
    });
  });

  it('nothing that a kept version needs is dropped, and nothing in use', () => {
    check((input, plan) => {
      const needed = stays(input, plan);
      for (const cid of plan.drop) {
        expect(needed.has(cid)).toBe(false);
        expect(input.inUse.has(cid)).toBe(false);
      }
    });
  });

  it('all else that is held is dropped, each block once, and nothing that is not held', () => {
    check((input, plan) => {
      const needed = stays(input, plan);
      const rest = input.held.filter((cid) => !needed.has(cid) && !input.inUse.has(cid));
      expect(plan.drop.toSorted()).toEqual(rest.toSorted());
    });
  });

  it('nothing more is dropped when it is planned again', () => {
    check((input, plan) => {
      const left = { ...input, held: input.held.filter((cid) => !plan.drop.includes(cid)) };
      expect(planRetention(left)).toEqual({ kept: plan.kept, drop: [] });
    });
  });

  it('the plan does not depend on the order in which versions are told', () => {
    check((input, plan) => {
      const turned = planRetention({ ...input, versions: input.versions.toReversed() });
      expect(turned.kept.toSorted()).toEqual(plan.kept.toSorted());
      expect(turned.drop).toEqual(plan.drop);
    });
  });
});
