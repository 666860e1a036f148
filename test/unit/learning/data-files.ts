import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { PNG } from 'pngjs';

/** Files as other programs write them, for tests of what reads them. */

export interface NpyOptions {
  readonly descr?: string;
  readonly fortran?: boolean;
  readonly version?: 1 | 2;
}

/** What numpy.save writes. */
export function npy(shape: readonly number[], numbers: readonly number[], options: NpyOptions = {}): Buffer {
  const { descr = '<f4', fortran = false, version = 1 } = options;
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': (${sides}), }`;
  const lengthBytes = version === 1 ? 2 : 4;
  const padded = `${text.padEnd(Math.ceil((text.length + 9 + lengthBytes) / 64) * 64 - 9 - lengthBytes)}\n`;
  const length = Buffer.alloc(lengthBytes);
  if (version === 1) length.writeUInt16LE(padded.length);
  else length.writeUInt32LE(padded.length);
  const magic = Buffer.from([0x93, ...Buffer.from('NUMPY'), version, 0]);
  return Buffer.concat([magic, length, Buffer.from(padded, 'latin1'), packed(descr, numbers)]);
}

function packed(descr: string, numbers: readonly number[]): Buffer {
  const size = Number(descr.at(-1));
  const bytes = Buffer.alloc(numbers.length * size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittle = !descr.startsWith('>');
  for (const [i, value] of numbers.entries()) {
    const at = i * size;
    const type = descr.slice(1);
    if (type === 'f4') view.setFloat32(at, value, isLittle);
    else if (type === 'f8') view.setFloat64(at, value, isLittle);
    else if (type === 'i8') view.setBigInt64(at, BigInt(value), isLittle);
    else if (type === 'i4') view.setInt32(at, value, isLittle);
    else if (type === 'i2') view.setInt16(at, value, isLittle);
    else view.setUint8(at, value);
  }
  return bytes;
}

/** A zip with the given files, stored or deflated. */
export function zip(files: Readonly<Record<string, Uint8Array>>, options: { readonly deflate?: boolean } = {}): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const stored = options.deflate === true ? deflateRawSync(content) : Buffer.from(content);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x800, 2);
    common.writeUInt16LE(options.deflate === true ? 8 : 0, 4);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(stored.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, Buffer.from(name), stored]);
    const at = Buffer.alloc(14);
    at.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, at, Buffer.from(name)]));
    bodies.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, central, end]);
}

/** A tar with the given files; names longer than 100 bytes as pax has them. */
export function tar(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => {
    if (name.length <= 100) return [entry(name, content, name.endsWith('/') ? '5' : '0')];
    const body = ` path=${name}\n`;
    const length = body.length + String(body.length + 3).length;
    return [entry('PaxHeader', Buffer.from(`${length}${body}`), 'x'), entry(name.slice(0, 100), content, '0')];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

function entry(name: string, content: Uint8Array, type: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 100);
  header.write('0000644\0', 100);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export const tarGz = (files: Readonly<Record<string, Uint8Array>>): Buffer => gzipSync(tar(files));

/** A PNG whose pixels are given row by row, as many bytes a pixel as the colour type has. */
export function png(
  width: number,
  height: number,
  pixels: readonly number[],
  kind: 'grey' | 'rgb' | 'rgba' = 'grey',
): Buffer {
  const [colorType, channels] = ({ grey: [0, 1], rgb: [2, 3], rgba: [6, 4] } as const)[kind];
  const image = { width, height, data: Buffer.from(pixels) } as PNG;
  return PNG.sync.write(image, {
    colorType,
    inputColorType: colorType,
    inputHasAlpha: channels === 4,
    bitDepth: 8,
  });
}

/** An IDX file of unsigned bytes, or of another type as its third byte says. */
export function idx(shape: readonly number[], numbers: readonly number[], type = 0x08): Buffer {
  const head = Buffer.alloc(4 + 4 * shape.length);
  head[2] = type;
  head[3] = shape.length;
  shape.forEach((side, i) => {
    head.writeUInt32BE(side, 4 + 4 * i);
  });
  const descr = { 8: '>u1', 11: '>i2', 12: '>i4', 13: '>f4', 14: '>f8' }[type] ?? '>u1';
  return Buffer.concat([head, packed(descr, numbers)]);
}
