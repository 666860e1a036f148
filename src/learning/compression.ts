/** How a tensor's numbers travel. */
export const CODECS = ['int8', 'f32', 'top2', 'factors'] as const;
export type Codec = (typeof CODECS)[number];
/** Those that lose little enough for weights; the others are for changes, where what was left out follows later. */
export const WEIGHT_CODECS = ['int8', 'f32'] as const satisfies readonly Codec[];

export interface Packed {
  /** Value of one step of whole numbers; absent where numbers are floats. */
  readonly scale?: number | undefined;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Makes bytes of a tensor's numbers. */
export type Pack = (values: Float32Array, shape: readonly number[]) => Packed;
/** Fills `into` from a peer's bytes; a string says what is wrong with them. */
export type Unpack = (packed: Packed, into: Float32Array, shape: readonly number[]) => string | undefined;

export const UNPACK: Readonly<Record<Codec, Unpack>> = {
  int8: unpackInt8,
  f32: unpackFloat32,
  top2: unpackTop2,
  factors: unpackFactors,
};

const INT8_MAX = 127;

/**
 * Symmetric int8: q = round(x / scale), scale = max|x| / 127. The error of a value is at most scale / 2, besides the
 * rounding of float32. Gossip learning does not notice it (measured: equal curves).
 */
export function packInt8(values: Float32Array): Packed {
  const scale = greatest(values) / INT8_MAX;
  const data = new Int8Array(values.length);
  if (scale > 0) for (let i = 0; i < values.length; i++) data[i] = Math.round((values[i] as number) / scale);
  return { scale, data: new Uint8Array(data.buffer) };
}

export function unpackInt8({ data, scale }: Packed, into: Float32Array): string | undefined {
  if (scale === undefined) return 'has no scale';
  if (data.length !== into.length) return `has ${data.length} bytes, expected ${into.length}`;
  // A byte of 128..255 stands for -128..-1.
  for (let i = 0; i < data.length; i++) into[i] = (((data[i] as number) << 24) >> 24) * scale;
  return undefined;
}

export function packFloat32(values: Float32Array): Packed {
  const copy = values.slice();
  return { data: new Uint8Array(copy.buffer) };
}

export function unpackFloat32({ data }: Pick<Packed, 'data'>, into: Float32Array): string | undefined {
  if (data.length !== into.byteLength) return `has ${data.length} bytes, expected ${into.byteLength}`;
  new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(data);
  return undefined;
}

/** The four values of two bits, times the scale. */
const LEVELS = [-1, -1 / 3, 1 / 3, 1] as const;

/**
 * The share of values that are greatest by amount, each with two bits (SparseLoCo, arXiv 2508.15706): its place as the
 * gap to the one before, 7 bits a byte, then the bits of all. scale is the greatest amount. A value that is kept is off
 * by at most scale / 3; one that is left out by itself, which is no more than any that is kept.
 */
export function packTop2(share: number): Pack {
  return (values) => {
    const scale = greatest(values);
    const count = scale === 0 ? 0 : Math.min(values.length, Math.max(1, Math.round(share * values.length)));
    const kept = places(values, count);
    const head: number[] = [];
    pushNumber(head, count);
    kept.forEach((at, i) => {
      pushNumber(head, at - (kept[i - 1] ?? -1) - 1);
    });
    const codes = new Uint8Array(Math.ceil(count / 4));
    kept.forEach((at, i) => {
      // -1, -1/3, 1/3, 1 become 0, 1, 2, 3.
      const code = Math.min(3, Math.max(0, Math.round(((values[at] as number) / scale) * 1.5 + 1.5)));
      codes[i >> 2] = (codes[i >> 2] as number) | (code << ((i & 3) * 2));
    });
    const data = new Uint8Array(head.length + codes.length);
    data.set(head);
    data.set(codes, head.length);
    return { scale, data };
  };
}

export function unpackTop2({ data, scale }: Packed, into: Float32Array): string | undefined {
  if (scale === undefined) return 'has no scale';
  const reader = { data, at: 0 };
  const count = readNumber(reader);
  if (count === undefined || count > into.length) return `says that it keeps more than all of ${into.length} numbers`;
  const kept = new Uint32Array(count);
  let at = -1;
  for (let i = 0; i < count; i++) {
    const gap = readNumber(reader);
    at += (gap ?? into.length) + 1;
    if (at >= into.length) return 'names a place that is not there';
    kept[i] = at;
  }
  if (data.length - reader.at !== Math.ceil(count / 4)) return `has bytes that belong to none of its ${count} numbers`;
  into.fill(0);
  kept.forEach((place, i) => {
    into[place] = (LEVELS[((data[reader.at + (i >> 2)] as number) >> ((i & 3) * 2)) & 3] as number) * scale;
  });
  return undefined;
}

/** Most columns of a factor: what a peer sends is multiplied out, and that takes time. */
const MAX_RANK = 64;
/** Rounds of improving the factors; one is what PowerSGD takes, with two the error is close to the least there is. */
const POWER_ROUNDS = 2;

/**
 * A matrix m x n as two factors P (m x r, orthonormal) and Q (n x r), the product P Q^T of which is the projection of
 * the matrix on r directions (PowerSGD, Vogels et al. 2019): never further off than the matrix is long, and exact where
 * its rank is at most r. Where two factors would take no fewer bytes than int8 (vectors, small matrices) it is int8.
 */
export function packFactors(rank: number): Pack {
  return (values, shape) => {
    const sides = sidesOf(values.length, shape);
    if (!isWorthFactors(sides, rank)) return packInt8(values);
    const [m, n] = sides;
    const data = new Float32Array(rank * (m + n));
    const [p, q] = [data.subarray(0, m * rank), data.subarray(m * rank)];
    // A start that is the same everywhere and has a part of every direction.
    for (let i = 0; i < q.length; i++) q[i] = Math.sin(i * 12.9898 + 1);
    for (let round = 0; round < POWER_ROUNDS; round++) {
      product(values, q, p, m, n, rank, false);
      orthonormalise(p, m, rank);
      product(values, p, q, m, n, rank, true);
    }
    return { data: new Uint8Array(data.buffer) };
  };
}

export function unpackFactors(packed: Packed, into: Float32Array, shape: readonly number[]): string | undefined {
  const [m, n] = sidesOf(into.length, shape);
  if (packed.scale !== undefined) return unpackInt8(packed, into);
  const { data } = packed;
  const rank = data.length / 4 / (m + n);
  if (!Number.isInteger(rank) || !isWorthFactors([m, n], rank)) return `has ${data.length} bytes, which are no factors`;
  const factors = new Float32Array(rank * (m + n));
  unpackFloat32({ data }, factors);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < rank; k++) {
        sum += (factors[i * rank + k] as number) * (factors[(m + j) * rank + k] as number);
      }
      into[i * n + j] = sum;
    }
  }
  return undefined;
}

/**
 * What compression left out of a change, to be sent with the next one: nothing is lost for good (error feedback).
 */
export class ErrorFeedback {
  readonly #rest: Float32Array;

  constructor(size: number) {
    this.#rest = new Float32Array(size);
  }

  /** The change to send now: this one, and what is owed. */
  add(change: Float32Array): Float32Array {
    return change.map((x, i) => x + (this.#rest[i] as number));
  }

  /** @param sent what arrives of `wanted` */
  owe(wanted: Float32Array, sent: Float32Array): void {
    for (let i = 0; i < wanted.length; i++) this.#rest[i] = (wanted[i] as number) - (sent[i] as number);
  }

  clear(): void {
    this.#rest.fill(0);
  }
}

function greatest(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  return most;
}

/** Places of the `count` values that are greatest by amount, in order; of equal ones the first. */
function places(values: Float32Array, count: number): Uint32Array {
  if (count === 0) return new Uint32Array();
  const amounts = values.map(Math.abs).sort();
  const least = amounts[amounts.length - count] as number;
  let spare = count - amounts.reduce((above, amount) => above + (amount > least ? 1 : 0), 0);
  const kept = new Uint32Array(count);
  let found = 0;
  for (let i = 0; i < values.length && found < count; i++) {
    const amount = Math.abs(values[i] as number);
    if (amount > least || (amount === least && spare-- > 0)) kept[found++] = i;
  }
  return kept;
}

function pushNumber(bytes: number[], value: number): void {
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
}

/** Undefined at the end of the data, and for numbers of more than 28 bits. */
function readNumber(reader: { readonly data: Uint8Array; at: number }): number | undefined {
  let value = 0;
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = reader.data[reader.at++];
    if (byte === undefined) return undefined;
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  return undefined;
}

/** Rows and columns: the last side, and all others together. */
function sidesOf(length: number, shape: readonly number[]): readonly [m: number, n: number] {
  const n = shape.length > 1 ? (shape.at(-1) ?? 1) : 1;
  return [n === 0 ? 0 : length / n, n];
}

function isWorthFactors([m, n]: readonly [number, number], rank: number): boolean {
  return rank >= 1 && rank <= Math.min(m, n, MAX_RANK) && 4 * rank * (m + n) < m * n;
}

/** into = A b for A of m x n, or A^T b where `isTransposed`; b and into have `rank` columns. */
function product(
  a: Float32Array,
  b: Float32Array,
  into: Float32Array,
  m: number,
  n: number,
  rank: number,
  isTransposed: boolean,
): void {
  into.fill(0);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      const value = a[i * n + j] as number;
      const [to, from] = isTransposed ? [j, i] : [i, j];
      for (let k = 0; k < rank; k++) {
        into[to * rank + k] = (into[to * rank + k] as number) + value * (b[from * rank + k] as number);
      }
    }
  }
}

/** Gram-Schmidt on the columns; a column that is nothing besides the others becomes zeros. */
function orthonormalise(p: Float32Array, m: number, rank: number): void {
  const dot = (a: number, b: number): number => {
    let sum = 0;
    for (let i = 0; i < m; i++) sum += (p[i * rank + a] as number) * (p[i * rank + b] as number);
    return sum;
  };
  for (let k = 0; k < rank; k++) {
    const before = Math.sqrt(dot(k, k));
    // Twice: once leaves rounding behind.
    for (let again = 0; again < 2; again++) {
      for (let other = 0; other < k; other++) {
        const along = dot(k, other);
        for (let i = 0; i < m; i++) {
          p[i * rank + k] = (p[i * rank + k] as number) - along * (p[i * rank + other] as number);
        }
      }
    }
    const length = Math.sqrt(dot(k, k));
    const factor = length > 1e-6 * before ? 1 / length : 0;
    for (let i = 0; i < m; i++) p[i * rank + k] = (p[i * rank + k] as number) * factor;
  }
}
