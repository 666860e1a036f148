import { expect, it } from 'vitest';
import type { Dataset } from '../../../src/learning/dataset.ts';
import { joined, memoryTable } from '../../../src/learning/joined.ts';

const record = { shape: [2], columns: 2, classes: 10 };
const tableOf = (labels: number[]): Dataset =>
  memoryTable(
    {
      features: Float32Array.from(labels.flatMap((label) => [label, label + 0.5])),
      labels: Int32Array.from(labels),
    },
    record,
  );

it('two tables are read as one, in whatever order rows are asked for', () => {
  const both = joined(tableOf([0, 1, 2]), tableOf([7, 8]));
  expect({ ...both, labels: [...both.labels] }).toMatchObject({ rows: 5, ...record, labels: [0, 1, 2, 7, 8] });
  expect([...both.read(Int32Array.of(4, 1, 3, 0, 4))]).toEqual([8, 8.5, 1, 1.5, 7, 7.5, 0, 0.5, 8, 8.5]);
  expect([...both.read(Int32Array.of(2))]).toEqual([2, 2.5]);
});

it('what is read of rows in memory is a copy', () => {
  const table = tableOf([3]);
  table.read(Int32Array.of(0)).fill(9);
  expect([...table.read(Int32Array.of(0))]).toEqual([3, 3.5]);
});

it('two tables that are one are closed together', () => {
  const closed: string[] = [];
  const closing = (name: string): Dataset => ({ ...tableOf([1]), close: () => void closed.push(name) });
  joined(closing('first'), closing('second')).close();
  expect(closed).toEqual(['first', 'second']);
});
