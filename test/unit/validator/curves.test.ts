import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CURVE_POINTS, type CurvePoint, LearningCurve } from '../../../src/validator/curve.ts';
import { Curves } from '../../../src/validator/curves.ts';
import { folder } from './fixtures.ts';
import { digits } from './flock.ts';

const point = (at: number, accuracy = 0.5): CurvePoint => ({
  at,
  updates: at,
  loss: 0.1,
  accuracy,
  divergence: null,
});

describe('a learning curve', () => {
  it('reaches from the first point to the newest in bounded room, however long it goes on', () => {
    const curve = new LearningCurve();
    for (let second = 0; second <= 100_000; second += 2) curve.add(point(second * 1000));
    const { points } = curve;
    expect(points.length).toBeLessThanOrEqual(CURVE_POINTS + 1);
    expect(points.length).toBeGreaterThan(CURVE_POINTS / 2);
    expect([points[0]?.at, points.at(-1)?.at]).toEqual([0, 100_000_000]);
    const gaps = points.slice(1, -1).map(({ at }, index) => at - (points[index]?.at ?? 0));
    expect(Math.max(...gaps)).toBe(Math.min(...gaps));
    expect(curve.encode().byteLength).toBeLessThan(256 * 1024);
  });

  it('is in order and bounded, and the same after it was written and read, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10_000_000 }), { maxLength: 600 }), (times) => {
        let curve = new LearningCurve();
        for (const [index, at] of times.entries()) {
          curve.add(point(at));
          if (index % 50 === 0) curve = LearningCurve.decode(curve.encode());
        }
        const { points } = curve;
        expect(points.length).toBeLessThanOrEqual(CURVE_POINTS + 1);
        expect(points).toEqual(points.toSorted((a, b) => a.at - b.at));
        expect(LearningCurve.decode(curve.encode()).points).toEqual(points);
      }),
      { numRuns: 50 },
    );
  });

  it.each(['', '{"v":1', '{"v":2,"step":2000,"points":[]}', '{"v":1,"step":2000,"points":[[1,2,3]]}', '[]'])(
    'is not read from %s',
    (text) => expect(() => LearningCurve.decode(Buffer.from(text))).toThrow(),
  );
});

describe('the curves of a validator', () => {
  async function watched(file?: string) {
    const at = file ?? path.join(await folder(), 'models', 'digits', 'curve.json');
    const unreadable: string[] = [];
    const now = { is: 1_000 };
    const model = digits();
    const task = {
      model,
      progress: { age: 10, loss: 0.5, accuracy: 0.8, divergence: Number.NaN },
      learner: {} as never,
    };
    const tasks = [task];
    const curves = new Curves({
      file: () => at,
      tasks: () => tasks,
      now: () => now.is,
      onUnreadable: (which) => unreadable.push(which),
    });
    return { at, unreadable, now, task, tasks, curves, model };
  }

  it('take a point when something has changed, and none otherwise', async () => {
    const { curves, now, task, model } = await watched();
    await curves.look();
    now.is += 5_000;
    await curves.look();
    task.progress = { ...task.progress, age: 20 };
    await curves.look();
    const points = curves.of(model.name)?.points;
    expect(points?.map(({ at, updates }) => [at, updates])).toEqual([
      [1_000, 10],
      [6_000, 20],
    ]);
    expect(points?.[0]).toEqual({ at: 1_000, updates: 10, loss: 0.5, accuracy: 0.8, divergence: null });
    expect(curves.of('letters')).toBeUndefined();
  });

  it('outlive a restart', async () => {
    const before = await watched();
    await before.curves.look();
    await before.curves.save();
    const after = await watched(before.at);
    after.now.is = 9_000;
    after.task.progress = { ...after.task.progress, age: 30 };
    await after.curves.look();
    expect(after.curves.of(after.model.name)?.points.map(({ updates }) => updates)).toEqual([10, 30]);
    expect(after.unreadable).toEqual([]);
  });

  it('start anew, and say so, where the file is torn', async () => {
    const first = await watched();
    await first.curves.look();
    await first.curves.save();
    const text = await readFile(first.at, 'utf8');
    await writeFile(first.at, text.slice(0, -3));
    const after = await watched(first.at);
    await after.curves.look();
    expect(after.unreadable).toEqual([first.at]);
    expect(after.curves.of(after.model.name)?.points).toHaveLength(1);
    await after.curves.save();
    expect(() => JSON.parse(text)).not.toThrow();
    expect((await watched(first.at)).unreadable).toEqual([]);
  });

  it('are forgotten with the model', async () => {
    const { curves, tasks, model } = await watched();
    await curves.look();
    tasks.length = 0;
    await curves.look();
    expect(curves.of(model.name)).toBeUndefined();
  });
});
