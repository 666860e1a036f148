import { createHash } from 'node:crypto';
import { inspect } from 'node:util';
import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  generateStakeKey,
  keyDigest,
  MalformedKeyError,
  parseStakeKey,
  publicKeyOf,
  StakeKey,
  verifyVote,
  voteDigest,
} from '../../../src/trust/index.ts';
import { key, versionCid, vote } from './fixtures.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

describe('a stake key', () => {
  it('is read from 32 raw bytes and from hex with a line end, alike', () => {
    const secret = generateStakeKey();
    const hex = Buffer.from(secret).toString('hex');
    expect(parseStakeKey(secret)).toEqual(secret);
    expect(parseStakeKey(text(hex))).toEqual(secret);
    expect(parseStakeKey(text(`${hex.toUpperCase()}\n`))).toEqual(secret);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /is empty/],
    ['31 bytes', new Uint8Array(31).fill(1), /31 bytes/],
    ['zero', new Uint8Array(32), /zero or beyond/],
    ['a number beyond the curve', new Uint8Array(32).fill(255), /zero or beyond/],
    ['words', text('-----BEGIN PRIVATE KEY-----'), /neither 32 raw bytes nor 64 hex/],
    ['a large file', new Uint8Array(100_000), /100000 bytes/],
  ])('is not made of %s', (_what, bytes, why) => {
    expect(() => parseStakeKey(bytes, '/keys/stake')).toThrow(MalformedKeyError);
    expect(() => parseStakeKey(bytes, '/keys/stake')).toThrow(why);
    expect(() => parseStakeKey(bytes, '/keys/stake')).toThrow(/\/keys\/stake.*put 32 raw bytes or 64 hex digits/s);
  });

  it('never shows itself: not in errors, not printed, not as JSON', () => {
    const secret = 'ab'.repeat(31);
    expect(() => parseStakeKey(text(secret))).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('abab') }),
    );
    const shown = inspect(key(7), { showHidden: true, depth: 9 }) + JSON.stringify(key(7));
    expect(shown).not.toMatch(/01010101|1, 1, 1, 1/);
  });

  it('has a public key of 33 bytes and a digest that names its reservation', () => {
    const secret = generateStakeKey();
    expect(publicKeyOf(secret)).toMatch(/^0[23][0-9a-f]{64}$/);
    expect(new StakeKey(secret).publicKey).toBe(publicKeyOf(secret));
    expect(keyDigest(publicKeyOf(secret))).toMatch(/^[0-9a-f]{64}$/);
    expect(keyDigest(key(1).publicKey)).not.toBe(keyDigest(key(2).publicKey));
  });
});

describe('a vote', () => {
  it('is good as signed, and not when a single thing in it is changed', () => {
    const signed = vote(key(1));
    expect(verifyVote(signed)).toBe(true);
    for (const change of [
      { network: 'other' },
      { model: 'other' },
      { age: 200 },
      { version: versionCid(2) },
      { voter: key(2).publicKey },
    ])
      expect(verifyVote({ ...signed, vote: { ...signed.vote, ...change } })).toBe(false);
  });

  it('is signed over its DAG-CBOR under a name of its own, so that a signature fits nothing else', () => {
    const { vote: body } = vote(key(1));
    const preimage = Buffer.concat([Buffer.from('murmuration/vote/1'), Buffer.of(0), dagCbor.encode(body)]);
    expect(Buffer.from(voteDigest(body))).toEqual(createHash('sha256').update(preimage).digest());
  });

  it('with any other signature is no vote, and that is no crash', () => {
    const { vote: body } = vote(key(1));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.string({ maxLength: 70 }), (signature, voter) => {
        expect(verifyVote({ vote: body, signature })).toBe(false);
        expect(verifyVote({ vote: { ...body, voter }, signature })).toBe(false);
      }),
    );
  });
});
