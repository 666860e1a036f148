import { type ByteReader, bomb } from './byte-source.ts';
import type { DataLimits } from './data-limits.ts';
import { DataError } from './errors.ts';
import type { ArchivedFile } from './zip.ts';

const BLOCK = 512;
const MAX_NAME_BYTES = 64 * 1024;
const PIECE = 64 * 1024;

/** True for bytes that begin as a tar of the last thirty years does. */
export const isTar = (head: Buffer): boolean =>
  head.length >= BLOCK && head.toString('latin1', 257, 262) === 'ustar' && isHeader(head.subarray(0, BLOCK));

/**
 * The files of a tar in its order: ustar, with the long names of GNU and pax. Links, devices and the like are left out.
 * A file that nobody read is skipped.
 * @throws DataError
 */
export async function* tarEntries(reader: ByteReader, file: string, limits: DataLimits): AsyncGenerator<ArchivedFile> {
  let longName: string | undefined;
  for (;;) {
    const header = Buffer.from(await reader.take(BLOCK));
    // A tar ends in two blocks of zeros; some writers leave them out.
    if (header.length === 0 || header.every((byte) => byte === 0)) return;
    if (header.length < BLOCK) throw truncated(file);
    if (!isHeader(header)) {
      throw new DataError('DataMalformed', `${file} is damaged: a tar header has a wrong checksum. Pack it again.`);
    }
    const size = sizeOf(header);
    if (size === undefined || size > limits.unpackedBytes) throw bomb(file, limits.unpackedBytes);
    const type = String.fromCharCode(header[156] ?? 0);
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (type === 'x' || type === 'L') {
      if (size > MAX_NAME_BYTES) throw new DataError('DataMalformed', `${file} has a name of ${size} bytes.`);
      const said = Buffer.from(await reader.take(size));
      if (said.length < size || !(await reader.skip(padding))) throw truncated(file);
      longName = type === 'L' ? said.toString('utf8').replace(/\0.*$/s, '') : (paxPath(said) ?? longName);
      continue;
    }
    const name = longName ?? nameOf(header);
    longName = undefined;
    const isFile = type === '0' || type === '\0' || type === '7';
    let left = size;
    if (isFile || type === '5') {
      yield {
        path: name,
        size,
        isFolder: type === '5',
        async *bytes() {
          while (left > 0) {
            const part = Buffer.from(await reader.take(Math.min(left, PIECE)));
            if (part.length === 0) throw truncated(file);
            left -= part.length;
            yield part;
          }
        },
      };
    }
    if (!(await reader.skip(left + padding))) throw truncated(file);
  }
}

/** The checksum is the sum of all bytes, with blanks in its own place. */
function isHeader(header: Buffer): boolean {
  const said = Number.parseInt(text(header, 148, 8).trim() || 'x', 8);
  let sum = 8 * 0x20;
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += header[i] ?? 0;
  return said === sum;
}

/** Octal digits, or a number in base 256 where the first bit is set; undefined for neither. */
function sizeOf(header: Buffer): number | undefined {
  if (((header[124] ?? 0) & 0x80) !== 0) {
    const size = header.readBigUInt64BE(128);
    return size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : undefined;
  }
  const digits = text(header, 124, 12).trim();
  if (digits === '') return 0;
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

function nameOf(header: Buffer): string {
  const prefix = text(header, 345, 155);
  const isGnu = text(header, 257, 8).startsWith('ustar  ');
  const name = text(header, 0, 100);
  return prefix === '' || isGnu ? name : `${prefix}/${name}`;
}

/** `path` of a pax header: lines of "length key=value". */
function paxPath(records: Buffer): string | undefined {
  let path: string | undefined;
  for (let at = 0; at < records.length; ) {
    const length = Number.parseInt(records.toString('latin1', at, at + 10), 10);
    if (!(length > 0)) break;
    const record = records.toString('utf8', at, at + length);
    const [, key, value] = /^[0-9]+ ([^=]+)=(.*)\n?$/s.exec(record) ?? [];
    if (key === 'path' && value !== undefined) path = value.replace(/\n$/, '');
    at += length;
  }
  return path;
}

function text(header: Buffer, start: number, length: number): string {
  const field = header.subarray(start, start + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}

const truncated = (file: string): DataError =>
  new DataError('DataTruncated', `${file} ends within a file that it packs. Pack or copy it again.`);
