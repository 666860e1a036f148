import { MalformedError } from '../codec/index.ts';
import { MAX_CHUNKS } from './manifest.ts';

/**
 * Which chunks of one version somebody holds: one bit a chunk, bit i of byte floor(i / 8) counted from the lowest.
 * Bits beyond the length are zero, so equal maps have equal bytes.
 */
export class BufferMap {
  readonly length: number;
  readonly #bits: Uint8Array;
  #count: number;

  private constructor(length: number, bits: Uint8Array) {
    this.length = length;
    this.#bits = bits;
    this.#count = bits.reduce((sum, byte) => sum + ones(byte), 0);
  }

  static empty(length: number): BufferMap {
    return new BufferMap(length, new Uint8Array(byteLength(length)));
  }

  static full(length: number): BufferMap {
    const map = BufferMap.empty(length);
    for (let index = 0; index < length; index++) map.set(index);
    return map;
  }

  static of(length: number, indexes: Iterable<number>): BufferMap {
    const map = BufferMap.empty(length);
    for (const index of indexes) map.set(index);
    return map;
  }

  /** From bits off the wire. Throws MalformedError when their number is wrong or a bit beyond the end is set. */
  static fromBits(length: number, bits: Uint8Array): BufferMap {
    if (!Number.isInteger(length) || length < 0 || length > MAX_CHUNKS)
      throw new MalformedError('a buffer map', `length ${length} is not within 0..${MAX_CHUNKS}`);
    if (bits.length !== byteLength(length))
      throw new MalformedError('a buffer map', `${bits.length} bytes of bits for ${length} chunks`);
    const last = bits.at(-1);
    if (last !== undefined && length % 8 !== 0 && last >> (length % 8) !== 0)
      throw new MalformedError('a buffer map', 'bits beyond its end are set');
    return new BufferMap(length, bits.slice());
  }

  /** Number of chunks held. */
  get count(): number {
    return this.#count;
  }

  get complete(): boolean {
    return this.#count === this.length;
  }

  has(index: number): boolean {
    return index >= 0 && index < this.length && ((this.#bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  }

  /** Returns whether this changed anything. */
  set(index: number): boolean {
    this.#check(index);
    if (this.has(index)) return false;
    this.#bits[index >> 3] = (this.#bits[index >> 3] ?? 0) | (1 << (index & 7));
    this.#count++;
    return true;
  }

  /** Returns whether this changed anything. */
  clear(index: number): boolean {
    this.#check(index);
    if (!this.has(index)) return false;
    this.#bits[index >> 3] = (this.#bits[index >> 3] ?? 0) & ~(1 << (index & 7));
    this.#count--;
    return true;
  }

  *indexes(): Generator<number> {
    for (let index = 0; index < this.length; index++) if (this.has(index)) yield index;
  }

  /** A copy of the bits. */
  bits(): Uint8Array {
    return this.#bits.slice();
  }

  clone(): BufferMap {
    return new BufferMap(this.length, this.bits());
  }

  intersection(other: BufferMap): BufferMap {
    return this.#with(other, (a, b) => a & b);
  }

  /** What is held here and not there. */
  difference(other: BufferMap): BufferMap {
    return this.#with(other, (a, b) => a & ~b);
  }

  #with(other: BufferMap, combine: (a: number, b: number) => number): BufferMap {
    if (other.length !== this.length)
      throw new RangeError(`maps of ${this.length} and ${other.length} chunks belong to different versions`);
    return new BufferMap(
      this.length,
      this.#bits.map((byte, at) => combine(byte, other.#bits[at] ?? 0) & 0xff),
    );
  }

  #check(index: number): void {
    if (!Number.isInteger(index) || index < 0 || index >= this.length)
      throw new RangeError(`chunk ${index} does not exist: the version has ${this.length}`);
  }
}

function byteLength(chunks: number): number {
  return Math.ceil(chunks / 8);
}

function ones(byte: number): number {
  let left = byte;
  let count = 0;
  for (; left !== 0; left &= left - 1) count++;
  return count;
}
