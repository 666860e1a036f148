import { readSync } from 'node:fs';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type DataLimits, sizeOf, unpackedLimit } from './data-limits.ts';
import { DataError } from './errors.ts';

const CHUNK_BYTES = 256 * 1024;

/** Bytes of a file with random access, in memory or on disk. */
export interface ByteSource {
  /** Name of the file, for messages. */
  readonly name: string;
  readonly size: number;
  /** Descriptor of the open file, where the bytes are on disk. */
  readonly descriptor?: number;
  /** The whole, where the bytes are in memory. */
  readonly memory?: Buffer;
  /** Bytes from `offset`; fewer than `length` only at the end. */
  read(offset: number, length: number): Buffer;
}

export function memorySource(name: string, bytes: Uint8Array): ByteSource {
  const memory = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    name,
    size: memory.length,
    memory,
    read: (offset, length) => memory.subarray(offset, offset + length),
  };
}

/** @param descriptor of a file that stays open while the source is used; whoever opened it closes it */
export function diskSource(name: string, descriptor: number, size: number): ByteSource {
  return {
    name,
    size,
    descriptor,
    read(offset, length) {
      const wanted = Math.max(0, Math.min(length, size - offset));
      const bytes = Buffer.allocUnsafe(wanted);
      return bytes.subarray(0, readFully(descriptor, bytes, offset));
    },
  };
}

/** Fills `into` from a file; gives how many bytes there were. */
export function readFully(descriptor: number, into: Uint8Array, position: number): number {
  let filled = 0;
  while (filled < into.length) {
    const got = readSync(descriptor, into, filled, into.length - filled, position + filled);
    if (got === 0) break;
    filled += got;
  }
  return filled;
}

export function isGzip(source: ByteSource): boolean {
  const [first, second] = source.read(0, 2);
  return first === 0x1f && second === 0x8b;
}

function* chunksOf(source: ByteSource): Generator<Buffer> {
  for (let at = 0; at < source.size; at += CHUNK_BYTES) yield source.read(at, CHUNK_BYTES);
}

/**
 * The bytes of a file from first to last, unpacked where it is a gzip.
 * @throws DataError: DataTooLarge once more than the limit has been unpacked, DataTruncated for a gzip that is not whole
 */
export async function* unpacked(source: ByteSource, limits: DataLimits): AsyncGenerator<Buffer> {
  if (!isGzip(source)) {
    yield* chunksOf(source);
    return;
  }
  const limit = unpackedLimit(source.size, limits);
  let total = 0;
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // Errors come out of the iteration; the callback keeps pipeline from throwing them once more.
  pipeline(Readable.from(chunksOf(source)), gunzip, () => undefined);
  try {
    for await (const part of gunzip as AsyncIterable<Buffer>) {
      total += part.length;
      if (total > limit) throw bomb(source.name, limit);
      yield part;
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new DataError('DataTruncated', `${source.name} is not a whole gzip file (${why}). Pack or copy it again.`, {
      cause: error,
    });
  } finally {
    gunzip.destroy();
  }
}

export function bomb(name: string, limit: number): DataError {
  return new DataError(
    'DataTooLarge',
    `${name} unpacks to more than ${sizeOf(limit)}, the limit for a file of its size. Use fewer rows, or do not pack it.`,
  );
}

/** Reads a stream of parts piece by piece, as formats with headers and fixed sizes want it. */
export class ByteReader {
  readonly #parts: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(parts: AsyncIterable<Buffer>) {
    this.#parts = parts[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes, or fewer where the stream ends. Good until the next call. */
  async take(length: number): Promise<Buffer> {
    if (this.#rest.length >= length) return this.#cut(length);
    const gathered = [this.#rest];
    let size = this.#rest.length;
    while (size < length) {
      const { done, value } = await this.#parts.next();
      if (done === true) break;
      gathered.push(value);
      size += value.length;
    }
    this.#rest = Buffer.concat(gathered);
    return this.#cut(Math.min(length, this.#rest.length));
  }

  /** Leaves out `length` bytes. @returns false where the stream ends before */
  async skip(length: number): Promise<boolean> {
    for (let left = length; left > 0; ) {
      const { length: got } = await this.take(Math.min(left, CHUNK_BYTES));
      if (got === 0) return false;
      left -= got;
    }
    return true;
  }

  /** Ends the stream without reading the rest of it. */
  async close(): Promise<void> {
    await this.#parts.return?.(undefined);
  }

  #cut(length: number): Buffer {
    const taken = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return taken;
  }
}
