import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bytesUpTo, decodeChecked, encode, encodeChecked, MalformedError } from '../../../src/codec/index.ts';

const shape = z.object({ v: z.literal(1), data: bytesUpTo(8) });
const limit = { what: 'a note', maxBytes: 32 };
const note = { v: 1, data: new Uint8Array([1, 2, 3]) };

describe('checked DAG-CBOR', () => {
  it('comes back as it was', () => {
    expect(decodeChecked(encodeChecked(note, shape, limit), shape, limit)).toEqual(note);
  });

  it('is the bytes of the format, and no Buffer', () => {
    expect(encode(note)).toEqual(dagCbor.encode(note));
    expect(Buffer.isBuffer(encode(note))).toBe(false);
    expect(Buffer.isBuffer(decodeChecked(Buffer.from(encode(note)), shape, limit).data)).toBe(false);
  });

  it.each([
    ['too many bytes', new Uint8Array(33), 'a note is malformed: 33 bytes, at most 32 are allowed'],
    ['no DAG-CBOR', new Uint8Array([0xff]), /^a note is malformed: not DAG-CBOR \(/],
    ['another shape', encode({ ...note, v: 2 }), /^a note is malformed: v: /],
    [
      'a byte string that is too long',
      encode({ ...note, data: new Uint8Array(9) }),
      /data: is no byte string of at most 8/,
    ],
  ])('refuses %s, and says what was wrong with what', (_what, bytes, why) => {
    expect(() => decodeChecked(bytes, shape, limit)).toThrow(MalformedError);
    expect(() => decodeChecked(bytes, shape, limit)).toThrow(why);
  });

  it('answers any bytes with a value of the shape or a MalformedError, deep nesting too', () => {
    const deep = fc.integer({ min: 1, max: 50_000 }).map((depth) => new Uint8Array(depth).fill(0x81));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), deep), (bytes) => {
        try {
          decodeChecked(bytes, z.unknown(), { what: 'anything', maxBytes: 100_000 });
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });

  it.each([
    ['a list', z.array(z.number()).readonly()],
    ['a record', z.strictObject({ v: z.literal(1) }).readonly()],
  ])('refuses bytes where %s belongs that is read-only', (_what, list) => {
    expect(() => decodeChecked(encode(new Uint8Array(7)), list, limit)).toThrow(MalformedError);
  });

  it('does not send what the other side would refuse', () => {
    expect(() => encodeChecked({ v: 2 }, shape, limit)).toThrow(MalformedError);
    expect(() => encodeChecked(note, shape, { ...limit, maxBytes: 4 })).toThrow('at most 4 are allowed');
  });
});
