import { crc32 } from 'node:zlib';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { type ByteSource, bomb } from './byte-source.ts';
import { type DataLimits, unpackedLimit } from './data-limits.ts';
import { DataError } from './errors.ts';

/** A file within an archive or folder. */
export interface ArchivedFile {
  /** Path within the archive, with `/`. */
  readonly path: string;
  readonly size: number;
  readonly isFolder: boolean;
  /** Its bytes, once, and before the next file is asked for. */
  bytes(): AsyncIterable<Buffer>;
}

export const isZip = (head: Buffer): boolean =>
  head.length >= 4 &&
  head[0] === 0x50 &&
  head[1] === 0x4b &&
  (head.readUInt16LE(2) === 0x0403 || head.readUInt16LE(2) === 0x0605);

/**
 * The files of a zip in the order of its directory. Sizes, names and checksums are checked; what they unpack to in all
 * is limited before the first byte is unpacked.
 * @throws DataError
 */
export async function* zipEntries(source: ByteSource, limits: DataLimits): AsyncGenerator<ArchivedFile> {
  const limit = unpackedLimit(source.size, limits);
  let total = 0;
  const zip = await opened(source);
  try {
    for (;;) {
      const entry = await nextEntry(zip);
      if (entry === undefined) return;
      total += entry.uncompressedSize;
      if (total > limit) throw bomb(source.name, limit);
      if (entry.isEncrypted()) {
        throw new DataError(
          'DataMalformed',
          `${entry.fileName} in ${source.name} is encrypted. Pack it without a password.`,
        );
      }
      yield {
        path: entry.fileName,
        size: entry.uncompressedSize,
        isFolder: entry.fileName.endsWith('/'),
        bytes: () => bytesOf(zip, entry, source.name),
      };
    }
  } catch (error) {
    throw broken(error, source.name);
  }
}

/** Never closed: that would close the descriptor, which is another's. */
async function opened(source: ByteSource): Promise<ZipFile> {
  try {
    return source.memory === undefined
      ? await yauzl.fromFdPromise(source.descriptor ?? -1, { autoClose: false })
      : await yauzl.fromBufferPromise(source.memory);
  } catch (error) {
    throw broken(error, source.name);
  }
}

function nextEntry(zip: ZipFile): Promise<Entry | undefined> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => () => {
      zip.off('entry', onEntry).off('end', onEnd).off('error', onError);
      act();
    };
    const onEntry = (entry: Entry) => settle(() => resolve(entry))();
    const onEnd = settle(() => resolve(undefined));
    const onError = (error: Error) => settle(() => reject(error))();
    zip.on('entry', onEntry).on('end', onEnd).on('error', onError);
    zip.readEntry();
  });
}

async function* bytesOf(zip: ZipFile, entry: Entry, file: string): AsyncGenerator<Buffer> {
  let checksum = 0;
  let size = 0;
  try {
    const stream = await zip.openReadStreamPromise(entry);
    for await (const part of stream as AsyncIterable<Buffer>) {
      checksum = crc32(part, checksum);
      size += part.length;
      yield part;
    }
  } catch (error) {
    throw broken(error, `${entry.fileName} in ${file}`);
  }
  if (size !== entry.uncompressedSize || checksum !== entry.crc32) {
    throw new DataError(
      'DataMalformed',
      `${entry.fileName} in ${file} is damaged: its checksum is wrong. Pack or copy it again.`,
    );
  }
}

function broken(error: unknown, what: string): DataError {
  if (error instanceof DataError) return error;
  const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
  const reason = /truncated|EOF|not enough bytes|signature not found|unexpected end/i.test(why ?? '')
    ? 'DataTruncated'
    : 'DataMalformed';
  return new DataError(reason, `${what} is not a whole zip file (${why}). Pack or copy it again.`, { cause: error });
}
