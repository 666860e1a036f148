import { tmpdir } from 'node:os';
import { BUILTIN_FACTS } from './builtin.ts';
import { type ByteSource, diskSource, memorySource } from './byte-source.ts';
import type { DataBytes, DataFile } from './contract.ts';
import { readCsv } from './csv.ts';
import { DEFAULT_DATA_LIMITS } from './data-limits.ts';
import type { Dataset, TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';
import { formatOf } from './format.ts';
import { readIdx } from './idx.ts';
import { readImages } from './images.ts';
import { readNpy, readNpz } from './npz.ts';
import type { LearnableModelSpec } from './spec.ts';

type DataSpec = LearnableModelSpec['data'];

/** The tables of a model: the shared one and, for partition `own`, one's own to train on. */
export interface Tables {
  readonly shared: Dataset;
  readonly own?: Dataset;
  /** Divisor of features; undefined: standardise. */
  readonly scale: number | undefined;
}

/** Greatest value of a byte: what bytes are divided by where nobody says otherwise. */
const BYTE_SCALE = 255;

/** Name of the file that `spec.data.source` points to, for messages. */
export function fileNameOf(source: DataSpec['source']): string {
  if (source.builtin !== undefined) return BUILTIN_FACTS[source.builtin].file;
  if (source.url !== undefined) return new URL(source.url).pathname.split('/').at(-1) || source.url;
  if (source.configMap !== undefined) return source.configMap.key;
  return source.claim?.path ?? 'the data file';
}

/**
 * Reads what the learner was given into tables.
 * @throws DataError with the row and the fix
 */
export async function prepareData(
  init: {
    readonly model: { readonly spec: LearnableModelSpec };
    readonly data: DataFile;
    readonly ownData?: DataFile | undefined;
  },
  room: TableRoom,
): Promise<Tables> {
  const spec = init.model.spec.data;
  const facts = spec.source.builtin === undefined ? undefined : BUILTIN_FACTS[spec.source.builtin];
  const shared = await readTable(init.data, fileNameOf(spec.source), spec, room);
  try {
    const scale = Number(spec.scale ?? facts?.scale ?? (shared.kind === 'uint8' ? BYTE_SCALE : Number.NaN));
    const tables = { shared, scale: Number.isNaN(scale) ? undefined : scale };
    if (spec.partition !== 'own') return tables;
    if (init.ownData === undefined) {
      throw new DataError(
        'DataUnreachable',
        'data.partition is own, but this validator has no data of its own. Set data.claimName or data.configMap in the ' +
          'ValidatorNode, or data.partition to iid.',
      );
    }
    const own = await readTable(init.ownData, "the validator's own data", spec, room);
    if (own.columns !== shared.columns) {
      own.close();
      throw new DataError(
        'DataShapeMismatch',
        `The validator's own data have ${own.columns} feature columns, the model's have ${shared.columns}. Use the same columns.`,
      );
    }
    return { ...tables, own };
  } catch (error) {
    shared.close();
    throw error;
  }
}

/** How a file is read. */
export type TableSpec = Pick<DataSpec, 'format' | 'shape' | 'label' | 'labels' | 'classes'>;

const USUAL_ROOM: TableRoom = { limits: DEFAULT_DATA_LIMITS, scratch: tmpdir() };

/**
 * Reads one file, of whatever format it is, into a table.
 * @param name of the file, for messages
 * @throws DataError with the row and the fix
 */
export async function readTable(
  file: DataFile,
  name: string,
  spec: TableSpec,
  room: TableRoom = USUAL_ROOM,
): Promise<Dataset> {
  const { records, labels } = 'records' in file ? file : { records: file, labels: undefined };
  if ('folder' in records) {
    if (spec.format !== 'auto' && spec.format !== 'images') {
      throw new DataError(
        'DataFormatUnknown',
        `${name} is a folder, data.format is ${spec.format}. Name a file in it.`,
      );
    }
    return readImages({ folder: records.folder, name }, spec, room);
  }
  const source = sourceOf(records, name);
  const format = await formatOf(source, spec.format, room);
  switch (format) {
    case 'csv':
      return readCsv(source, spec, room);
    case 'npy':
      return readNpy(source, spec, room);
    case 'npz':
      return readNpz(source, spec, room);
    case 'images':
      return readImages(source, spec, room);
    case 'idx':
      if (labels === undefined || 'folder' in labels) {
        throw new DataError(
          'DataMalformed',
          `${name} holds records only: an IDX file has no labels. Set data.labels.file to the file that has them.`,
        );
      }
      return readIdx(source, sourceOf(labels, spec.labels?.file ?? 'the labels'), spec, room);
  }
}

function sourceOf(bytes: Exclude<DataBytes, { readonly folder: string }>, name: string): ByteSource {
  return bytes instanceof Uint8Array ? memorySource(name, bytes) : diskSource(name, bytes.descriptor, bytes.size);
}
