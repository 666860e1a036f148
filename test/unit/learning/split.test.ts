import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_DATA_LIMITS } from '../../../src/learning/data-limits.ts';
import { TableBuilder } from '../../../src/learning/dataset.ts';
import { DataError } from '../../../src/learning/errors.ts';
import {
  applyScaling,
  PROBE_ROWS,
  partitionRows,
  probeRows,
  scalingOf,
  splitRows,
} from '../../../src/learning/split.ts';
import { digits, featuresOf } from './fleet.ts';

const split = { seed: 42, testRows: 360 };

describe('splitRows', () => {
  it('holds out 360 of the 1797 digits, the same ones every time', () => {
    const first = splitRows(1797, split);
    expect(first.test.length).toBe(360);
    expect(first.train.length).toBe(1437);
    expect(new Set([...first.test, ...first.train]).size).toBe(1797);
    expect(splitRows(1797, split)).toEqual(first);
    expect(splitRows(1797, { ...split, seed: 43 }).test).not.toEqual(first.test);
  });

  it('refuses to hold out everything', () => {
    expect(() => splitRows(360, split)).toThrow(DataError);
  });
});

describe('partitionRows', async () => {
  const table = await digits();
  const { train } = splitRows(table.rows, split);

  it.each(['iid', 'byLabel'] as const)('%s parts are disjoint, cover all rows and have equal sizes', (partition) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), (of) => {
        const parts = Array.from({ length: of }, (_, index) =>
          partitionRows(train, table.labels, partition, { index, of }),
        );
        const sizes = parts.map((part) => part.length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(parts.flatMap((part) => [...part]).sort()).toEqual([...train].sort());
      }),
      { numRuns: 20 },
    );
  });

  it('byLabel gives each of four validators two to four digits, iid all ten', () => {
    const labels = (partition: 'iid' | 'byLabel', index: number) =>
      new Set([...partitionRows(train, table.labels, partition, { index, of: 4 })].map((row) => table.labels[row]))
        .size;
    for (let index = 0; index < 4; index++) {
      expect(labels('byLabel', index)).toBeLessThanOrEqual(4);
      expect(labels('iid', index)).toBe(10);
    }
  });

  it('own is everything, and more validators than rows are refused', () => {
    expect(partitionRows(train, table.labels, 'own', { index: 2, of: 4 })).toEqual(train);
    expect(() => partitionRows(train.slice(0, 3), table.labels, 'iid', { index: 0, of: 4 })).toThrow(/too few/);
    expect(() => partitionRows(train, table.labels, 'iid', { index: 4, of: 4 })).toThrow(RangeError);
  });
});

describe('probeRows', () => {
  it('is the same for all validators, changes with the seed and never touches the held-out rows', () => {
    const { train, test } = splitRows(1797, split);
    const probe = probeRows(train, 7);
    expect(probe.length).toBe(PROBE_ROWS);
    expect(probeRows(train, 7)).toEqual(probe);
    expect(probeRows(train, 8)).not.toEqual(probe);
    expect([...probe].filter((row) => test.includes(row))).toEqual([]);
  });
});

describe('scaling', () => {
  it('divides by the scale, or standardises by the training rows', () => {
    const builder = new TableBuilder(
      { file: 'a table', shape: [2], classes: 2, kind: 'float32' },
      { limits: DEFAULT_DATA_LIMITS, scratch: tmpdir() },
    );
    for (const row of [
      [2, 5],
      [4, 5],
      [99, 7],
    ]) {
      builder.next.set(row);
      builder.add(0);
    }
    const table = builder.finish();
    const halves = featuresOf(table);
    applyScaling(halves, scalingOf(table, Int32Array.of(0, 1), 2));
    expect([...halves]).toEqual([1, 2.5, 2, 2.5, 49.5, 3.5]);
    const standard = featuresOf(table);
    applyScaling(standard, scalingOf(table, Int32Array.of(0, 1), undefined));
    // A constant column becomes zero instead of dividing by zero.
    expect([...standard]).toEqual([-1, 0, 1, 0, 96, 0]);
  });
});
