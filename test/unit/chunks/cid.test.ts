import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as digest from 'multiformats/hashes/digest';
import { describe, expect, it } from 'vitest';
import { DAG_CBOR, isBlockCid, parseBlockCid, RAW } from '../../../src/chunks/index.ts';

const sha256 = (bytes: Uint8Array) => digest.create(0x12, createHash('sha256').update(bytes).digest());

/** What a text says, by multiformats alone: it reads other forms of the same CID too. */
function decoded(text: string): CID | undefined {
  try {
    return CID.decode(CID.parse(text).bytes);
  } catch {
    return undefined;
  }
}

describe("the text of a block's CID", () => {
  const block = fc
    .tuple(fc.uint8Array({ maxLength: 40 }), fc.constantFrom(RAW, DAG_CBOR))
    .map(([bytes, codec]) => CID.createV1(codec, sha256(bytes)).toString());

  it('is read, whatever the block', () => {
    fc.assert(
      fc.property(block, (text) => {
        expect(parseBlockCid(text)?.toString()).toBe(text);
      }),
    );
  });

  it('is no other text: not one that differs in a letter, and no second form of the same CID', () => {
    const other = fc.oneof(
      fc
        .tuple(block, fc.nat(58), fc.constantFrom(...'abcdhikryz274189-BKZ= '))
        .map(([text, at, letter]) => text.slice(0, at) + letter + text.slice(at + 1)),
      fc.tuple(block, fc.nat(58)).map(([text, at]) => text.slice(0, at)),
      fc.tuple(block, fc.constantFrom('a', '=', '\n', '2')).map(([text, more]) => text + more),
      block.map((text) => text.toUpperCase()),
      block.map((text) => `b${text.slice(1).toUpperCase()}`),
    );
    fc.assert(
      fc.property(other, (text) => {
        const cid = decoded(text);
        const isCanonical = cid !== undefined && isBlockCid(cid) && cid.toString() === text;
        expect(parseBlockCid(text)?.toString()).toBe(isCanonical ? text : undefined);
      }),
      { numRuns: 5000 },
    );
  });

  it('is none of another codec, hash, length or version', () => {
    const hash = sha256(new Uint8Array());
    for (const cid of [
      CID.createV1(0x70, hash),
      CID.createV1(RAW, digest.create(0x13, new Uint8Array(64))),
      CID.createV1(RAW, digest.create(0x12, new Uint8Array(20))),
      CID.createV0(digest.create(0x12, new Uint8Array(32))),
    ])
      expect(parseBlockCid(cid.toString())).toBeUndefined();
  });
});
