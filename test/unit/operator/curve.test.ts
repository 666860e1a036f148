import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Curves, type Point, timeLeft } from '../../../src/operator/model/curve.ts';

const SECOND = 1000;
const START = Date.parse('2026-11-21T12:00:00Z');
const target = { metric: 'accuracy', value: '0.95' } as const;

/** A look every two seconds, until so many seconds after the start. */
const curve = (seconds: number, value: (second: number) => number): readonly Point[] =>
  Array.from({ length: Math.floor(seconds / 2) }, (_, i) => (i + 1) * 2).map((second) => ({
    at: START + second * SECOND,
    value: value(second),
  }));
const left = (seconds: number, value: (second: number) => number, toward: typeof target = target) =>
  timeLeft(curve(seconds, value), toward, START, START + seconds * SECOND);
/** Equal on every run, between -1 and 1. */
const noise = (second: number): number => Math.sin(second * 12.9898) ** 3;

describe('the estimate of the time that is left', () => {
  it('follows errors that fall as a power of time', () => {
    // 0.05 is reached after 100 s.
    expect(left(60, (t) => 1 - 0.5 / Math.sqrt(t))).toBeCloseTo(40 * SECOND, -2);
  });

  it('is not turned by noise or by a few wild points', () => {
    const noisy = left(60, (t) => 1 - 0.5 / Math.sqrt(t) + 0.005 * noise(t));
    expect(noisy).toBeGreaterThan(25 * SECOND);
    expect(noisy).toBeLessThan(60 * SECOND);
    const wild = left(60, (t) => (t % 20 === 0 ? 0.1 : 1 - 0.5 / Math.sqrt(t)));
    expect(wild).toBeCloseTo(40 * SECOND, -4);
  });

  it('is for losses too', () => {
    const loss = timeLeft(
      curve(60, (t) => 2 / t),
      { metric: 'loss', value: '0.02' },
      START,
      START + 60 * SECOND,
    );
    expect(loss).toBeCloseTo(40 * SECOND, -2);
  });

  it.each([
    ['that stand still', (): number => 0.9],
    ['that fall', (t: number): number => 0.9 - t / 1000],
    ['that flatten out below the target', (t: number): number => 0.9 - 0.4 * Math.exp(-t / 30)],
    ['that are noise', (t: number): number => 0.9 + 0.05 * noise(t)],
    ['that have passed the target by their trend', (t: number): number => 0.96 - 0.5 / t],
    ['that would take years', (t: number): number => 1 - 0.5 * t ** -0.05],
  ])('is none for values %s', (_what, value) => {
    expect(left(200, value)).toBeUndefined();
  });

  it('is none from too little, nor for a target that no power reaches', () => {
    const rising = (t: number) => 1 - 0.5 / Math.sqrt(t);
    expect(left(12, rising)).toBeUndefined();
    expect(timeLeft(curve(60, rising), { metric: 'accuracy', value: '1' }, START, START + 60 * SECOND)).toBeUndefined();
    expect(timeLeft(curve(60, rising), target, Number.NaN, START + 60 * SECOND)).toBeUndefined();
    expect(timeLeft([], target, START, START)).toBeUndefined();
  });

  it('is never silly, whatever the values', () => {
    const points = fc.array(fc.tuple(fc.integer({ min: -10, max: 1000 }), fc.double({ min: -1, max: 2 })), {
      maxLength: 64,
    });
    fc.assert(
      fc.property(
        points,
        fc.integer({ min: 0, max: 1000 }),
        fc.constantFrom('0', '0.5', '0.95', '1'),
        (all, end, value) => {
          const seen = all
            .map(([second, v]) => ({ at: START + second * SECOND, value: v }))
            .sort((a, b) => a.at - b.at);
          const ms = timeLeft(seen, { metric: 'accuracy', value }, START, START + end * SECOND);
          return ms === undefined || (ms > 0 && ms <= 5 * end * SECOND);
        },
      ),
    );
  });
});

describe('curves that are remembered', () => {
  it('are bounded in points, reach back to the beginning, and end near the present', () => {
    const curves = new Curves();
    let points: readonly Point[] = [];
    for (const point of curve(10_000, (t) => t)) points = curves.note('uid', target, point);
    expect(points.length).toBeLessThanOrEqual(64);
    expect(points.length).toBeGreaterThan(30);
    expect(points[0]?.at).toBe(START + 2 * SECOND);
    expect(START + 10_000 * SECOND - (points.at(-1)?.at ?? 0)).toBeLessThan(10_000 * SECOND * 0.05);
  });

  it('are begun anew for another target and when the clock is set back', () => {
    const curves = new Curves();
    curves.note('uid', target, { at: START, value: 0.5 });
    expect(curves.note('uid', { metric: 'accuracy', value: '0.9' }, undefined)).toEqual([]);
    expect(curves.note('uid', target, { at: START - 1, value: 0.6 })).toEqual([{ at: START - 1, value: 0.6 }]);
  });
});
