import { type ArrayShape, type RecordArray, readLabels, readRecords } from './arrays.ts';
import { ByteReader, type ByteSource, unpacked } from './byte-source.ts';
import type { Dataset, TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';
import { readNpyHeader } from './npy.ts';
import { zipEntries } from './zip.ts';

export interface NpzShape extends ArrayShape {
  /** Name of the array of labels, or 'last': one of the usual names. */
  readonly label: string;
}

const LABEL_NAMES = ['y', 'labels', 'label', 'y_train', 'target'];
const FEATURE_NAMES = ['x', 'X', 'features', 'images', 'data', 'x_train'];
const MAX_ARRAYS = 1000;

/**
 * Reads what numpy.savez writes: an array of records and one of labels.
 * @throws DataError
 */
export async function readNpz(source: ByteSource, wanted: NpzShape, room: TableRoom): Promise<Dataset> {
  const { label, features } = arraysOf(await namesIn(source, room), wanted.label, source.name);
  const values = await withArray(source, label, room, (array) => readLabels(array, wanted, room));
  const labels = { values, name: `array ${label}` };
  return withArray(source, features, room, (array) => readRecords(array, labels, wanted, room));
}

/**
 * Reads one array of rows as numpy.save writes it; the last column is the label.
 * @throws DataError
 */
export async function readNpy(source: ByteSource, wanted: NpzShape, room: TableRoom): Promise<Dataset> {
  const { name } = source;
  const reader = new ByteReader(unpacked(source, room.limits));
  try {
    const { shape, element } = await readNpyHeader(reader, name);
    if (shape.length !== 2 || (shape[1] ?? 0) < 2 || wanted.label !== 'last') {
      throw new DataError(
        'DataShapeMismatch',
        `${name} is one array of shape (${shape.join(', ')}); it must have two dimensions, with labels in the last column ` +
          'and data.label last. Save records and labels as numpy.savez(file, x=..., y=...).',
      );
    }
    return await readRecords({ reader, shape, element, name }, 'lastColumn', wanted, room);
  } finally {
    await reader.close();
  }
}

async function namesIn(source: ByteSource, room: TableRoom): Promise<string[]> {
  const names: string[] = [];
  for await (const { path } of zipEntries(source, room.limits)) {
    if (path.endsWith('.npy')) names.push(path.slice(0, -'.npy'.length));
    if (names.length > MAX_ARRAYS) {
      throw new DataError('DataMalformed', `${source.name} holds more than ${MAX_ARRAYS} arrays; two are needed.`);
    }
  }
  return names;
}

function arraysOf(
  names: readonly string[],
  wanted: string,
  file: string,
): { readonly label: string; readonly features: string } {
  const held = `it holds ${names.length === 0 ? 'no arrays' : names.slice(0, 8).join(', ')}`;
  const label = wanted === 'last' ? LABEL_NAMES.find((name) => names.includes(name)) : wanted;
  if (label === undefined || !names.includes(label)) {
    const missing = wanted === 'last' ? 'no array of labels that is named y' : `no array "${wanted}"`;
    throw new DataError('DataMalformed', `${file} has ${missing}; ${held}. Set data.label to the name of the labels.`);
  }
  const others = names.filter((name) => name !== label);
  const features = FEATURE_NAMES.find((name) => others.includes(name)) ?? (others.length === 1 ? others[0] : undefined);
  if (features === undefined) {
    throw new DataError(
      'DataMalformed',
      `${file} has no array of records that is named x; ${held}. Save it with numpy.savez(file, x=..., y=...).`,
    );
  }
  return { label, features };
}

async function withArray<T>(
  source: ByteSource,
  wanted: string,
  room: TableRoom,
  use: (array: RecordArray) => Promise<T>,
): Promise<T> {
  for await (const entry of zipEntries(source, room.limits)) {
    if (entry.path !== `${wanted}.npy`) continue;
    const name = `array ${wanted} of ${source.name}`;
    const reader = new ByteReader(entry.bytes());
    try {
      return await use({ reader, ...(await readNpyHeader(reader, name)), name });
    } finally {
      await reader.close();
    }
  }
  throw new DataError('DataMalformed', `${source.name} has no array "${wanted}".`);
}
