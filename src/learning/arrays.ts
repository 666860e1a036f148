import type { ByteReader } from './byte-source.ts';
import { columnsOf, type Dataset, TableBuilder, type TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';
import { type Labelling, labelOf } from './labels.ts';

/** Reads one number; `at` is its index. */
type Get = (view: DataView, at: number) => number;
export interface Element {
  readonly bytes: number;
  /** Unsigned bytes. */
  readonly isByte: boolean;
  readonly get: Get;
}

const GETTERS: Readonly<Record<string, (isLittle: boolean) => Get>> = {
  b1: () => (view, at) => (view.getUint8(at) === 0 ? 0 : 1),
  i1: () => (view, at) => view.getInt8(at),
  u1: () => (view, at) => view.getUint8(at),
  i2: (little) => (view, at) => view.getInt16(2 * at, little),
  u2: (little) => (view, at) => view.getUint16(2 * at, little),
  i4: (little) => (view, at) => view.getInt32(4 * at, little),
  u4: (little) => (view, at) => view.getUint32(4 * at, little),
  i8: (little) => (view, at) => Number(view.getBigInt64(8 * at, little)),
  u8: (little) => (view, at) => Number(view.getBigUint64(8 * at, little)),
  f2: (little) => (view, at) => halfOf(view.getUint16(2 * at, little)),
  f4: (little) => (view, at) => view.getFloat32(4 * at, little),
  f8: (little) => (view, at) => view.getFloat64(8 * at, little),
};

/** An IEEE 754 half: sign, five bits of exponent, ten of fraction. */
function halfOf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Numbers of a type as NumPy names it, without byte order: `f4`, `u1`; undefined for a name that is not known. */
export function elementNamed(type: string, isLittle: boolean): Element | undefined {
  const get = Object.hasOwn(GETTERS, type) ? GETTERS[type]?.(isLittle) : undefined;
  return get === undefined ? undefined : { bytes: Number(type[1]), isByte: type === 'u1', get };
}

/** An array whose first dimension is the records, as its header says; the reader stands at its first number. */
export interface RecordArray {
  readonly reader: ByteReader;
  readonly shape: readonly number[];
  readonly element: Element;
  /** Name of the array or its file, for messages. */
  readonly name: string;
}

/** What the spec says of arrays. */
export interface ArrayShape extends Labelling {
  readonly shape?: readonly number[] | undefined;
}

/** Numbers that are read at once. */
const READ_NUMBERS = 16 * 1024;

/** @throws DataError where the array is no list of labels */
export async function readLabels(array: RecordArray, labelling: Labelling, room: TableRoom): Promise<Int32Array> {
  const { shape, name } = array;
  const [rows = 0, ...rest] = shape;
  if (shape.length === 0 || rest.some((side) => side !== 1)) {
    const shown = `(${shape.join(', ')})`;
    throw new DataError(
      'DataShapeMismatch',
      `${name} has shape ${shown}; labels are one number a record. Save numpy.argmax(labels, axis=1) where they are one-hot.`,
    );
  }
  checkRows(rows, name, room);
  const labels = new Int32Array(rows);
  await eachRow(array, rows, 1, (view, at, row) => {
    labels[row] = labelOf(array.element.get(view, at), `Record ${row} of ${name}`, labelling);
  });
  return labels;
}

/**
 * The records of an array as a table. Bytes stay bytes; other numbers become float32.
 * @param labels one a record, or `lastColumn` where the records end in theirs
 * @throws DataError
 */
export async function readRecords(
  array: RecordArray,
  labels: { readonly values: Int32Array; readonly name: string } | 'lastColumn',
  wanted: ArrayShape,
  room: TableRoom,
): Promise<Dataset> {
  const { element, name } = array;
  const [rows = 0, ...sides] = array.shape;
  if (array.shape.length === 0 || rows === 0) {
    throw new DataError('DataMalformed', `${name} has no records: its shape is (${array.shape.join(', ')}).`);
  }
  if (labels !== 'lastColumn' && labels.values.length !== rows) {
    throw new DataError(
      'DataShapeMismatch',
      `${name} has ${rows} records, ${labels.name} has ${labels.values.length} labels. Give one label a record.`,
    );
  }
  checkRows(rows, name, room);
  const width = columnsOf(sides.length === 0 ? [1] : sides, name, room.limits);
  const own = labels === 'lastColumn' ? [width - 1] : sides.length === 0 ? [1] : sides;
  const columns = columnsOf(own, name, room.limits);
  const shape = wanted.shape ?? own;
  if (shape.reduce((product, side) => product * side, 1) !== columns) {
    throw new DataError(
      'DataShapeMismatch',
      `The records of ${name} have shape [${own.join(', ')}], data.shape is [${shape.join(', ')}]. ` +
        'Set data.shape to what a record holds, or remove it.',
    );
  }
  const kind = element.isByte && labels !== 'lastColumn' ? 'uint8' : 'float32';
  const builder = new TableBuilder({ file: name, shape, classes: wanted.classes, kind }, room);
  try {
    await eachRow(array, rows, width, (view, at, row) => {
      const into = builder.next;
      for (let i = 0; i < columns; i++) {
        const value = element.get(view, at + i);
        if (!Number.isFinite(Math.fround(value))) {
          throw new DataError(
            'DataMalformed',
            `Record ${row} of ${name} has ${value} at position ${i}, where a finite number must be. Fix or remove it.`,
          );
        }
        into[i] = value;
      }
      const label =
        labels === 'lastColumn'
          ? labelOf(element.get(view, at + columns), `Record ${row} of ${name}`, wanted)
          : (labels.values[row] as number);
      builder.add(label);
    });
    return builder.finish();
  } catch (error) {
    builder.discard();
    throw error;
  }
}

/** Calls `use` with a view of numbers, the index of the row's first, and the row. @throws DataError at a wrong end */
async function eachRow(
  { reader, element, name }: RecordArray,
  rows: number,
  columns: number,
  use: (view: DataView, at: number, row: number) => void,
): Promise<void> {
  const most = Math.max(1, Math.floor(READ_NUMBERS / columns));
  for (let row = 0; row < rows; ) {
    const count = Math.min(most, rows - row);
    const bytes = await reader.take(count * columns * element.bytes);
    if (bytes.length < count * columns * element.bytes) throw truncated(name);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < count; i++) use(view, i * columns, row++);
  }
  if ((await reader.take(1)).length > 0) {
    throw new DataError('DataMalformed', `${name} goes on after the numbers that its header tells of. Write it again.`);
  }
}

function checkRows(rows: number, name: string, { limits }: TableRoom): void {
  if (rows <= limits.rows) return;
  throw new DataError('DataTooLarge', `${name} has ${rows} records, the limit is ${limits.rows}. Use fewer records.`);
}

export function truncated(file: string): DataError {
  return new DataError('DataTruncated', `${file} ends before all its numbers have come. Write or copy it again.`);
}
