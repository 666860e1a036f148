import { vocabularyOf } from './architecture.ts';
import type { Dataset } from './dataset.ts';
import { DataError, ModelError } from './errors.ts';
import { isToken } from './instances.ts';
import type { LearnableModelSpec } from './spec.ts';
import type { Tables } from './tables.ts';

/** Rows that are looked at together. */
const ROWS = 256;

/**
 * For a model of token ids: every feature is one that the embedding has.
 * @throws DataError with the row, ModelError where the spec scales ids
 */
export function checkTokens({ shared, own }: Tables, { architecture, data }: LearnableModelSpec): void {
  const vocabulary = vocabularyOf(architecture);
  if (vocabulary === undefined) return;
  if (data.scale !== undefined && Number(data.scale) !== 1) {
    throw new ModelError(
      `data.scale is ${data.scale}, but the features are token ids, which are not scaled. Remove it.`,
    );
  }
  checkTable(shared, vocabulary);
  if (own !== undefined) checkTable(own, vocabulary);
}

function checkTable(table: Dataset, vocabulary: number): void {
  for (let start = 0; start < table.rows; start += ROWS) {
    const length = Math.min(ROWS, table.rows - start);
    const features = table.read(Int32Array.from({ length }, (_, i) => start + i));
    const at = features.findIndex((value) => !isToken(value, vocabulary));
    if (at < 0) continue;
    const row = start + Math.floor(at / table.columns);
    throw new DataError(
      'DataMalformed',
      `Record ${row} has ${features[at]} at position ${at % table.columns}; token ids are whole numbers from 0 to ` +
        `${vocabulary - 1}. Fix the record, or make a new Model with a larger vocabulary.`,
    );
  }
}
