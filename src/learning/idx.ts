import { type ArrayShape, elementNamed, type RecordArray, readLabels, readRecords, truncated } from './arrays.ts';
import { ByteReader, type ByteSource, unpacked } from './byte-source.ts';
import type { Dataset, TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';

/** Third byte of an IDX file: how its numbers are stored, first byte first. */
const TYPES: Readonly<Record<number, string>> = { 8: 'u1', 9: 'i1', 11: 'i2', 12: 'i4', 13: 'f4', 14: 'f8' };
const MAX_DIMENSIONS = 8;

/** True for bytes that begin as the files of MNIST do. */
export const isIdx = (head: Buffer): boolean =>
  head.length >= 4 &&
  head[0] === 0 &&
  head[1] === 0 &&
  TYPES[head[2] ?? 0] !== undefined &&
  (head[3] ?? 0) >= 1 &&
  (head[3] ?? 0) <= MAX_DIMENSIONS;

/**
 * Reads two files in the format of MNIST (http://yann.lecun.com/exdb/mnist/), plain or gzipped: records, and a label each.
 * @throws DataError
 */
export async function readIdx(
  records: ByteSource,
  labels: ByteSource,
  wanted: ArrayShape,
  room: TableRoom,
): Promise<Dataset> {
  const values = await withArray(labels, room, (array) => readLabels(array, wanted, room));
  return withArray(records, room, (array) => readRecords(array, { values, name: labels.name }, wanted, room));
}

async function withArray<T>(source: ByteSource, room: TableRoom, use: (array: RecordArray) => Promise<T>): Promise<T> {
  const { name } = source;
  const reader = new ByteReader(unpacked(source, room.limits));
  try {
    const head = Buffer.from(await reader.take(4));
    const element = isIdx(head) ? elementNamed(TYPES[head[2] ?? 0] ?? '', false) : undefined;
    if (element === undefined) {
      throw new DataError(
        'DataFormatUnknown',
        `${name} is no IDX file, which is the format of MNIST. Fix data.format.`,
      );
    }
    const dimensions = head[3] ?? 0;
    const sides = await reader.take(4 * dimensions);
    if (sides.length < 4 * dimensions) throw truncated(name);
    const shape = Array.from({ length: dimensions }, (_, i) => sides.readUInt32BE(4 * i));
    return await use({ reader, shape, element, name });
  } finally {
    await reader.close();
  }
}
