import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aggregate, type Interaction, NEUTRAL, ReputationBook } from '../../../src/trust/index.ts';

const clock = { time: 0, now: () => clock.time };
const book = (): ReputationBook => new ReputationBook(clock);
const hour = 3_600_000;

describe('a reputation', () => {
  it('begins neutral', () => {
    expect(book().of('anybody')).toEqual({ score: 0.5, storage: 0.5, learning: 0.5, interactions: 0.5 });
  });

  it('gives no good name to who poisons models, however well it stores and behaves', () => {
    const one = book();
    for (let nth = 0; nth < 80; nth++) {
      one.challengePassed('liar');
      one.interaction('liar', 'ok');
      one.mergeEffect('liar', 0.2, 4);
    }
    const { score, storage } = one.of('liar');
    expect(storage).toBeGreaterThan(0.95);
    expect(score).toBeLessThan(0.2);
  });

  it('stays within 0..1 and its score between its parts, whatever happens', () => {
    const event = fc.oneof(
      fc
        .constantFrom<Interaction>('ok', 'malformed', 'timeout', 'refused', 'oversize', 'wrong-bytes')
        .map((what) => (b: ReputationBook) => b.interaction('p', what)),
      fc.boolean().map((good) => (b: ReputationBook) => (good ? b.challengePassed('p') : b.challengeFailed('p'))),
      fc.tuple(fc.double(), fc.double()).map(
        ([before, after]) =>
          (b: ReputationBook) =>
            b.mergeEffect('p', before, after),
      ),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const one = book();
        for (const happen of events) happen(one);
        const { score, ...parts } = one.of('p');
        for (const value of [score, ...Object.values(parts)]) {
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(1);
        }
        expect(score).toBeGreaterThanOrEqual(Math.min(...Object.values(parts)) - 1e-9);
        expect(score).toBeLessThanOrEqual(Math.max(...Object.values(parts)) + 1e-9);
      }),
    );
  });

  it('rises with good deeds and falls faster with bad ones, each in its own part', () => {
    const one = book();
    for (let deed = 0; deed < 50; deed++) {
      one.interaction('p', 'ok');
      one.challengePassed('p');
      one.mergeEffect('p', 1, 0.95);
    }
    const before = one.of('p');
    expect(before.storage).toBeGreaterThan(0.95);
    expect(before.interactions).toBeGreaterThan(0.75);
    expect(before.learning).toBeGreaterThan(0.7);
    one.interaction('p', 'wrong-bytes');
    one.interaction('p', 'wrong-bytes');
    const after = one.of('p');
    expect(after.interactions).toBeLessThan(0.25);
    expect(after.storage).toBe(before.storage);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1])(
    'takes a loss of %d for harm',
    (loss) => {
      const one = book();
      one.mergeEffect('p', 1, loss);
      expect(one.of('p').learning).toBeLessThan(NEUTRAL);
    },
  );

  it('fades to neutral, half of the way in six hours', () => {
    const one = book();
    one.challengeFailed('p');
    const low = one.of('p').storage;
    clock.time += 6 * hour;
    expect(one.of('p').storage).toBeCloseTo((low + NEUTRAL) / 2);
    clock.time += 1_000 * hour;
    expect(one.of('p').storage).toBeCloseTo(NEUTRAL);
  });

  it('is kept over a restart, with its age', () => {
    const one = book();
    one.challengeFailed('p');
    one.interaction('q', 'ok');
    clock.time += hour;
    const json = JSON.parse(JSON.stringify(one)) as unknown;
    const later = { now: () => 5 };
    const again = ReputationBook.fromJSON(json, later);
    expect(again.of('p').storage).toBeCloseTo(one.of('p').storage);
    expect(again.all().size).toBe(2);
    expect(() => ReputationBook.fromJSON({ v: 1, peers: { p: { storage: 7 } } }, later)).toThrow();
  });

  it('as many see it is the median of each part: less than half of the reporters cannot move it beyond the honest', () => {
    const part = fc.double({ min: 0, max: 1, noNaN: true });
    const report = fc.record({ storage: part, learning: part, interactions: part });
    const anything = fc.record({ storage: fc.double(), learning: fc.double(), interactions: fc.double() });
    fc.assert(
      fc.property(
        fc.array(report, { minLength: 3, maxLength: 9 }),
        fc.array(anything, { maxLength: 8 }),
        (honest, liars) => {
          const result = aggregate([...honest, ...liars.slice(0, honest.length - 1)]);
          for (const name of ['storage', 'learning', 'interactions'] as const) {
            const values = honest.map((one) => one[name]);
            expect(result[name]).toBeGreaterThanOrEqual(Math.min(...values));
            expect(result[name]).toBeLessThanOrEqual(Math.max(...values));
          }
        },
      ),
    );
    expect(aggregate([]).score).toBe(NEUTRAL);
  });
});
