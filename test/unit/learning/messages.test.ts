import { decode, encode } from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packFloat32, packInt8, unpackFloat32, unpackInt8 } from '../../../src/learning/compression.ts';
import { decodeFrame, encodeFrame, MAX_AGE, maxFrameBytes } from '../../../src/learning/frame.ts';
import { layoutOf } from '../../../src/learning/layout.ts';
import { packingOf } from '../../../src/learning/strategies.ts';
import type { Parcel } from '../../../src/learning/strategy.ts';

const layout = layoutOf([
  { name: '0_dense/kernel', shape: [2, 3] },
  { name: '0_dense/bias', shape: [3] },
]);
const own: Parcel = { way: 'peer', weights: Float32Array.of(1, -2, 3, 0.5, 0, -0.25, 0, 0, 0), age: 17 };
const int8 = packingOf({ bits: 8 });
const f32 = packingOf({ bits: 32 });
const float32 = fc.float({ noNaN: true, noDefaultInfinity: true });

describe('int8', () => {
  it('is off by at most half a step, for any weights', () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, noDefaultInfinity: true }), (values) => {
        const packed = packInt8(values);
        const back = new Float32Array(values.length);
        unpackInt8(packed, back);
        // Half a step, and the rounding of float32 itself (2^-24 of a value).
        const greatest = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        const bound = (packed.scale ?? 0) / 2 + greatest * 2 ** -23 + 1e-45;
        values.forEach((value, i) => {
          expect(Math.abs(value - back[i]!)).toBeLessThanOrEqual(bound);
        });
      }),
    );
  });

  it('takes a byte a weight; f32 takes four and loses nothing', () => {
    fc.assert(
      fc.property(fc.array(float32), (numbers) => {
        const values = Float32Array.from(numbers);
        expect(packInt8(values).data.length).toBe(values.length);
        const back = new Float32Array(values.length);
        unpackFloat32(packFloat32(values), back);
        expect(back).toEqual(values);
      }),
    );
  });
});

describe('a frame', () => {
  it.each([8, 32] as const)('brings age and weights over, %i bits', (bits) => {
    const decoded = decodeFrame(encodeFrame('uid', own, layout, packingOf({ bits })), 'uid', layout);
    if (!decoded.isValid) throw new Error(decoded.reason);
    expect(decoded.parcel).toMatchObject({ way: 'peer', age: 17 });
    decoded.parcel.weights!.forEach((w, i) => {
      expect(w).toBeCloseTo(own.weights![i]!, bits === 32 ? 7 : 1);
    });
  });

  type Wire = { v: number; model: string; age: number; codec: string; tensors: Record<string, unknown>[] };
  const changed = (change: (wire: Wire) => void): Uint8Array => {
    const wire = decode<Wire>(encodeFrame('uid', own, layout, f32));
    change(wire);
    return encode(wire);
  };
  const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ['no CBOR', Uint8Array.of(255, 1, 2)],
    ['half a frame', encodeFrame('uid', own, layout, int8).slice(0, 60)],
    ['lists in lists in lists', new Uint8Array(900).fill(0x81)],
    ['a string that claims 4 GiB', Uint8Array.of(0x7a, 255, 255, 255, 255, 1)],
    ['a wrong root', encode([1, 2, 3])],
    ['another version', changed((w) => Object.assign(w, { v: 2 }))],
    ['another model', changed((w) => Object.assign(w, { model: 'other' }))],
    ['an unknown field', changed((w) => Object.assign(w, { extra: true }))],
    ['a negative age', changed((w) => Object.assign(w, { age: -1 }))],
    ['half an update', changed((w) => Object.assign(w, { age: 1.5 }))],
    ['an age nobody reaches', changed((w) => Object.assign(w, { age: MAX_AGE + 1 }))],
    ['an unknown codec', changed((w) => Object.assign(w, { codec: 'f64' }))],
    ['a missing tensor', changed((w) => w.tensors.pop())],
    ['tensors in another order', changed((w) => w.tensors.reverse())],
    ['another name', changed((w) => Object.assign(w.tensors[0]!, { name: 'x' }))],
    ['another shape', changed((w) => Object.assign(w.tensors[0]!, { shape: [3, 2] }))],
    ['too few bytes', changed((w) => Object.assign(w.tensors[1]!, { data: floats(1, 2) }))],
    ['too many bytes', changed((w) => Object.assign(w.tensors[1]!, { data: floats(1, 2, 3, 4) }))],
    ['NaN', changed((w) => Object.assign(w.tensors[1]!, { data: floats(1, Number.NaN, 3) }))],
    ['Infinity', changed((w) => Object.assign(w.tensors[1]!, { data: floats(1, Number.POSITIVE_INFINITY, 3) }))],
    ['text for bytes', changed((w) => Object.assign(w.tensors[1]!, { data: 'abc' }))],
    [
      'int8 whose scale overflows',
      encode({
        ...decode<Wire>(encodeFrame('uid', own, layout, int8)),
        tensors: decode<Wire>(encodeFrame('uid', own, layout, int8)).tensors.map((t) => ({ ...t, scale: 1e300 })),
      }),
    ],
    [
      'int8 without a scale',
      encode({
        ...decode<Wire>(encodeFrame('uid', own, layout, int8)),
        tensors: decode<Wire>(encodeFrame('uid', own, layout, int8)).tensors.map(({ scale: _, ...t }) => t),
      }),
    ],
  ])('with %s is refused with a sentence', (_, bytes) => {
    const decoded = decodeFrame(bytes, 'uid', layout);
    expect(decoded).toMatchObject({ isValid: false, reason: expect.stringMatching(/^Message refused: .*\.$/s) });
  });

  it('longer than any frame of this model is refused unread', () => {
    const decoded = decodeFrame(new Uint8Array(maxFrameBytes(layout) + 1), 'uid', layout);
    expect(decoded).toMatchObject({ isValid: false, reason: expect.stringContaining('at most') });
  });

  it('of any bytes at all is refused, never thrown', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeFrame(bytes, 'uid', layout).isValid).toBe(false);
      }),
    );
  });

  it('with any one byte changed is refused or still finite', () => {
    const good = encodeFrame('uid', own, layout, f32);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const bad = good.slice();
        bad[at] = bad[at]! ^ by;
        const decoded = decodeFrame(bad, 'uid', layout);
        if (decoded.isValid) expect(decoded.parcel.weights?.every(Number.isFinite)).toBe(true);
      }),
    );
  });
});

describe('a frame of a part, or with a change', () => {
  const change = Float32Array.from({ length: 9 }, (_, i) => i - 4);
  const part = { index: 1, of: 2 };
  const weights = Float32Array.of(5, 6, 7, 8, 9);
  type Wire = Record<string, unknown> & { change: { codec: string; tensors: Record<string, unknown>[] } };
  const wire = (parcel: Parcel): Wire => decode<Wire>(encodeFrame('uid', parcel, layout, f32));
  const read = (frame: unknown, models: 1 | 2 = 2) => decodeFrame(encode(frame), 'uid', layout, models);

  it('brings over the part that it is, across tensors', () => {
    const decoded = read(wire({ way: 'peer', age: 7, part, weights }));
    expect(decoded).toEqual({ isValid: true, parcel: { way: 'peer', age: 7, part, base: undefined, weights } });
  });

  it('brings over what changed, alone and beside weights', () => {
    const up: Parcel = { way: 'up', age: 7, base: 3, change };
    expect(read(wire(up))).toMatchObject({ isValid: true, parcel: up });
    const both: Parcel = { way: 'peer', age: 7, weights: change, change };
    expect(read(wire(both))).toMatchObject({ isValid: true, parcel: both });
  });

  it.each<[string, unknown]>([
    ['a part that is not there', { ...wire({ way: 'peer', age: 7, part, weights }), part: { index: 2, of: 2 } }],
    ['another part than its tensors', { ...wire({ way: 'peer', age: 7, part, weights }), part: { index: 0, of: 2 } }],
    ['one part of one', { ...wire({ way: 'peer', age: 7, part, weights }), part: { index: 0, of: 1 } }],
    ['a million parts', { ...wire({ way: 'peer', age: 7, part, weights }), part: { index: 0, of: 1_000_000 } }],
    ['an unknown way', { ...wire({ way: 'up', age: 7, base: 3, change }), way: 'sideways' }],
    ['a negative base', { ...wire({ way: 'up', age: 7, base: 3, change }), base: -1 }],
    ['nothing at all', { ...wire({ way: 'peer', age: 7, part, weights }), tensors: [] }],
    ['half a change', { ...wire({ way: 'up', age: 7, base: 3, change }), change: { codec: 'f32', tensors: [] } }],
    [
      'a change by an unknown codec',
      { ...wire({ way: 'up', age: 7, base: 3, change }), change: { codec: 'zip', tensors: [] } },
    ],
    [
      'a change that is not a number',
      {
        ...wire({ way: 'up', age: 7, base: 3, change }),
        change: {
          codec: 'f32',
          tensors: wire({ way: 'up', age: 7, base: 3, change: new Float32Array(9).fill(Number.NaN) }).change.tensors,
        },
      },
    ],
  ])('with %s is refused with a sentence', (_, frame) => {
    expect(read(frame)).toMatchObject({
      isValid: false,
      reason: expect.stringMatching(/^Message refused: .*\.$/s),
    });
  });

  it('is refused, not misread, by who knows only whole weights', () => {
    // The frame as it was before parts and changes.
    const known = ['v', 'model', 'age', 'codec', 'tensors'];
    const parcels: Parcel[] = [
      { way: 'peer', age: 7, part, weights },
      { way: 'up', age: 7, base: 3, change: new Float32Array(9) },
      { way: 'down', age: 7, weights: new Float32Array(9) },
    ];
    for (const parcel of parcels) {
      expect(Object.keys(wire(parcel)).some((key) => !known.includes(key))).toBe(true);
    }
    expect(Object.keys(wire({ way: 'peer', age: 7, weights: new Float32Array(9) })).sort()).toEqual(known.sort());
  });
});
