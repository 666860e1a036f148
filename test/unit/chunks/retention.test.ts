import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KeptVersion, planRetention } from '../../../src/chunks/index.ts';
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

  it('never drops an assigned chunk of a kept version, nor anything in use, whatever else is so', () => {
    const indexes = fc.uniqueArray(fc.nat(4));
    const chunkSets = fc.array(fc.option(fc.uniqueArray(fc.nat(3)), { nil: undefined }), {
      minLength: 5,
      maxLength: 5,
    });
    fc.assert(
      fc.property(
        indexes,
        indexes,
        fc.nat(4),
        chunkSets,
        fc.subarray(blocks),
        (exist, pinned, keep, assigned, inUse) => {
          const of = (cid: string): ReadonlySet<number> | undefined => {
            const at = built.findIndex((one) => one.cid.toString() === cid);
            return assigned[at] === undefined ? undefined : new Set(assigned[at]);
          };
          const plan = planRetention({
            versions: certified(exist, pinned),
            keep: () => keep,
            assigned: of,
            held: blocks,
            inUse: new Set(inUse),
          });
          for (const cid of inUse) expect(plan.drop).not.toContain(cid);
          for (const one of built.filter(({ cid }) => plan.kept.includes(cid.toString()))) {
            expect(plan.drop).not.toContain(one.cid.toString());
            for (const [index, { cid }] of one.chunks.entries())
              if (of(one.cid.toString())?.has(index) ?? true) expect(plan.drop).not.toContain(cid.toString());
          }
          for (const index of [...exist].sort((a, b) => b - a).slice(0, Math.max(1, keep)))
            expect(plan.kept).toContain(built[index]!.cid.toString());
        },
      ),
    );
  });
});
