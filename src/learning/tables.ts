import { BUILTIN_FACTS } from './builtin.ts';
import { type DataLimits, type Dataset, DEFAULT_DATA_LIMITS, parseCsv } from './dataset.ts';
import { DataError } from './errors.ts';
import type { LearnableModelSpec } from './spec.ts';

type DataSpec = LearnableModelSpec['data'];

/** The tables of a model: the shared one and, for partition `own`, one's own to train on. */
export interface Tables {
  readonly shared: Dataset;
  readonly own?: Dataset;
  /** Divisor of features; undefined: standardise. */
  readonly scale: number | undefined;
}

/** Name of the file that `spec.data.source` points to, for messages. */
export function fileNameOf(source: DataSpec['source']): string {
  if (source.builtin !== undefined) return BUILTIN_FACTS[source.builtin].file;
  if (source.url !== undefined) return new URL(source.url).pathname.split('/').at(-1) || source.url;
  if (source.configMap !== undefined) return source.configMap.key;
  return source.claim?.path ?? 'the data file';
}

/**
 * Parses what the learner was given.
 * @throws DataError with the row and the fix
 */
export function prepareData(
  init: {
    readonly model: { readonly spec: LearnableModelSpec };
    readonly data: Uint8Array;
    readonly ownData?: Uint8Array | undefined;
  },
  limits: DataLimits = DEFAULT_DATA_LIMITS,
): Tables {
  const spec = init.model.spec.data;
  const facts = spec.source.builtin === undefined ? undefined : BUILTIN_FACTS[spec.source.builtin];
  const { classes } = spec;
  const shared = parseCsv(init.data, { file: fileNameOf(spec.source), label: spec.label, classes }, limits);
  const scale = spec.scale ?? facts?.scale;
  const tables = { shared, scale: scale === undefined ? undefined : Number(scale) };
  if (spec.partition !== 'own') return tables;
  if (init.ownData === undefined) {
    throw new DataError(
      'DataUnreachable',
      'data.partition is own, but this validator has no data of its own. Set data.claimName or data.configMap in the ' +
        'ValidatorNode, or data.partition to iid.',
    );
  }
  const own = parseCsv(init.ownData, { file: "the validator's own data", label: spec.label, classes }, limits);
  if (own.columns !== shared.columns) {
    throw new DataError(
      'DataMalformed',
      `The validator's own data have ${own.columns} feature columns, the model's have ${shared.columns}. Use the same columns.`,
    );
  }
  return { ...tables, own };
}
