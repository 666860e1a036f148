import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  certify,
  decodeCertificate,
  encodeCertificate,
  encodeVotesMessage,
  MAX_SIGNATURES,
  MAX_VOTES_MESSAGE_BYTES,
  parseQuorum,
  reaches,
  type SignedVote,
  Tally,
  verifyCertificate,
} from '../../../src/trust/index.ts';
import { key, versionCid, vote } from './fixtures.ts';

const rules = { quorum: '2/3', minimumVoters: 1 };
const keys = Array.from({ length: 6 }, (_, index) => key(index));
const members = keys.slice(0, 4).map(({ publicKey }) => ({ stakeKey: publicKey, weight: 1 }));
const votes = (...indexes: number[]): SignedVote[] => indexes.map((index) => vote(keys[index]!));

describe('a quorum', () => {
  it.each(['1/2', '2/1', '0/0', '2', '2/0', '-2/3', '0.7', ''])('is not "%s"', (text) => {
    expect(() => parseQuorum(text)).toThrow(/is no quorum/);
  });

  it('is exact: two thirds of three is two, of four is three, of thirty is twenty', () => {
    for (const [count, needed] of [
      [3, 2],
      [4, 3],
      [30, 20],
    ] as const) {
      const all = Array.from({ length: count }, (_, index) => ({ stakeKey: `k${index}`, weight: 1 }));
      const some = (size: number): Set<string> => new Set(all.slice(0, size).map(({ stakeKey }) => stakeKey));
      expect(reaches(some(needed), all, rules)).toBe(true);
      expect(reaches(some(needed - 1), all, rules)).toBe(false);
    }
  });

  it('of no members, or of members without weight, is reached by nobody', () => {
    expect(reaches(new Set(), [], rules)).toBe(false);
    expect(reaches(new Set(['a']), [{ stakeKey: 'a', weight: 0 }], rules)).toBe(false);
  });
});

describe('a certificate', () => {
  const good = certify(votes(0, 1, 2), members, rules, 7)!;

  it('is made of enough votes, survives the wire, and verifies', () => {
    expect(certify(votes(0, 1), members, rules, 7)).toBeUndefined();
    const back = decodeCertificate(encodeCertificate(good));
    expect(back).toEqual(good);
    expect(verifyCertificate(back, members, rules)).toEqual({ ok: true });
  });

  it('needs its number of voters, whatever their weight', () => {
    const heavy = [{ stakeKey: keys[0]!.publicKey, weight: 100 }, ...members.slice(1)];
    expect(certify(votes(0), heavy, rules, 1)).toBeDefined();
    expect(certify(votes(0), heavy, { ...rules, minimumVoters: 3 }, 1)).toBeUndefined();
  });

  it.each<[string, () => Parameters<typeof verifyCertificate>, string]>([
    [
      'a voter that is counted twice',
      () => [{ ...good, signatures: [good.signatures[0]!, good.signatures[0]!, good.signatures[1]!] }, members, rules],
      'repeated-voter',
    ],
    [
      'a stranger among its voters',
      () => [certify(votes(0, 1, 2), members, rules, 1)!, members.slice(1), rules],
      'not-a-member',
    ],
    ['too few voters', () => [{ ...good, signatures: good.signatures.slice(1) }, members, rules], 'below-quorum'],
    ['signatures of another version', () => [{ ...good, version: versionCid(9) }, members, rules], 'bad-signature'],
    ['signatures of another age', () => [{ ...good, age: 200 }, members, rules], 'bad-signature'],
    ['signatures of another network', () => [{ ...good, network: 'other' }, members, rules], 'bad-signature'],
  ])('is worth nothing with %s', (_what, args, why) => {
    expect(verifyCertificate(...args())).toEqual({ ok: false, why });
  });

  it('of the most voters fits a gossip message', () => {
    const many = Array.from({ length: MAX_SIGNATURES + 4 }, (_, index) => key(index));
    const all = many.map(({ publicKey }) => ({ stakeKey: publicKey, weight: 1 }));
    const certificate = certify(
      many.map((one) => vote(one)),
      all,
      rules,
      1,
    )!;
    expect(certificate.signatures).toHaveLength(MAX_SIGNATURES);
    expect(encodeVotesMessage({ v: 1, kind: 'certificate', certificate }).length).toBeLessThan(MAX_VOTES_MESSAGE_BYTES);
  });
});

describe('a tally', () => {
  it('never certifies below the quorum, and always at it, whatever votes come in whatever order', () => {
    const pool = keys.flatMap((voter, index) => [
      { index, version: 1, signed: vote(voter) },
      { index, version: 2, signed: vote(voter, { version: versionCid(2) }) },
      { index, version: 0, signed: { ...vote(voter), signature: vote(keys[(index + 1) % 6]!).signature } },
    ]);
    const weights = fc.array(fc.nat(5), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(
        fc.shuffledSubarray(pool),
        weights,
        fc.integer({ min: 0, max: 3 }),
        (heard, weight, minimumVoters) => {
          const weighted = members.map(({ stakeKey }, index) => ({ stakeKey, weight: weight[index]! }));
          const tally = new Tally();
          for (const { signed } of heard) tally.add(signed, weighted);
          for (const version of [1, 2]) {
            const counted = heard.filter(
              (one) =>
                one.index < 4 &&
                one.version === version &&
                !heard.some((other) => other.index === one.index && other.version === 3 - version),
            );
            const sum = counted.reduce((total, one) => total + weight[one.index]!, 0);
            const total = weight.reduce((a, b) => a + b, 0);
            const enough = total > 0 && sum * 3 >= total * 2 && counted.length >= Math.max(1, minimumVoters);
            const certificate = tally.certify(100, versionCid(version), weighted, { quorum: '2/3', minimumVoters }, 1);
            expect(certificate !== undefined).toBe(enough);
            if (certificate !== undefined)
              expect(verifyCertificate(certificate, weighted, { quorum: '2/3', minimumVoters })).toEqual({ ok: true });
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it('keeps a double vote as evidence and counts the voter for neither version', () => {
    const tally = new Tally();
    for (const signed of votes(0, 1, 2)) tally.add(signed, members);
    expect(tally.certify(100, versionCid(1), members, rules, 1)).toBeDefined();
    expect(tally.add(vote(keys[0]!, { version: versionCid(2) }), members)).toMatchObject({ kind: 'double-vote' });
    expect(tally.add(vote(keys[0]!, { version: versionCid(3) }), members)).toEqual({ kind: 'known-double-voter' });
    expect(tally.certify(100, versionCid(1), members, rules, 1)).toBeUndefined();
  });

  it('tells repeats, strangers and forgeries apart', () => {
    const tally = new Tally();
    const [mine] = votes(0);
    expect(tally.add(mine!, members).kind).toBe('counted');
    expect(tally.add(mine!, members).kind).toBe('repeated');
    expect(tally.add(vote(keys[5]!), members).kind).toBe('not-a-member');
    expect(tally.add({ ...vote(keys[1]!), signature: mine!.signature }, members).kind).toBe('bad-signature');
  });

  it('forgets what is pruned', () => {
    const tally = new Tally();
    for (const signed of votes(0, 1, 2)) tally.add(signed, members);
    tally.prune(101);
    expect(tally.votes(100, versionCid(1))).toEqual([]);
  });
});
