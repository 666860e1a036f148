import { ModelError } from '../../src/learning/errors.ts';
import { allFinite, type Layout, layoutOf } from '../../src/learning/layout.ts';
import { type Random, shuffle } from '../../src/learning/random.ts';
import type { Rows } from '../../src/learning/split.ts';
import type { Trainee } from '../../src/learning/trainee.ts';
import type { ScaledTable } from './tables.ts';

/** Layout of preset logistic, as the training worker has it. */
export const softmaxLayout = (columns: number, classes: number): Layout =>
  layoutOf([
    { name: '0_dense/kernel', shape: [columns, classes] },
    { name: '0_dense/bias', shape: [classes] },
  ]);

/** Rows of a table whose features are scaled, with the rows of the shared probe. */
export interface Task {
  readonly table: ScaledTable;
  readonly probe: Rows;
}

export interface StepOptions {
  readonly localSteps: number;
  readonly batchSize: number;
  readonly learningRate: number;
}

/**
 * Multinomial logistic regression in plain loops: the same step as preset logistic does with sgd in TensorFlow.js (a
 * test holds the two against each other), a thousand times as many of them a second for one record.
 */
export class Softmax implements Trainee {
  readonly layout: Layout;
  readonly guessing: number;
  readonly #task: Task;
  readonly #rows: Rows;
  readonly #options: StepOptions;
  readonly #random: Random;
  #used: number;

  constructor(task: Task, rows: Rows, options: StepOptions, random: Random) {
    const { columns, classes } = task.table;
    this.layout = softmaxLayout(columns, classes);
    this.guessing = Math.log(classes);
    this.#task = task;
    this.#rows = rows.slice();
    this.#options = { ...options, batchSize: Math.min(options.batchSize, rows.length) };
    this.#random = random;
    this.#used = rows.length;
  }

  train(weights: Float32Array): { readonly steps: number; readonly loss: number } {
    const { localSteps } = this.#options;
    const before = weights.slice();
    let sum = 0;
    for (let step = 0; step < localSteps; step++) sum += this.step(weights, this.#batch());
    if (!Number.isFinite(sum) || !allFinite(weights)) {
      weights.set(before);
      throw new ModelError('Training diverged: the loss is no longer a number. Set a smaller learning rate.');
    }
    return { steps: localSteps, loss: sum / localSteps };
  }

  /** One step on a batch; gives its mean cross-entropy before. */
  step(weights: Float32Array, batch: Rows): number {
    const { columns, classes, features, labels } = this.#task.table;
    const gradient = new Float32Array(weights.length);
    let loss = 0;
    for (const row of batch) {
      const logits = logitsOf(weights, this.#task.table, row);
      const label = labels[row] as number;
      const total = logSum(logits);
      loss += total - (logits[label] as number);
      for (let k = 0; k < classes; k++) {
        const error = Math.exp((logits[k] as number) - total) - (k === label ? 1 : 0);
        for (let c = 0; c < columns; c++) {
          const at = c * classes + k;
          gradient[at] = (gradient[at] as number) + error * (features[row * columns + c] as number);
        }
        gradient[columns * classes + k] = (gradient[columns * classes + k] as number) + error;
      }
    }
    const rate = this.#options.learningRate / batch.length;
    for (let i = 0; i < weights.length; i++) weights[i] = (weights[i] as number) - rate * (gradient[i] as number);
    return loss / batch.length;
  }

  probe(weights: Float32Array): number {
    const { table, probe } = this.#task;
    let loss = 0;
    for (const row of probe) {
      const logits = logitsOf(weights, table, row);
      loss += logSum(logits) - (logits[table.labels[row] as number] as number);
    }
    return loss / probe.length;
  }

  #batch(): Rows {
    const { batchSize } = this.#options;
    if (this.#used + batchSize > this.#rows.length) {
      shuffle(this.#rows, this.#random);
      this.#used = 0;
    }
    this.#used += batchSize;
    return this.#rows.subarray(this.#used - batchSize, this.#used);
  }
}

/** Share of rows that a softmax model gets wrong. */
export function softmaxError(weights: Float32Array, table: ScaledTable, rows: Rows): number {
  let wrong = 0;
  for (const row of rows) {
    const logits = logitsOf(weights, table, row);
    let best = 0;
    for (let k = 1; k < logits.length; k++) if ((logits[k] as number) > (logits[best] as number)) best = k;
    if (best !== table.labels[row]) wrong++;
  }
  return wrong / rows.length;
}

/** The logits of a row, in an array that the next call uses again. */
function logitsOf(weights: Float32Array, { columns, classes, features }: ScaledTable, row: number): Float64Array {
  if (scratch.length !== classes) scratch = new Float64Array(classes);
  const logits = scratch;
  const bias = columns * classes;
  const first = row * columns;
  for (let k = 0; k < classes; k++) logits[k] = weights[bias + k] as number;
  for (let c = 0; c < columns; c++) {
    const x = features[first + c] as number;
    if (x === 0) continue;
    const at = c * classes;
    for (let k = 0; k < classes; k++) logits[k] = (logits[k] as number) + x * (weights[at + k] as number);
  }
  return logits;
}
let scratch = new Float64Array();

function logSum(logits: Float64Array): number {
  let top = logits[0] as number;
  for (let k = 1; k < logits.length; k++) top = Math.max(top, logits[k] as number);
  let sum = 0;
  for (let k = 0; k < logits.length; k++) sum += Math.exp((logits[k] as number) - top);
  return top + Math.log(sum);
}

/** Layout of Pegasos: one weight a column, the last of the constant 1. */
export const pegasosLayout = (columns: number): Layout => layoutOf([{ name: 'pegasos', shape: [columns + 1] }]);

/**
 * Pegasos (Shalev-Shwartz et al. 2007), a linear support vector machine for labels 0 and 1: at age t a step of
 * 1 / (lambda t) on one record. Its hinge loss means nothing while steps are large, so the probe counts wrong answers.
 */
export class Pegasos implements Trainee {
  readonly layout: Layout;
  readonly guessing = 0.5;
  readonly #task: Task;
  readonly #rows: Rows;
  readonly #lambda: number;
  #next = 0;

  constructor(task: Task, rows: Rows, lambda: number) {
    this.layout = pegasosLayout(task.table.columns);
    this.#task = task;
    this.#rows = rows;
    this.#lambda = lambda;
  }

  train(weights: Float32Array, age: number): { readonly steps: number; readonly loss: number } {
    const { columns, features, labels } = this.#task.table;
    const row = this.#rows[this.#next++ % this.#rows.length] as number;
    const y = labels[row] === 1 ? 1 : -1;
    const rate = 1 / (this.#lambda * (age + 1));
    const hinge = 1 - y * marginOf(weights, this.#task.table, row);
    const kept = 1 - rate * this.#lambda;
    const added = hinge > 0 ? rate * y : 0;
    for (let c = 0; c < columns; c++) {
      weights[c] = kept * (weights[c] as number) + added * (features[row * columns + c] as number);
    }
    weights[columns] = kept * (weights[columns] as number) + added;
    return { steps: 1, loss: Math.max(0, hinge) };
  }

  probe(weights: Float32Array): number {
    return pegasosError(weights, this.#task.table, this.#task.probe);
  }
}

/** Share of rows on the wrong side. */
export function pegasosError(weights: Float32Array, table: ScaledTable, rows: Rows): number {
  let wrong = 0;
  for (const row of rows) if ((marginOf(weights, table, row) > 0 ? 1 : 0) !== table.labels[row]) wrong++;
  return wrong / rows.length;
}

function marginOf(weights: Float32Array, { columns, features }: ScaledTable, row: number): number {
  let margin = weights[columns] as number;
  for (let c = 0; c < columns; c++) margin += (weights[c] as number) * (features[row * columns + c] as number);
  return margin;
}
