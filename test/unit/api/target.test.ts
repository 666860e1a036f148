import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isClearlyShort, judgeTarget, meets, SHORT_FOR_MS, type Standing } from '../../../src/api/index.ts';

const target = { metric: 'accuracy', value: '0.95' } as const;
const loss = { metric: 'loss', value: '0.2' } as const;

describe('a target', () => {
  it('is met by an accuracy that is no less, or a loss that is no more', () => {
    expect([0.95, 0.9499, null, undefined, Number.NaN].map((value) => meets(target, value))).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
    expect([0.2, 0.2001].map((value) => meets(loss, value))).toEqual([true, false]);
  });

  it('is clearly missed by a hundredth of accuracy, or a twentieth of loss; not by what is unknown', () => {
    expect([0.9401, 0.9399, null, undefined].map((value) => isClearlyShort(target, value))).toEqual([
      false,
      true,
      false,
      false,
    ]);
    expect([0.209, 0.211].map((value) => isClearlyShort(loss, value))).toEqual([false, true]);
  });

  it('counts as lost only after half a minute without a break', () => {
    const reached: Standing = { reached: true };
    const short = judgeTarget(target, reached, [0.9], 1_000);
    expect(short).toEqual({ reached: true, shortSince: 1_000 });
    expect(judgeTarget(target, short, [0.9], 30_999)).toEqual(short);
    expect(judgeTarget(target, short, [0.945], 30_999)).toEqual({ reached: true });
    expect(judgeTarget(target, short, [0.9], 31_000)).toEqual({ reached: false });
    // The clock was set back.
    expect(judgeTarget(target, short, [0.9], 500)).toEqual({ reached: true, shortSince: 500 });
  });

  it('is reached by nobody where there is nobody', () => {
    expect(judgeTarget(target, undefined, [], 0)).toEqual({ reached: false });
  });
});

describe('whether a target is reached, whatever is measured', () => {
  const value = fc.oneof(fc.double({ min: 0.9, max: 1, noNaN: true }), fc.constantFrom(null, undefined));
  const looks = fc.array(
    fc.tuple(fc.integer({ min: 1, max: 20_000 }), fc.array(value, { minLength: 1, maxLength: 4 })),
    {
      maxLength: 60,
    },
  );

  /** The standings after each look. */
  function follow(all: readonly (readonly [number, readonly (number | null | undefined)[]])[]) {
    let now = 0;
    let standing: Standing | undefined;
    return all.map(([wait, values]) => {
      now += wait;
      const before = standing?.reached === true;
      standing = judgeTarget(target, standing, values, now);
      return { now, values, before, reached: standing.reached };
    });
  }

  it('turns true only where all meet it, and false only after somebody was clearly short for half a minute', () => {
    fc.assert(
      fc.property(looks, (all) => {
        const seen = follow(all);
        for (const [index, { now, values, before, reached }] of seen.entries()) {
          if (!before && reached) expect(values.every((one) => meets(target, one))).toBe(true);
          if (before && reached) continue;
          if (!before) continue;
          const calm = seen
            .slice(0, index)
            .findLastIndex((look) => !look.values.some((one) => isClearlyShort(target, one)));
          expect(now - (seen[calm + 1]?.now ?? Number.NaN)).toBeGreaterThanOrEqual(SHORT_FOR_MS);
        }
      }),
    );
  });

  it('turns once at most while values hover within the slack', () => {
    const hovering = fc.array(
      fc.tuple(
        fc.integer({ min: 1, max: 60_000 }),
        fc.array(fc.double({ min: 0.9401, max: 0.96, noNaN: true }), { minLength: 2, maxLength: 2 }),
      ),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(hovering, (all) => follow(all).filter(({ before, reached }) => before !== reached).length <= 1),
    );
  });
});
