import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode, MalformedError } from '../../../src/codec/index.ts';
import { decodeRows, encodeRows, MAX_USER_PAYLOAD_BYTES, rowsPerBox } from '../../../src/user/index.ts';

const expected = { columns: 3, classes: 10 };
const rows = { features: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9), labels: Int32Array.of(0, 9, 4) };
const box = (change: object) =>
  encode({ v: 1, columns: 3, features: new Uint8Array(12), labels: new Uint8Array(2), ...change });

describe('rows as bytes', () => {
  it('are read as they were written, from any part of a table', () => {
    expect(decodeRows(encodeRows(rows), expected)).toEqual(rows);
    const second = { features: rows.features.subarray(3, 6), labels: rows.labels.subarray(1, 2) };
    expect(decodeRows(encodeRows(second), expected)).toEqual({
      features: Float32Array.of(4, 5, 6),
      labels: Int32Array.of(9),
    });
  });

  it.each([
    ['no rows', box({ features: new Uint8Array(), labels: new Uint8Array() })],
    ['half a label', box({ labels: new Uint8Array(1) })],
    ['more labels than rows', box({ labels: new Uint8Array(4) })],
    ['another width', box({ columns: 4, features: new Uint8Array(16) })],
    ['a label that there is not', box({ labels: Uint8Array.of(10, 0) })],
    ['what is no number', box({ features: Uint8Array.of(0, 0, 192, 127, 0, 0, 0, 0, 0, 0, 0, 0) })],
    ['infinity', box({ features: Uint8Array.of(0, 0, 128, 255, 0, 0, 0, 0, 0, 0, 0, 0) })],
    ['more than is said', box({ more: 1 })],
    ['no CBOR', new Uint8Array(20).fill(255)],
  ])('are refused with %s', (_, bytes) => {
    expect(() => decodeRows(bytes, expected)).toThrow(MalformedError);
  });

  it('whatever bytes come, give rows or are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.uint8Array({ maxLength: 64 }), (features, labels) => {
        try {
          const rows = decodeRows(box({ features, labels }), expected);
          expect(rows.features.length).toBe(rows.labels.length * 3);
          expect([...rows.features].every(Number.isFinite)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });

  it('fill a box, and no more', () => {
    const rows = rowsPerBox(64);
    const bytes = encodeRows({ features: new Float32Array(rows * 64), labels: new Int32Array(rows) }).byteLength;
    expect(bytes).toBeLessThan(MAX_USER_PAYLOAD_BYTES);
    expect(bytes).toBeGreaterThan(MAX_USER_PAYLOAD_BYTES - 1024);
  });
});
