import { type Element, elementNamed, truncated } from './arrays.ts';
import type { ByteReader } from './byte-source.ts';
import { DataError } from './errors.ts';

/** Header of a NumPy array file (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html). */
export interface NpyHeader {
  readonly shape: readonly number[];
  readonly element: Element;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_DIMENSIONS = 8;

/** True for bytes that begin as an array file does. */
export const isNpy = (head: Buffer): boolean => head.subarray(0, MAGIC.length).equals(MAGIC);

/**
 * Reads the header of an array file; the reader then stands at the first number.
 * @throws DataError for what is no array of numbers in C order
 */
export async function readNpyHeader(reader: ByteReader, file: string): Promise<NpyHeader> {
  const start = await reader.take(8);
  if (!isNpy(start)) {
    throw new DataError(
      'DataFormatUnknown',
      `${file} is no NumPy array file. Write it with numpy.save or numpy.savez.`,
    );
  }
  const version = start[6];
  if (version === undefined || version < 1 || version > 3) {
    throw new DataError('DataFormatUnknown', `${file} has version ${version} of the array format; 1 to 3 are known.`);
  }
  const sizeBytes = version === 1 ? 2 : 4;
  const sized = await reader.take(sizeBytes);
  if (sized.length < sizeBytes) throw truncated(file);
  const length = sizeBytes === 2 ? sized.readUInt16LE() : sized.readUInt32LE();
  if (length > MAX_HEADER_BYTES) throw malformed(file, `its header has ${length} bytes`);
  const text = (await reader.take(length)).toString('latin1');
  if (text.length < length) throw truncated(file);
  return headerOf(text, file);
}

function headerOf(text: string, file: string): NpyHeader {
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const sides = /'shape':\s*\(([0-9,\sL]*)\)/.exec(text)?.[1];
  const described = /'descr':\s*'([^']{1,16})'/.exec(text)?.[1];
  if (described === undefined && /'descr':\s*\[/.test(text)) {
    throw malformed(file, 'its records have named fields: save the columns as one array of numbers');
  }
  if (order === undefined || sides === undefined || described === undefined) {
    throw malformed(file, 'its header has no descr, fortran_order and shape');
  }
  const shape = sides.split(',').map((side) => side.trim().replace(/L$/, ''));
  if (shape.at(-1) === '') shape.pop();
  const numbers = shape.map(Number);
  if (shape.includes('') || numbers.length > MAX_DIMENSIONS || !numbers.every(Number.isSafeInteger)) {
    throw malformed(file, `its shape is (${sides.slice(0, 80)})`);
  }
  if (order === 'True' && numbers.length > 1) {
    throw malformed(file, 'it is in Fortran order: save numpy.ascontiguousarray(x)');
  }
  return { shape: numbers, element: elementOf(described, file) };
}

function elementOf(descr: string, file: string): Element {
  const [, order, type = ''] = /^([<>|=])([fiub][1248])$/.exec(descr) ?? [];
  const element = elementNamed(type, order !== '>');
  if (element === undefined) {
    throw malformed(
      file,
      `its numbers are of type ${descr.slice(0, 16)}; bool, int8 to int64, uint8 to uint64 and float16 to float64 can be read: save x.astype("float32")`,
    );
  }
  return element;
}

const malformed = (file: string, why: string): DataError =>
  new DataError('DataMalformed', `${file} cannot be read: ${why}.`);
