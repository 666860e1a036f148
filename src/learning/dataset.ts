import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import path from 'node:path';
import { readFully } from './byte-source.ts';
import type { DataLimits } from './data-limits.ts';
import { DataError } from './errors.ts';

/** Rows of numbers with a label each, in memory or on the scratch volume. */
export interface Dataset {
  readonly rows: number;
  /** Numbers of one record. */
  readonly columns: number;
  /** How a record's numbers are arranged: [64], or [28, 28, 1] for an image (height, width, channels). */
  readonly shape: readonly number[];
  readonly classes: number;
  /** 0 .. classes-1, one a row. */
  readonly labels: Int32Array;
  /** `uint8`: features are bytes, 0..255. */
  readonly kind: FeatureKind;
  /** Copies the features of rows, as the file has them, one row after another. */
  read(rows: Int32Array): Float32Array;
  /** Lets go of the scratch file. */
  close(): void;
}

export type FeatureKind = 'float32' | 'uint8';

export interface TableShape {
  /** Name of the file, for messages. */
  readonly file: string;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly kind: FeatureKind;
}

export interface TableRoom {
  readonly limits: DataLimits;
  /** Folder for tables beyond `limits.memoryBytes`. */
  readonly scratch: string;
}

type Block = Float32Array | Uint8Array;
const BLOCK_BYTES = 1024 * 1024;
/** Rows read at once from disk, where they lie one after another. */
const RUN_BYTES = 256 * 1024;

/** Takes a table row by row and keeps it in memory, or on the scratch volume once it is larger than the limit. */
export class TableBuilder {
  readonly #table: TableShape;
  readonly #room: TableRoom;
  readonly #columns: number;
  readonly #rowsPerBlock: number;
  readonly #bytesPerRow: number;
  readonly #maxRows: number;
  #blocks: Block[] = [];
  #open: Block;
  #inOpen = 0;
  #rows = 0;
  #labels = new Int32Array(1024);
  #scratch: ScratchFile | undefined;

  /** @throws DataError where a record is larger than the limit */
  constructor(table: TableShape, room: TableRoom) {
    const { limits } = room;
    this.#table = table;
    this.#room = room;
    this.#columns = columnsOf(table.shape, table.file, limits);
    this.#bytesPerRow = this.#columns * (table.kind === 'uint8' ? 1 : 4);
    this.#rowsPerBlock = Math.max(1, Math.floor(BLOCK_BYTES / this.#bytesPerRow));
    this.#maxRows = Math.min(limits.rows, Math.floor(limits.scratchBytes / this.#bytesPerRow));
    this.#open = this.#newBlock();
  }

  get rows(): number {
    return this.#rows;
  }

  /** The place for the next row's features: fill it, then call `add`. */
  get next(): Block {
    const start = this.#inOpen * this.#columns;
    return this.#open.subarray(start, start + this.#columns);
  }

  /**
   * Takes what was written into `next`, with its label.
   * @throws DataError where the table is larger than the limit or the scratch volume is full
   */
  add(label: number): void {
    if (this.#rows >= this.#maxRows) {
      throw new DataError(
        'DataTooLarge',
        `${this.#table.file} has more than ${this.#maxRows} rows of ${this.#columns} numbers, which is the limit. Use fewer rows or columns.`,
      );
    }
    if (this.#rows === this.#labels.length) this.#labels = grown(this.#labels);
    this.#labels[this.#rows++] = label;
    if (++this.#inOpen === this.#rowsPerBlock) this.#full();
  }

  /** @param relabelled label by label that `add` was given, where those were preliminary */
  finish(relabelled?: readonly number[]): Dataset {
    if (this.#inOpen > 0) this.#keep(this.#open.slice(0, this.#inOpen * this.#columns));
    const labels = this.#labels.slice(0, this.#rows);
    if (relabelled !== undefined) for (let i = 0; i < labels.length; i++) labels[i] = relabelled[labels[i] ?? 0] ?? 0;
    const { shape, classes, kind } = this.#table;
    const [columns, scratch, blocks, rowsPerBlock] = [this.#columns, this.#scratch, this.#blocks, this.#rowsPerBlock];
    return {
      rows: this.#rows,
      columns,
      shape,
      classes,
      labels,
      kind,
      read: (rows) =>
        scratch === undefined
          ? gathered(blocks, rowsPerBlock, columns, rows)
          : scratch.gathered(rows, columns, kind, this.#table.file),
      close: () => scratch?.close(),
    };
  }

  /** For a table that is not finished. */
  discard(): void {
    this.#scratch?.close();
    this.#blocks = [];
  }

  #full(): void {
    this.#keep(this.#open);
    // What is written to disk at once can be used again.
    if (this.#scratch === undefined) this.#open = this.#newBlock();
    this.#inOpen = 0;
  }

  #keep(block: Block): void {
    if (this.#scratch === undefined) {
      this.#blocks.push(block);
      if (this.#rows * this.#bytesPerRow <= this.#room.limits.memoryBytes) return;
      this.#scratch = new ScratchFile(this.#room.scratch, this.#table.file);
      for (const kept of this.#blocks) this.#scratch.append(kept);
      this.#blocks = [];
    } else {
      this.#scratch.append(block);
    }
  }

  #newBlock(): Block {
    const numbers = this.#rowsPerBlock * this.#columns;
    return this.#table.kind === 'uint8' ? new Uint8Array(numbers) : new Float32Array(numbers);
  }
}

/** Numbers of a record of that shape. @throws DataError where it has none, or too many */
export function columnsOf(shape: readonly number[], file: string, limits: DataLimits): number {
  const columns = shape.reduce((product, side) => product * side, 1);
  if (columns >= 1 && columns <= limits.columns) return columns;
  if (columns < 1) {
    throw new DataError('DataShapeMismatch', `The records of ${file} have no numbers: their shape is [${shape}].`);
  }
  throw new DataError(
    'DataTooLarge',
    `The records of ${file} have ${columns} numbers each, the limit is ${limits.columns}. Use fewer columns, or smaller images.`,
  );
}

function grown(labels: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(labels.length * 2);
  larger.set(labels);
  return larger;
}

function gathered(
  blocks: readonly Block[],
  rowsPerBlock: number,
  columns: number,
  rows: Int32Array,
): Float32Array<ArrayBuffer> {
  const features = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    const start = (row % rowsPerBlock) * columns;
    const block = blocks[Math.floor(row / rowsPerBlock)];
    if (block !== undefined) features.set(block.subarray(start, start + columns), i * columns);
  });
  return features;
}

/** A file without a name: its room is free again when the process or worker ends, however that ends. */
class ScratchFile {
  readonly #descriptor: number;
  readonly #folder: string;
  #size = 0;
  #isOpen = true;

  constructor(folder: string, forFile: string) {
    this.#folder = folder;
    const name = path.join(folder, `table-${process.pid}-${crypto.randomUUID()}`);
    try {
      this.#descriptor = openSync(name, 'wx+', 0o600);
      unlinkSync(name);
    } catch (error) {
      throw scratchError(error, folder, forFile);
    }
  }

  append(block: Block): void {
    const bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#descriptor, bytes, done, bytes.length - done, this.#size + done);
      }
      this.#size += bytes.length;
    } catch (error) {
      throw scratchError(error, this.#folder, 'the data');
    }
  }

  /** Rows that lie one after another are read at once. */
  gathered(rows: Int32Array, columns: number, kind: FeatureKind, file: string): Float32Array<ArrayBuffer> {
    const features = new Float32Array(rows.length * columns);
    const rowBytes = columns * (kind === 'uint8' ? 1 : 4);
    const most = Math.max(1, Math.floor(RUN_BYTES / rowBytes));
    for (let i = 0; i < rows.length; ) {
      const first = rows[i] as number;
      let run = 1;
      while (run < most && i + run < rows.length && rows[i + run] === first + run) run++;
      const bytes = new Uint8Array(run * rowBytes);
      if (readFully(this.#descriptor, bytes, first * rowBytes) < bytes.length) {
        throw new DataError('DataUnreachable', `The rows of ${file} on the scratch volume are gone. Restart the pod.`);
      }
      features.set(kind === 'uint8' ? bytes : new Float32Array(bytes.buffer), i * columns);
      i += run;
    }
    return features;
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#descriptor);
  }
}

function scratchError(error: unknown, folder: string, what: string): DataError {
  const why = error instanceof Error ? error.message : String(error);
  const isFull = error instanceof Error && 'code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
  return isFull
    ? new DataError(
        'DataTooLarge',
        `${folder} has no room for the rows of ${what}. Use fewer rows, or mount a larger volume there (podTemplate).`,
        { cause: error },
      )
    : new DataError('DataUnreachable', `The rows of ${what} cannot be written to ${folder} (${why}).`, {
        cause: error,
      });
}
