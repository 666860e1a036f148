import { readFileSync } from 'node:fs';
import type { Dataset } from '../../src/learning/dataset.ts';
import { seeded } from '../../src/learning/random.ts';
import { applyScaling, partitionRows, probeRows, type Rows, scalingOf, splitRows } from '../../src/learning/split.ts';
import { readTable } from '../../src/learning/tables.ts';
import { Softmax, type StepOptions } from './linear.ts';

/** A table in memory, its features scaled, row by row. */
export interface ScaledTable {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly rows: number;
  readonly columns: number;
  readonly classes: number;
}

/** A data set, scaled and split as validators do it. */
export interface Prepared {
  readonly table: ScaledTable;
  readonly train: Rows;
  readonly test: Rows;
  readonly probe: Rows;
}

const FILES = {
  digits: { classes: 10, testRows: 360, scale: 16 },
  spambase: { classes: 2, testRows: 461, scale: undefined },
} as const;

export async function bundled(name: keyof typeof FILES): Promise<Prepared> {
  const file = `${name}.csv.gz`;
  const { classes, testRows, scale } = FILES[name];
  const bytes = readFileSync(new URL(`../../data/${file}`, import.meta.url));
  const table = await readTable(bytes, file, { format: 'csv', label: 'last', classes });
  return prepare(table, classes, testRows, scale);
}

/** @param label name of the label's column, or its number; the last where nothing is given */
export async function fromFile(path: string, label = 'last'): Promise<Prepared> {
  const table = await readTable(readFileSync(path), path, { format: 'auto', label, classes: 1000 });
  const classes = table.labels.reduce((most, one) => Math.max(most, one), 0) + 1;
  return prepare(table, classes, Math.floor(table.rows / 10), undefined);
}

function prepare(read: Dataset, classes: number, testRows: number, scale: number | undefined): Prepared {
  const { rows, columns, labels } = read;
  const { test, train } = splitRows(rows, { seed: 42, testRows });
  const features = read.read(Int32Array.from({ length: rows }, (_, row) => row));
  applyScaling(features, scalingOf(read, train, scale));
  return { table: { features, labels, rows, columns, classes }, train, test, probe: probeRows(train, 7) };
}

export type Partition = 'iid' | 'byLabel';

/**
 * Softmax learners, one a part of the training rows.
 * @param rolled so many of them, the last ones, are taught the class after the right one
 */
export function softmaxes(
  data: Prepared,
  of: number,
  partition: Partition,
  options: StepOptions,
  rolled = 0,
): readonly Softmax[] {
  const { labels, classes } = data.table;
  const wrong = { ...data, table: { ...data.table, labels: labels.map((label) => (label + 1) % classes) } };
  return Array.from({ length: of }, (_, index) => {
    const rows = partitionRows(data.train, labels, partition, { index, of });
    return new Softmax(index < of - rolled ? data : wrong, rows, options, seeded(1000 + index));
  });
}
