import { closeSync, lstatSync, openSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { PNG } from 'pngjs';
import type { ArrayShape } from './arrays.ts';
import { ByteReader, type ByteSource, diskSource, unpacked } from './byte-source.ts';
import { type DataLimits, sizeOf } from './data-limits.ts';
import { columnsOf, type Dataset, TableBuilder, type TableRoom } from './dataset.ts';
import { DataError } from './errors.ts';
import { tarEntries } from './tar.ts';
import { type ArchivedFile, isZip, zipEntries } from './zip.ts';

const MAX_IMAGE_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 8;
const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Signature, length and name of the first chunk, and its 13 bytes. */
const HEADER_BYTES = 29;
const OTHER_IMAGES = /\.(jpe?g|gif|webp|bmp|tiff?|avif|heic)$/i;
/** Of red, green and blue in what a person sees as grey (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114] as const;

/**
 * Reads PNG images from a zip, a tar (also gzipped) or a folder on disk: the folder that an image lies in is its class.
 * Folders named 0, 1, 2 ... are labels; with other names, one a class, labels follow the names in order.
 * @throws DataError
 */
export async function readImages(
  source: ByteSource | { readonly folder: string; readonly name: string },
  wanted: ArrayShape,
  room: TableRoom,
): Promise<Dataset> {
  const table = new ImageTable(source.name, wanted, room);
  try {
    for await (const entry of entriesOf(source, room.limits)) {
      const place = placeOf(entry.path, source.name);
      if (place === undefined) continue;
      table.knows(place);
      if (place.image !== undefined) table.add(place.folder, entry.path, await wholeOf(entry, source.name));
    }
    return table.finish();
  } catch (error) {
    table.discard();
    throw error;
  }
}

async function* entriesOf(
  source: ByteSource | { readonly folder: string; readonly name: string },
  limits: DataLimits,
): AsyncGenerator<ArchivedFile> {
  if ('folder' in source) {
    yield* filesBelow(source.folder, '', source.name, 0);
  } else if (isZip(source.read(0, 4))) {
    yield* zipEntries(source, limits);
  } else {
    const reader = new ByteReader(unpacked(source, limits));
    try {
      yield* tarEntries(reader, source.name, limits);
    } finally {
      await reader.close();
    }
  }
}

/** Files in the order of their names, which is the same on every validator. Links are not followed. */
function* filesBelow(folder: string, within: string, name: string, depth: number): Generator<ArchivedFile> {
  if (depth > MAX_DEPTH)
    throw new DataError('DataMalformed', `${name} has folders in folders deeper than ${MAX_DEPTH}.`);
  const entries = readdirSync(path.join(folder, within), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const inner = within === '' ? entry.name : `${within}/${entry.name}`;
    if (entry.isDirectory()) {
      yield { path: `${inner}/`, size: 0, isFolder: true, bytes: nothing };
      yield* filesBelow(folder, inner, name, depth + 1);
    } else if (entry.isFile()) {
      const file = path.join(folder, inner);
      const { size } = lstatSync(file);
      yield { path: inner, size, isFolder: false, bytes: () => bytesOf(file, size) };
    }
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}

async function* bytesOf(file: string, size: number): AsyncGenerator<Buffer> {
  const descriptor = openSync(file, 'r');
  try {
    yield diskSource(file, descriptor, size).read(0, size);
  } finally {
    closeSync(descriptor);
  }
}

interface Place {
  readonly folder: string;
  /** The folder that it lies in. */
  readonly around: string | undefined;
  readonly image: string | undefined;
}

/** The class's folder and, where the path is that of a PNG, the image; undefined for files that do not matter. */
function placeOf(file: string, archive: string): Place | undefined {
  const steps = file.split('/').filter((step) => step !== '' && step !== '.');
  if (steps.some((step) => step.startsWith('.') || step === '__MACOSX')) return undefined;
  if (file.endsWith('/')) return { folder: steps.at(-1) ?? '', around: steps.at(-2), image: undefined };
  const name = steps.at(-1) ?? '';
  if (OTHER_IMAGES.test(name)) {
    throw new DataError(
      'DataFormatUnknown',
      `${file.slice(0, 200)} in ${archive} is no PNG, and other images are not read. Convert the images to PNG.`,
    );
  }
  if (!/\.png$/i.test(name)) return undefined;
  const folder = steps.at(-2);
  const around = steps.at(-3);
  if (folder === undefined) {
    throw new DataError(
      'DataMalformed',
      `${name.slice(0, 200)} in ${archive} lies in no folder. Put every image into the folder of its class.`,
    );
  }
  return { folder, around, image: name };
}

async function wholeOf(entry: ArchivedFile, archive: string): Promise<Buffer> {
  if (entry.size > MAX_IMAGE_BYTES) {
    throw new DataError(
      'DataTooLarge',
      `${entry.path.slice(0, 200)} in ${archive} is larger than ${sizeOf(MAX_IMAGE_BYTES)}. Use smaller images.`,
    );
  }
  const parts: Buffer[] = [];
  for await (const part of entry.bytes()) parts.push(part);
  return Buffer.concat(parts);
}

interface ImageSize {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

class ImageTable {
  readonly #archive: string;
  readonly #wanted: ArrayShape;
  readonly #room: TableRoom;
  /** Class folders, in the order in which they were met. */
  readonly #folders = new Map<string, number>();
  /** Folders around others. */
  readonly #around = new Set<string>();
  /** Folders that hold images. */
  readonly #used = new Set<string>();
  #size: ImageSize | undefined;
  /** The image that the size is of. */
  #first = '';
  #builder: TableBuilder | undefined;

  constructor(archive: string, wanted: ArrayShape, room: TableRoom) {
    this.#archive = archive;
    this.#wanted = wanted;
    this.#room = room;
  }

  /** A folder that may hold images of a class, or none. */
  knows({ folder, around }: Place): void {
    if (!this.#folders.has(folder)) this.#folders.set(folder, this.#folders.size);
    if (around !== undefined) this.#around.add(around);
  }

  add(folder: string, file: string, bytes: Buffer): void {
    const name = `${file.slice(0, 200)} in ${this.#archive}`;
    const header = headerOf(bytes, name);
    this.#size ??= this.#sizeFrom(header, name);
    this.#builder ??= this.#begin(this.#size);
    this.#first ||= file.slice(0, 200);
    const { height, width } = this.#size;
    if (header.height !== height || header.width !== width) {
      const standard = this.#wanted.shape === undefined ? this.#first : 'data.shape';
      throw new DataError(
        'DataShapeMismatch',
        `${name} is ${header.width} x ${header.height}, ${standard} is ${width} x ${height}. Make all images equally large.`,
      );
    }
    copyPixels(decoded(bytes, name), this.#size, header.isGrey, this.#builder.next);
    this.#used.add(folder);
    if (this.#used.size > this.#wanted.classes) throw this.#tooManyClasses();
    this.#builder.add(this.#folders.get(folder) ?? 0);
  }

  finish(): Dataset {
    if (this.#builder === undefined) {
      throw new DataError(
        'DataMalformed',
        `${this.#archive} holds no PNG images. Give a zip or tar with a folder of PNG files for each class.`,
      );
    }
    return this.#builder.finish(this.#labels());
  }

  discard(): void {
    this.#builder?.discard();
  }

  #begin({ height, width, channels }: ImageSize): TableBuilder {
    const { classes } = this.#wanted;
    return new TableBuilder(
      { file: this.#archive, shape: [height, width, channels], classes, kind: 'uint8' },
      this.#room,
    );
  }

  #sizeFrom(header: PngHeader, name: string): ImageSize {
    const { shape } = this.#wanted;
    const size = { height: header.height, width: header.width, channels: header.isGrey ? 1 : 3 };
    if (shape === undefined) {
      columnsOf([size.height, size.width, 4], name, this.#room.limits);
      return size;
    }
    const [height = 0, width = 0, channels = 1] = shape;
    if (shape.length < 2 || shape.length > 3 || ![1, 3, 4].includes(channels)) {
      throw new DataError(
        'DataShapeMismatch',
        `data.shape is [${shape.join(', ')}]; of images it is [height, width, channels] with 1 (grey), 3 (colour) or ` +
          `4 (with alpha) channels: set it to [${size.height}, ${size.width}, ${size.channels}].`,
      );
    }
    columnsOf([height, width, 4], name, this.#room.limits);
    return { height, width, channels };
  }

  /** Label of each folder, by its number. */
  #labels(): number[] {
    const { classes } = this.#wanted;
    const used = [...this.#used];
    if (used.every((folder) => /^(0|[1-9][0-9]{0,5})$/.test(folder))) {
      const outside = used.find((folder) => Number(folder) >= classes);
      if (outside !== undefined) {
        throw new DataError(
          'LabelOutOfRange',
          `${this.#archive} has images in folder ${outside}; with data.classes ${classes}, folders are named 0 to ` +
            `${classes - 1}. Rename the folder or set data.classes.`,
        );
      }
      return [...this.#folders.keys()].map(Number);
    }
    const isClass = (folder: string) => this.#used.has(folder) || !this.#around.has(folder);
    const named = this.#used.size === classes ? used : [...this.#folders.keys()].filter(isClass);
    if (named.length !== classes) {
      throw new DataError(
        'LabelOutOfRange',
        `${this.#archive} has images in ${used.length} folders (${used.slice(0, 8).join(', ').slice(0, 200)}), ` +
          `data.classes is ${classes}. Give one folder a class, or name folders 0 to ${classes - 1}.`,
      );
    }
    const order = named.sort();
    return [...this.#folders.keys()].map((folder) => Math.max(0, order.indexOf(folder)));
  }

  #tooManyClasses(): DataError {
    const { classes } = this.#wanted;
    const names = [...this.#used].slice(0, 8).join(', ').slice(0, 200);
    return new DataError(
      'LabelOutOfRange',
      `${this.#archive} has images in more than ${classes} folders (${names}), data.classes is ${classes}. ` +
        'Set data.classes to the number of folders.',
    );
  }
}

interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly isGrey: boolean;
}

function headerOf(bytes: Buffer, name: string): PngHeader {
  if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) {
    throw new DataError('DataMalformed', `${name} does not begin as a PNG does. Write it again.`);
  }
  if (bytes.length < HEADER_BYTES)
    throw new DataError('DataTruncated', `${name} ends within its header. Copy it again.`);
  // The decoder unpacks interlaced images without a limit.
  if (bytes[28] !== 0) {
    throw new DataError('DataMalformed', `${name} is an interlaced PNG. Save it without interlacing.`);
  }
  return {
    width: bytes.readUInt32BE(16),
    height: bytes.readUInt32BE(20),
    isGrey: bytes[25] === 0 || bytes[25] === 4,
  };
}

function decoded(bytes: Buffer, name: string): Buffer {
  try {
    return PNG.sync.read(bytes).data;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DataError('DataMalformed', `${name} is no whole PNG (${why.slice(0, 200)}). Write or copy it again.`, {
      cause: error,
    });
  }
}

/** From four bytes a pixel to as many as there are channels. */
function copyPixels(rgba: Buffer, size: ImageSize, isGrey: boolean, into: Float32Array | Uint8Array): void {
  const { channels } = size;
  const pixels = size.height * size.width;
  for (let pixel = 0; pixel < pixels; pixel++) {
    const at = pixel * 4;
    if (channels > 1) {
      for (let c = 0; c < channels; c++) into[pixel * channels + c] = rgba[at + c] ?? 0;
    } else if (isGrey) {
      into[pixel] = rgba[at] ?? 0;
    } else {
      const [red, green, blue] = LUMA;
      into[pixel] = Math.round((rgba[at] ?? 0) * red + (rgba[at + 1] ?? 0) * green + (rgba[at + 2] ?? 0) * blue);
    }
  }
}
