import type { Dataset } from './dataset.ts';
import { type Random, shuffle } from './random.ts';
import type { Rows } from './split.ts';

/** Rows of a table that serve one purpose: to train, to test, to compare. */
export class Sample {
  readonly #table: Dataset;
  readonly #rows: Rows;

  constructor(table: Dataset, rows: Rows) {
    this.#table = table;
    this.#rows = rows;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Features and labels of rows start .. end, copied together. */
  slice(start: number, end: number): { readonly features: Float32Array; readonly labels: Int32Array } {
    const { columns, features, labels } = this.#table;
    const rows = this.#rows.subarray(start, end);
    const gathered = new Float32Array(rows.length * columns);
    rows.forEach((row, i) => {
      gathered.set(features.subarray(row * columns, (row + 1) * columns), i * columns);
    });
    return { features: gathered, labels: rows.map((row) => labels[row] as number) };
  }
}

/** Mini-batches without end: every row once an epoch, in a new order each time; a rest that fills no batch is left. */
export class Batches {
  readonly #sample: Sample;
  readonly #rows: Rows;
  readonly #size: number;
  readonly #random: Random;
  #used: number;

  constructor(table: Dataset, rows: Rows, batchSize: number, random: Random) {
    this.#rows = rows.slice();
    this.#sample = new Sample(table, this.#rows);
    this.#size = Math.min(batchSize, rows.length);
    this.#random = random;
    this.#used = rows.length;
  }

  next(): { readonly features: Float32Array; readonly labels: Int32Array } {
    if (this.#used + this.#size > this.#rows.length) {
      // The sample looks at the same rows, so it sees the new order.
      shuffle(this.#rows, this.#random);
      this.#used = 0;
    }
    this.#used += this.#size;
    return this.#sample.slice(this.#used - this.#size, this.#used);
  }
}
