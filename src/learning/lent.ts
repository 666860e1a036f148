import type { LentRows } from './contract.ts';
import type { Dataset } from './dataset.ts';
import { BadInputError } from './errors.ts';
import { isToken } from './instances.ts';
import { memoryTable } from './joined.ts';
import { applyScaling, type Scaling } from './split.ts';

/** Lent features may be so many times as large as the largest of the model's own, once scaled. */
const RANGE = 2;
/** Rows of the model that are looked at together. */
const ROWS = 256;

/** What lent rows have to fit to. */
export interface LentTerms {
  /** Name of the Model, for messages. */
  readonly model: string;
  /** A table whose records and range count. */
  readonly table: Dataset;
  readonly scaling: Scaling;
  /** Number of tokens, where features are token ids. */
  readonly vocabulary: number | undefined;
}

/** Takes rows that are lent to a model, where they fit it. */
export class Lending {
  readonly #terms: LentTerms;
  /** Found when the first rows are lent: to most models none are. */
  #limit: number | undefined;

  constructor(terms: LentTerms) {
    this.#terms = terms;
  }

  /**
   * Lent rows as a table, on the scale of the file.
   * @throws BadInputError with the row and why it cannot be learned from
   */
  tableOf(rows: LentRows): Dataset {
    const { model, table } = this.#terms;
    const { columns, classes } = table;
    const { features, labels } = rows;
    if (features.length !== labels.length * columns) {
      throw new BadInputError(
        `${labels.length} rows with ${features.length} numbers do not fit: model ${model} takes ${columns} a row.`,
      );
    }
    labels.forEach((label, row) => {
      if (label >= 0 && label < classes) return;
      throw new BadInputError(`Row ${row + 1} has label ${label}; labels of model ${model} are 0 to ${classes - 1}.`);
    });
    this.#checkFeatures(features);
    return memoryTable(rows, table);
  }

  #checkFeatures(features: Float32Array): void {
    const { model, table, scaling, vocabulary } = this.#terms;
    this.#limit ??= RANGE * Math.max(1, largestOf(table, scaling));
    const scaled = features.slice();
    applyScaling(scaled, scaling);
    for (let i = 0; i < scaled.length; i++) {
      const given = features[i] as number;
      // NaN is within no range.
      const isNear = Math.abs(scaled[i] as number) <= this.#limit;
      if (isNear && (vocabulary === undefined || isToken(given, vocabulary))) continue;
      const [row, column] = [Math.floor(i / table.columns) + 1, (i % table.columns) + 1];
      const why =
        vocabulary === undefined
          ? `far outside of what model ${model} learns from`
          : `which is no token of model ${model}: those are whole numbers from 0 to ${vocabulary - 1}`;
      throw new BadInputError(`Row ${row} has ${given} in feature ${column}, ${why}.`);
    }
  }
}

/** The greatest of a table's numbers, once scaled, whatever its sign. */
function largestOf(table: Dataset, scaling: Scaling): number {
  let most = 0;
  for (let start = 0; start < table.rows; start += ROWS) {
    const length = Math.min(ROWS, table.rows - start);
    const features = table.read(Int32Array.from({ length }, (_, i) => start + i));
    applyScaling(features, scaling);
    for (let i = 0; i < features.length; i++) most = Math.max(most, Math.abs(features[i] as number));
  }
  return most;
}
