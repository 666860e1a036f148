import * as dagCbor from '@ipld/dag-cbor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MalformedError } from '../../../src/codec/index.ts';
import {
  certify,
  decodeCertificate,
  decodeEvidence,
  decodeVotesMessage,
  encodeVotesMessage,
  proposerOrder,
  type VotesMessage,
} from '../../../src/trust/index.ts';
import { key, versionCid, vote } from './fixtures.ts';

const signed = vote(key(1));
const certificate = certify(
  [signed],
  [{ stakeKey: key(1).publicKey, weight: 1 }],
  { quorum: '2/3', minimumVoters: 1 },
  1,
)!;
const messages: VotesMessage[] = [
  {
    v: 1,
    kind: 'proposal',
    proposal: { network: 'n', model: 'm', age: 100, version: versionCid(1), proposer: 'peer' },
  },
  { v: 1, kind: 'vote', signed },
  { v: 1, kind: 'certificate', certificate },
];

describe('votes messages', () => {
  it.each(messages)('come back as they were ($kind)', (message) => {
    expect(decodeVotesMessage(encodeVotesMessage(message))).toEqual(message);
  });

  it('are read from any bytes, or refused with a MalformedError', () => {
    const encoded = messages.map((message) => encodeVotesMessage(message));
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 16_000 }).map((depth) => new Uint8Array(depth).fill(0x81)),
      fc.tuple(fc.constantFrom(...encoded), fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
        const changed = bytes.slice();
        changed[at % changed.length] = value;
        return changed;
      }),
      fc
        .tuple(
          fc.constantFrom(...messages),
          fc.constantFrom('kind', 'v', 'signed', 'proposal', 'certificate', 'more'),
          fc.anything(),
        )
        .map(([message, at, value]) => {
          try {
            return dagCbor.encode({ ...message, [at]: value });
          } catch {
            return new Uint8Array(); // what cannot be encoded cannot be sent
          }
        }),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        for (const decode of [decodeVotesMessage, decodeCertificate, decodeEvidence])
          try {
            decode(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedError);
          }
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ['a version that is no CID', 'latest'],
    ['a version that is a chunk', 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'],
    ['a version of endless length', 'b'.repeat(15_000)],
  ])('are refused with %s', (_what, version) => {
    const message = { v: 1, kind: 'vote', signed: { ...signed, vote: { ...signed.vote, version } } };
    expect(() => decodeVotesMessage(dagCbor.encode(message))).toThrow(MalformedError);
  });
});

describe('the order of proposers', () => {
  const peers = ['a', 'b', 'c', 'd', 'e'];
  it('is the same for everybody, differs between heights, and everybody is in it', () => {
    expect(proposerOrder('m', 100, peers)).toEqual(proposerOrder('m', 100, [...peers].reverse()));
    const firsts = new Set(Array.from({ length: 50 }, (_, height) => proposerOrder('m', height, peers)[0]));
    expect(firsts).toEqual(new Set(peers));
    expect([...proposerOrder('m', 100, peers)].sort()).toEqual(peers);
  });

  it('stays as it is for the others when one goes', () => {
    const without = proposerOrder('m', 100, peers).filter((peer) => peer !== 'c');
    expect(proposerOrder('m', 100, without)).toEqual(without);
  });
});
