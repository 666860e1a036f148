import type { LentRows } from './contract.ts';
import type { Dataset } from './dataset.ts';
import { BadInputError } from './errors.ts';
import { applyScaling, type Rows, type Scaling } from './split.ts';

/** Lent features may be so many times as large as the largest of the model's own, once scaled. */
const RANGE = 2;

/** What lent rows have to fit to. */
export interface LentTerms {
  /** Name of the Model, for messages. */
  readonly model: string;
  /** A scaled table whose size and range count. */
  readonly table: Dataset;
  readonly scaling: Scaling;
}

/**
 * Lent rows, checked and scaled; what was given stays as it is.
 * @throws BadInputError with the row and why it cannot be learned from
 */
export function scaledLent({ features: given, labels }: LentRows, { model, table, scaling }: LentTerms): LentRows {
  const { columns, classes } = table;
  if (given.length !== labels.length * columns) {
    throw new BadInputError(
      `${labels.length} rows with ${given.length} numbers do not fit: model ${model} takes ${columns} a row.`,
    );
  }
  labels.forEach((label, row) => {
    if (label >= 0 && label < classes) return;
    throw new BadInputError(`Row ${row + 1} has label ${label}; labels of model ${model} are 0 to ${classes - 1}.`);
  });
  const features = given.slice();
  applyScaling(features, scaling);
  const limit = RANGE * Math.max(1, largest(table.features));
  for (let i = 0; i < features.length; i++) {
    // NaN is within no range.
    if (Math.abs(features[i] as number) <= limit) continue;
    const [row, column] = [Math.floor(i / columns) + 1, (i % columns) + 1];
    throw new BadInputError(
      `Row ${row} has ${given[i]} in feature ${column}, far outside of what model ${model} learns from.`,
    );
  }
  return { features, labels };
}

/** A table of these rows and the lent ones, all of which are to be trained on. */
export function withLent(table: Dataset, rows: Rows, lent: LentRows): Dataset {
  const { columns, classes } = table;
  const all = rows.length + lent.labels.length;
  const features = new Float32Array(all * columns);
  const labels = new Int32Array(all);
  rows.forEach((row, i) => {
    features.set(table.features.subarray(row * columns, (row + 1) * columns), i * columns);
    labels[i] = table.labels[row] as number;
  });
  features.set(lent.features, rows.length * columns);
  labels.set(lent.labels, rows.length);
  return { features, labels, rows: all, columns, classes };
}

function largest(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  return most;
}
