import { type ByteSource, unpacked } from './byte-source.ts';
import { columnsOf, type Dataset, TableBuilder, type TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';
import { type Labelling, labelOf } from './labels.ts';

const NEWLINE = 0x0a;
const COMMA = 0x2c;
/** A line of the widest table that is allowed is shorter. */
const MAX_LINE_BYTES = 32 * 1024 * 1024;
/** Number() also reads 0x10, 0b1 and 0o7; tables do not hold those. */
const RADIX_PREFIX = /^[+-]?0[xbo]/i;

export interface CsvShape extends Labelling {
  /** Name of the label column in the header, or 'last'. */
  readonly label: string;
  /** How a record's numbers are arranged; a flat row where absent. */
  readonly shape?: readonly number[] | undefined;
}

/**
 * Reads a CSV of numbers, plain or gzipped, with a header line or none (a first line with a cell that is no number is
 * a header). Blank lines are skipped; a "row" in a message is a line of the file, as editors count them.
 * @throws DataError with the row and the fix
 */
export async function readCsv(source: ByteSource, shape: CsvShape, room: TableRoom): Promise<Dataset> {
  let table: CsvTable | undefined;
  try {
    for await (const line of linesOf(source, room)) {
      if (table === undefined) table = new CsvTable(line, source.name, shape, room);
      else table.add(line);
    }
    if (table === undefined) {
      throw new DataError('DataMalformed', `${source.name} is empty. Give a CSV file with one record a row.`);
    }
    return table.finish();
  } catch (error) {
    table?.discard();
    throw error;
  }
}

interface Line {
  readonly text: string;
  readonly number: number;
}

/** Lines that are not blank, with their numbers in the file; the text is never held as a whole. */
async function* linesOf(source: ByteSource, room: TableRoom): AsyncGenerator<Line> {
  let number = 0;
  let begun: Buffer[] = [];
  let begunBytes = 0;
  const line = (end: Buffer): Line | undefined => {
    const bytes = begun.length === 0 ? end : Buffer.concat([...begun, end]);
    begun = [];
    begunBytes = 0;
    number++;
    const hasByteOrderMark = number === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    checkWidth(bytes, number, source.name, room);
    const text = bytes.toString('utf8', hasByteOrderMark ? 3 : 0).trim();
    return text === '' ? undefined : { text, number };
  };
  for await (const part of unpacked(source, room.limits)) {
    let from = 0;
    for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, from)) {
      const whole = line(part.subarray(from, at));
      if (whole !== undefined) yield whole;
      from = at + 1;
    }
    begun.push(part.subarray(from));
    begunBytes += part.length - from;
    if (begunBytes > MAX_LINE_BYTES) {
      throw new DataError(
        'DataMalformed',
        `Row ${number + 1} of ${source.name} is longer than 32 MiB. Give a CSV file with one record a line.`,
      );
    }
  }
  const last = line(Buffer.alloc(0));
  if (last !== undefined) yield last;
}

/** Before a line is cut into cells: a row of commas would become a great many. */
function checkWidth(bytes: Buffer, number: number, file: string, { limits }: TableRoom): void {
  if (bytes.length <= limits.columns) return;
  let cells = 1;
  for (let at = bytes.indexOf(COMMA); at >= 0; at = bytes.indexOf(COMMA, at + 1)) cells++;
  if (cells <= limits.columns + 1) return;
  throw new DataError(
    'DataTooLarge',
    `Row ${number} of ${file} has ${cells} columns, the limit is ${limits.columns}. Use fewer columns.`,
  );
}

class CsvTable {
  readonly #file: string;
  readonly #shape: CsvShape;
  readonly #width: number;
  /** What the width is measured by, for messages. */
  readonly #standard: string;
  readonly #labelAt: number;
  readonly #builder: TableBuilder;

  constructor(first: Line, file: string, shape: CsvShape, room: TableRoom) {
    const cells = cellsOf(first.text);
    const hasHeader = cells.some((cell) => !isNumber(cell));
    this.#file = file;
    this.#shape = shape;
    this.#width = cells.length;
    this.#standard = hasHeader ? 'the header' : `row ${first.number}`;
    this.#labelAt = labelColumn(file, shape, hasHeader ? cells : undefined, cells.length);
    const columns = cells.length - 1;
    if (columns < 1) {
      throw new DataError(
        'DataMalformed',
        `${file} has one column; a label column and at least one feature column are needed, divided by commas.`,
      );
    }
    const arranged = shape.shape ?? [columns];
    if (columnsOf(arranged, file, room.limits) !== columns) {
      throw new DataError(
        'DataShapeMismatch',
        `${file} has ${columns} feature columns, data.shape [${arranged.join(', ')}] wants ` +
          `${arranged.reduce((product, side) => product * side, 1)}. Set data.shape to what a row holds, or remove it.`,
      );
    }
    this.#builder = new TableBuilder({ file, shape: arranged, classes: shape.classes, kind: 'float32' }, room);
    if (!hasHeader) this.#addCells(cells, first.number);
  }

  add(line: Line): void {
    this.#addCells(cellsOf(line.text), line.number);
  }

  finish(): Dataset {
    if (this.#builder.rows === 0) {
      throw new DataError(
        'DataMalformed',
        `${this.#file} has a header but no rows. Give a CSV file with one record a row.`,
      );
    }
    return this.#builder.finish();
  }

  discard(): void {
    this.#builder.discard();
  }

  #addCells(cells: readonly string[], row: number): void {
    if (cells.length !== this.#width) {
      throw new DataError(
        'DataMalformed',
        `Row ${row} of ${this.#file} has ${cells.length} columns, ${this.#standard} has ${this.#width}. Fix or remove the row.`,
      );
    }
    const into = this.#builder.next;
    let label = 0;
    let column = 0;
    for (let i = 0; i < cells.length; i++) {
      const value = numberOf(cells[i] ?? '', row, i, this.#file);
      if (i === this.#labelAt) label = labelOf(value, `Row ${row} of ${this.#file}`, this.#shape);
      else into[column++] = value;
    }
    this.#builder.add(label);
  }
}

function labelColumn(file: string, shape: CsvShape, header: readonly string[] | undefined, width: number): number {
  if (shape.label === 'last') return width - 1;
  if (header === undefined) {
    throw new DataError(
      'DataMalformed',
      `data.label is "${shape.label}", but ${file} has no header line. Add one, or set data.label to last.`,
    );
  }
  const at = header.indexOf(shape.label);
  if (at < 0) {
    const names = header.slice(0, 8).join(', ') + (header.length > 8 ? ', ...' : '');
    throw new DataError(
      'DataMalformed',
      `${file} has no column "${shape.label}"; its columns are ${names}. Set data.label to one of them.`,
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
