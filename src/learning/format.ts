import { ByteReader, type ByteSource, isGzip, unpacked } from './byte-source.ts';
import type { TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';
import { isIdx } from './idx.ts';
import { isNpy } from './npy.ts';
import { isTar } from './tar.ts';
import { isZip, zipEntries } from './zip.ts';

/** What a file turned out to hold. `npy` is one array, `npz` several. */
export type FoundFormat = 'csv' | 'npy' | 'npz' | 'idx' | 'images';
type Container = 'zip' | 'tar' | 'npy' | 'idx' | 'text' | 'unknown';

const HEAD_BYTES = 1024;
const CONTAINERS: Readonly<Record<FoundFormat, readonly Container[]>> = {
  csv: ['text'],
  npy: ['npy'],
  npz: ['zip', 'npy'],
  idx: ['idx'],
  images: ['zip', 'tar'],
};
const NAMES: Readonly<Record<Container, string>> = {
  zip: 'a zip file',
  tar: 'a tar file',
  npy: 'a NumPy array',
  idx: 'an IDX file',
  text: 'text',
  unknown: 'of no format that is known',
};
const ADVICE = 'Give a CSV file, what numpy.savez writes, IDX files, or a zip or tar of PNG images in a folder a class';

/**
 * What a file holds, by its first bytes: its name is not believed, but what it says must not differ from `wanted`.
 * @throws DataError where that is unknown, or not what is wanted
 */
export async function formatOf(
  source: ByteSource,
  wanted: 'auto' | 'csv' | 'npz' | 'idx' | 'images',
  room: TableRoom,
): Promise<FoundFormat> {
  const container = await containerOf(source, room);
  if (wanted !== 'auto') {
    if (!CONTAINERS[wanted].includes(container)) {
      throw new DataError(
        'DataFormatUnknown',
        `${source.name} is ${NAMES[container]}, data.format is ${wanted}. Set data.format to auto, or give another file.`,
      );
    }
    return wanted === 'npz' && container === 'npy' ? 'npy' : wanted;
  }
  switch (container) {
    case 'text':
      return 'csv';
    case 'npy':
    case 'idx':
      return container;
    case 'tar':
      return 'images';
    case 'zip':
      return formatOfZip(source, room);
    case 'unknown':
      throw new DataError('DataFormatUnknown', `${source.name} is ${NAMES.unknown}. ${ADVICE}.`);
  }
}

async function containerOf(source: ByteSource, room: TableRoom): Promise<Container> {
  const stored = source.read(0, HEAD_BYTES);
  if (isZip(stored)) return 'zip';
  const reader = new ByteReader(unpacked(source, room.limits));
  try {
    const head = await reader.take(HEAD_BYTES);
    if (isNpy(head) && !isGzip(source)) return 'npy';
    if (isTar(head)) return 'tar';
    if (isIdx(head)) return 'idx';
    return isText(head) ? 'text' : 'unknown';
  } finally {
    await reader.close();
  }
}

/** Tables are written without control characters, besides tabs and ends of lines. */
function isText(head: Buffer): boolean {
  return head.every((byte) => byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d);
}

async function formatOfZip(source: ByteSource, { limits }: TableRoom): Promise<FoundFormat> {
  for await (const { path } of zipEntries(source, limits)) {
    if (path.endsWith('.npy')) return 'npz';
    if (/\.png$/i.test(path)) return 'images';
  }
  throw new DataError('DataFormatUnknown', `${source.name} is a zip file without arrays or PNG images. ${ADVICE}.`);
}
