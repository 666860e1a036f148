import type { Dataset } from './dataset.ts';
import { type Random, shuffle } from './random.ts';
import { applyScaling, type Rows, type Scaling } from './split.ts';

/** Rows of a table that serve one purpose: to train, to test, to compare. Features come scaled. */
export class Sample {
  readonly #table: Dataset;
  readonly #rows: Rows;
  readonly #scaling: Scaling;

  constructor(table: Dataset, rows: Rows, scaling: Scaling) {
    this.#table = table;
    this.#rows = rows;
    this.#scaling = scaling;
  }

  get size(): number {
    return this.#rows.length;
  }

  /** Scaled features and labels of rows start .. end, copied together. */
  slice(start: number, end: number): { readonly features: Float32Array; readonly labels: Int32Array } {
    const rows = this.#rows.subarray(start, end);
    const features = this.#table.read(rows);
    applyScaling(features, this.#scaling);
    return { features, labels: rows.map((row) => this.#table.labels[row] as number) };
  }
}

/** Mini-batches without end: every row once an epoch, in a new order each time; a rest that fills no batch is left. */
export class Batches {
  readonly #sample: Sample;
  readonly #rows: Rows;
  readonly #size: number;
  readonly #random: Random;
  #used: number;

  constructor(table: Dataset, rows: Rows, scaling: Scaling, batchSize: number, random: Random) {
    this.#rows = rows.slice();
    this.#sample = new Sample(table, this.#rows, scaling);
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
