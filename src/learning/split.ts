import type { ModelInput, PartitionSlot } from './contract.ts';
import type { Dataset } from './dataset.ts';
import { DataError, ModelError } from './errors.ts';
import { seeded, shuffle } from './random.ts';

/** Row numbers of a dataset. */
export type Rows = Int32Array;

/** Labelled samples of the shared probe. */
export const PROBE_ROWS = 200;

export interface Split {
  readonly train: Rows;
  /** Held out: nobody trains on them, and no decision (merge, vote) looks at them. */
  readonly test: Rows;
}

/**
 * Shuffles the rows with the seed; the first `testRows` are held out. All validators compute the same split.
 * @throws DataError when nothing would be left to train on
 */
export function splitRows(rows: number, split: { readonly seed: number; readonly testRows: number }): Split {
  if (split.testRows >= rows) {
    throw new DataError(
      'DataMalformed',
      `The data hold ${rows} rows and data.split.testRows is ${split.testRows}: nothing is left to train on. ` +
        'Set data.split.testRows to about a fifth of the rows.',
    );
  }
  const order = shuffle(
    Int32Array.from({ length: rows }, (_, row) => row),
    seeded(split.seed),
  );
  return { test: order.slice(0, split.testRows), train: order.slice(split.testRows) };
}

/**
 * The training rows of one part. `iid`: every `of`-th row of the shuffled order. `byLabel`: rows sorted by label, cut
 * into `of` runs, so that a part knows few labels only. `own`: all of them. Parts are disjoint and cover everything.
 * @throws DataError when the part would be empty
 * @throws RangeError when the slot makes no sense
 */
export function partitionRows(
  train: Rows,
  labels: Int32Array,
  partition: 'iid' | 'byLabel' | 'own',
  slot: PartitionSlot,
): Rows {
  const { index, of } = slot;
  if (!Number.isInteger(of) || !Number.isInteger(index) || of < 1 || index < 0 || index >= of) {
    throw new RangeError(`There is no part ${index} of ${of}: parts are numbered from 0 to of - 1.`);
  }
  if (partition === 'own') return train;
  if (train.length < of) {
    throw new DataError(
      'DataMalformed',
      `The data leave ${train.length} rows to train on, too few for ${of} validators. Use more rows or fewer validators.`,
    );
  }
  if (partition === 'iid') return train.filter((_, i) => i % of === index);
  // Array.prototype.sort is stable, so equal labels keep the shuffled order.
  const sorted = train.slice().sort((a, b) => (labels[a] as number) - (labels[b] as number));
  return sorted.slice(Math.floor((index * sorted.length) / of), Math.floor(((index + 1) * sorted.length) / of));
}

/**
 * The shared probe: 200 labelled rows (or all, if there are fewer) on which validators compare models.
 * They come from the training rows, not from the held-out ones: merges and votes decide by the probe, and a test set
 * that decisions have seen no longer tells how good the outcome is. That one validator has trained on each probe row
 * moves its own loss there a little; the probe tells a good model from a bad one, not the best from the second best.
 */
export function probeRows(train: Rows, seed: number): Rows {
  return shuffle(train.slice(), seeded(seed)).slice(0, PROBE_ROWS);
}

/** Divides by `scale`, or, where there is none, standardises: mean 0 and deviation 1 over the given rows. */
export interface Scaling {
  readonly offset: Float32Array;
  readonly factor: Float32Array;
}

/** Rows that are looked at together. */
const SCALING_ROWS = 256;

/** How features are scaled. Computed from the shared training rows, hence equal on all validators. */
export function scalingOf(dataset: Dataset, rows: Rows, scale: number | undefined): Scaling {
  const { columns } = dataset;
  const offset = new Float32Array(columns);
  const factor = new Float32Array(columns).fill(1);
  if (scale !== undefined) return { offset, factor: factor.fill(1 / scale) };
  // In the order of the file, which a disk likes.
  const ordered = rows.slice().sort();
  const sums = new Float64Array(columns);
  eachValue(dataset, ordered, (value, c) => {
    sums[c] = (sums[c] as number) + value;
  });
  const means = sums.map((sum) => sum / rows.length);
  const squares = new Float64Array(columns);
  eachValue(dataset, ordered, (value, c) => {
    squares[c] = (squares[c] as number) + (value - (means[c] as number)) ** 2;
  });
  squares.forEach((square, c) => {
    const deviation = Math.sqrt(square / rows.length);
    offset[c] = means[c] as number;
    factor[c] = deviation > 1e-12 ? 1 / deviation : 0;
  });
  return { offset, factor };
}

/** Scaling as another learner of the model has it. @throws ModelError when it is for rows of another length */
export function givenScaling({ factor, offset }: ModelInput['scaling'], columns: number, model: string): Scaling {
  const factors = typeof factor === 'number' ? new Float32Array(columns).fill(factor) : Float32Array.from(factor);
  const offsets = offset === undefined ? new Float32Array(columns) : Float32Array.from(offset);
  if (factors.length !== columns || offsets.length !== columns) {
    throw new ModelError(`The data have ${columns} feature columns, model ${model} takes ${factors.length}.`);
  }
  return { offset: offsets, factor: factors };
}

function eachValue(dataset: Dataset, rows: Rows, use: (value: number, column: number) => void): void {
  for (let start = 0; start < rows.length; start += SCALING_ROWS) {
    const features = dataset.read(rows.subarray(start, start + SCALING_ROWS));
    for (let i = 0; i < features.length; i++) use(features[i] as number, i % dataset.columns);
  }
}

/** Scales rows of features in place. */
export function applyScaling(features: Float32Array, scaling: Scaling): void {
  const columns = scaling.offset.length;
  for (let i = 0; i < features.length; i++) {
    const c = i % columns;
    features[i] = ((features[i] as number) - (scaling.offset[c] as number)) * (scaling.factor[c] as number);
  }
}
