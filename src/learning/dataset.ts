import { gunzipSync } from 'node:zlib';
import { DataError } from './errors.ts';

/** A table of numbers with a label a row. `features` is row-major, rows x columns. */
export interface Dataset {
  readonly features: Float32Array;
  readonly labels: Int32Array;
  readonly rows: number;
  readonly columns: number;
  readonly classes: number;
}

/** What a file may cost before it is refused with DataTooLarge. */
export interface DataLimits {
  /** Bytes of the file as stored. */
  readonly fileBytes: number;
  /** Bytes of the text after gunzip. */
  readonly textBytes: number;
  /** Numbers in the table: rows x columns. */
  readonly cells: number;
}

const mebibyte = 1024 * 1024;

/** Sized for a pod of 768 MiB: the features of a full table take 128 MiB. */
export const DEFAULT_DATA_LIMITS: DataLimits = {
  fileBytes: 128 * mebibyte,
  textBytes: 256 * mebibyte,
  cells: 32 * mebibyte,
};

export interface CsvShape {
  /** Name of the file, for messages. */
  readonly file: string;
  /** Name of the label column in the header, or 'last'. */
  readonly label: string;
  /** Labels are 0 .. classes-1. */
  readonly classes: number;
}

const NEWLINE = 0x0a;
/** Number() also reads 0x10, 0b1 and 0o7; tables do not hold those. */
const RADIX_PREFIX = /^[+-]?0[xbo]/i;

/**
 * Reads a CSV of numbers, plain or gzipped, with a header line or none (a first line with a cell that is no number is
 * a header). Blank lines are skipped; a "row" in a message is a line of the file, as editors count them.
 * @throws DataError with the row and the fix
 */
export function parseCsv(bytes: Uint8Array, shape: CsvShape, limits: DataLimits = DEFAULT_DATA_LIMITS): Dataset {
  const text = unpack(bytes, shape.file, limits);
  const lines = new LineReader(text);
  const first = lines.next();
  if (first === undefined) {
    throw new DataError('DataMalformed', `${shape.file} is empty. Give a CSV file with one record a row.`);
  }
  const firstCells = cellsOf(first.text);
  const hasHeader = firstCells.some((cell) => !isNumber(cell));
  const width = firstCells.length;
  const labelAt = labelColumn(shape, hasHeader ? firstCells : undefined, width);
  const columns = width - 1;
  if (columns < 1) {
    throw new DataError(
      'DataMalformed',
      `${shape.file} has one column; a label column and at least one feature column are needed, divided by commas.`,
    );
  }
  const rows = lines.countRemaining() + (hasHeader ? 0 : 1);
  if (rows * columns > limits.cells) {
    throw new DataError(
      'DataTooLarge',
      `${shape.file} holds ${rows} x ${columns} numbers, the limit is ${limits.cells}. Use fewer rows or columns.`,
    );
  }
  const features = new Float32Array(rows * columns);
  const labels = new Int32Array(rows);
  let row = 0;
  for (let line = hasHeader ? lines.next() : first; line !== undefined; line = lines.next()) {
    const cells = line === first ? firstCells : cellsOf(line.text);
    if (cells.length !== width) {
      const standard = hasHeader ? 'the header' : `row ${first.number}`;
      throw new DataError(
        'DataMalformed',
        `Row ${line.number} of ${shape.file} has ${cells.length} columns, ${standard} has ${width}. Fix or remove the row.`,
      );
    }
    let column = row * columns;
    for (let i = 0; i < width; i++) {
      const value = numberOf(cells[i] ?? '', line.number, i, shape.file);
      if (i === labelAt) labels[row] = labelOf(value, line.number, shape);
      else features[column++] = value;
    }
    row++;
  }
  if (row === 0) {
    throw new DataError(
      'DataMalformed',
      `${shape.file} has a header but no rows. Give a CSV file with one record a row.`,
    );
  }
  return { features, labels, rows, columns, classes: shape.classes };
}

function unpack(bytes: Uint8Array, file: string, limits: DataLimits): Buffer {
  if (bytes.length > limits.fileBytes) throw tooLarge(file, limits.fileBytes, 'as stored');
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) {
    if (bytes.length > limits.textBytes) throw tooLarge(file, limits.textBytes, 'as text');
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: limits.textBytes });
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(file, limits.textBytes, 'unpacked');
    const why = error instanceof Error ? error.message : String(error);
    throw new DataError('DataMalformed', `${file} is not a whole gzip file (${why}). Pack it again.`, { cause: error });
  }
}

function tooLarge(file: string, limit: number, how: string): DataError {
  const mib = Math.round(limit / mebibyte);
  const size = mib >= 1 ? `${mib} MiB` : `${limit} bytes`;
  return new DataError('DataTooLarge', `${file} is larger than ${size} ${how}. Use fewer rows or columns.`);
}

function labelColumn(shape: CsvShape, header: readonly string[] | undefined, width: number): number {
  if (shape.label === 'last') return width - 1;
  if (header === undefined) {
    throw new DataError(
      'DataMalformed',
      `data.label is "${shape.label}", but ${shape.file} has no header line. Add one, or set data.label to last.`,
    );
  }
  const at = header.indexOf(shape.label);
  if (at < 0) {
    const names = header.slice(0, 8).join(', ') + (header.length > 8 ? ', ...' : '');
    throw new DataError(
      'DataMalformed',
      `${shape.file} has no column "${shape.label}"; its columns are ${names}. Set data.label to one of them.`,
    );
  }
  return at;
}

function numberOf(cell: string, row: number, column: number, file: string): number {
  if (!isNumber(cell)) {
    const shown = cell === '' ? 'nothing' : `"${cell.slice(0, 40)}"`;
    throw new DataError(
      'DataMalformed',
      `Row ${row} of ${file} has ${shown} in column ${column + 1}, where a number must be. Fix or remove the row.`,
    );
  }
  return Number(cell);
}

function labelOf(value: number, row: number, shape: CsvShape): number {
  if (Number.isInteger(value) && value >= 0 && value < shape.classes) return value;
  throw new DataError(
    'LabelOutOfRange',
    `Row ${row} of ${shape.file} has label ${value}; with data.classes ${shape.classes}, labels are whole numbers ` +
      `from 0 to ${shape.classes - 1}. Fix the row or set data.classes.`,
  );
}

/** True for a decimal number that stays finite as float32, which is what models compute in. */
function isNumber(cell: string): boolean {
  return cell !== '' && Number.isFinite(Math.fround(Number(cell))) && !RADIX_PREFIX.test(cell);
}

function cellsOf(line: string): string[] {
  const cells = line.split(',');
  for (let i = 0; i < cells.length; i++) {
    const cell = (cells[i] ?? '').trim();
    cells[i] = cell.length >= 2 && cell.startsWith('"') && cell.endsWith('"') ? cell.slice(1, -1).trim() : cell;
  }
  return cells;
}

/** Walks a buffer line by line, so that the text is never held as one string beside it. */
class LineReader {
  readonly #text: Buffer;
  #offset: number;
  #number = 0;

  constructor(text: Buffer) {
    this.#text = text;
    const hasByteOrderMark = text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf;
    this.#offset = hasByteOrderMark ? 3 : 0;
  }

  /** The next line that is not blank, with its number in the file. */
  next(): { readonly text: string; readonly number: number } | undefined {
    while (this.#offset < this.#text.length) {
      const end = this.#lineEnd(this.#offset);
      const text = this.#text.toString('utf8', this.#offset, end).trim();
      this.#offset = end + 1;
      this.#number++;
      if (text !== '') return { text, number: this.#number };
    }
    return undefined;
  }

  /** Lines after the present one that are not blank. */
  countRemaining(): number {
    let lines = 0;
    let isBlank = true;
    for (let i = this.#offset; i < this.#text.length; i++) {
      const byte = this.#text[i] as number;
      if (byte === NEWLINE) {
        if (!isBlank) lines++;
        isBlank = true;
      } else if (byte > 0x20) {
        isBlank = false;
      }
    }
    return lines + (isBlank ? 0 : 1);
  }

  #lineEnd(from: number): number {
    const at = this.#text.indexOf(NEWLINE, from);
    return at < 0 ? this.#text.length : at;
  }
}
