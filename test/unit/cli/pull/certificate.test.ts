import { describe, expect, it } from 'vitest';
import { answerShape, check, type InputClaim, inputOf, signedText } from '../../../../src/cli/pull/certificate.ts';
import type { Charter, CharterModel } from '../../../../src/overlay/index.ts';
import type { Certificate } from '../../../../src/trust/index.ts';
import { certify, charterOf, member, peer, staker, version } from '../../validator/fixtures.ts';
import { digits } from '../../validator/flock.ts';

const built = version(2, 200);
const stakers = [0, 1, 2, 3].map((n) => staker(peer(n)));
const membersOf = (some: typeof stakers) =>
  some.map(({ member: { peerId, stakeKey, weight } }, n) => member(n, { peerId, stakeKey, weight }));
const model = digits();
const expected = (members: Charter['members'], change: { version?: string; now?: number } = {}) => ({
  charter: charterOf([], members),
  model,
  version: change.version,
  now: change.now ?? 1000,
});

describe('a certificate, held against the charter', () => {
  it('proves itself where two thirds of the votes signed, and says who did', () => {
    const outcome = check(certify(built, stakers.slice(0, 3)), expected(membersOf(stakers)));
    if ('refusal' in outcome) throw new Error(outcome.refusal);
    expect(outcome.signers.map(({ name, signed }) => [name, signed])).toEqual([
      ['flock-0', true],
      ['flock-1', true],
      ['flock-2', true],
      ['flock-3', false],
    ]);
    expect(signedText(outcome.signers, '2/3')).toBe('3 of 4 votes, 2/3 needed');
  });

  it('still does after one who signed has left, whose signature counts for nothing then', () => {
    const shown = certify(built, stakers);
    const stayed = membersOf(stakers).slice(0, 3);
    const outcome = check(shown, expected(stayed));
    expect('refusal' in outcome ? outcome : outcome.certificate.signatures).toHaveLength(3);
    const ended = membersOf(stakers).map((one, n) => (n === 3 ? { ...one, notAfter: 500 } : one));
    expect(check(shown, expected(ended))).toMatchObject({ signers: [{}, {}, {}] });
  });

  it.each<[string, Certificate, Parameters<typeof expected>, string]>([
    [
      'too few signed, as in a fleet that has grown since',
      certify(built, stakers.slice(0, 3)),
      [membersOf([...stakers, ...[4, 5].map((n) => staker(peer(n)))])],
      'validators with 3 of 6 votes signed it, 2/3 and at least 3 of them are needed',
    ],
    [
      'too few validators signed, whatever their weight',
      certify(built, [staker(peer(0), 100)]),
      [membersOf([staker(peer(0), 100)])],
      'at least 3 of them are needed',
    ],
    [
      'a stranger signed',
      certify(
        built,
        [0, 1, 2].map((n) => staker(peer(n))),
      ),
      [membersOf(stakers)],
      '0 of 4 votes',
    ],
    [
      'a signature is forged',
      { ...certify(built, stakers), age: 400 },
      [membersOf(stakers)],
      'its signatures are no good (bad-signature)',
    ],
    [
      'one signature is there twice',
      (({ signatures, ...rest }) => ({ ...rest, signatures: [...signatures, signatures[0]!] }))(
        certify(built, stakers),
      ),
      [membersOf(stakers)],
      'no good (repeated-voter)',
    ],
    [
      'it is for another model',
      { ...certify(built, stakers), model: 'other' },
      [membersOf(stakers)],
      'it is for another model',
    ],
    [
      'it is for another network',
      { ...certify(built, stakers), network: 'test/other' },
      [membersOf(stakers)],
      'it is for another model',
    ],
    [
      'another version was asked for',
      certify(built, stakers),
      [membersOf(stakers), { version: version(2, 100).cid.toString() }],
      'it is for another version',
    ],
  ])('proves nothing where %s', (_what, shown, against, why) => {
    const outcome = check(shown, expected(...against));
    expect('refusal' in outcome && outcome.refusal).toContain(why);
  });

  it('counts validators only: who observes or uses has no vote', () => {
    const members = membersOf(stakers).map((one, n) => (n > 1 ? { ...one, role: 'observer' as const } : one));
    expect(check(certify(built, stakers), expected(members))).toMatchObject({
      refusal: expect.stringContaining('2 of 2 votes'),
    });
  });
});

describe('what a validator answers', () => {
  const { signatures, ...rest } = certify(built, stakers);
  const answer = {
    certificate: {
      ...rest,
      signatures: signatures.map(({ voter, signature }) => ({
        voter,
        signature: Buffer.from(signature).toString('hex'),
      })),
    },
    input: { columns: 64, scaling: { factor: 0.5 } },
    holders: [{ name: 'flock-0', chunks: 2, ranges: [[0, 2]] }],
  };

  it('is read, signatures and all', () => {
    const { certificate, input } = answerShape.parse(JSON.parse(JSON.stringify(answer)));
    expect(certificate).toEqual({ ...rest, signatures });
    expect(input).toEqual(answer.input);
  });

  it.each([
    [
      'a signature of another length',
      { certificate: { ...answer.certificate, signatures: [{ voter: 'x', signature: 'ab' }] } },
    ],
    ['a version that is no CID', { certificate: { ...answer.certificate, version: 'newest' } }],
    ['more than a certificate has', { certificate: { ...answer.certificate, more: 1 } }],
    ['a name that moves the cursor', { holders: [{ name: '\u001b[2J', chunks: 1 }] }],
    ['negative chunks', { holders: [{ name: 'a', chunks: -1 }] }],
    ['no columns', { input: { columns: 0, scaling: { factor: 1 } } }],
    ['no finite factor', { input: { columns: 1, scaling: { factor: null } } }],
  ])('is not taken with %s', (_what, change) => {
    expect(answerShape.safeParse({ ...answer, ...change }).success).toBe(false);
  });
});

describe('how the input is scaled', () => {
  const own: CharterModel = digits({ data: { source: { builtin: 'spambase' }, classes: 2 } });
  const honest: InputClaim = { columns: 2, scaling: { factor: [1, 2], offset: [3, 4] } };
  const lie: InputClaim = { columns: 2, scaling: { factor: [9, 9], offset: [3, 4] } };

  it('is what more than half of the validators say, and is said to be unsigned', () => {
    expect(inputOf([honest, lie, honest], own)).toEqual({ input: honest, from: 'validators', agreed: 2, asked: 3 });
  });

  it.each<[string, readonly InputClaim[], string]>([
    ['nobody has the model loaded', [], 'nobody knows'],
    ['half of them say otherwise', [honest, lie], 'do not agree'],
    ['the numbers are not as many as the columns', [{ ...honest, columns: 3 }], 'do not agree'],
  ])('is not known where %s', (_what, claims, why) => {
    const outcome = inputOf(claims, own);
    expect('refusal' in outcome && outcome.refusal).toContain(why);
  });

  it('is what the charter says where the spec has a scale, whatever validators say', () => {
    const claim: InputClaim = { columns: 64, scaling: { factor: 7 } };
    expect(inputOf([claim], digits())).toEqual({
      input: { columns: 64, scaling: { factor: 0.0625 } },
      from: 'charter',
      agreed: 1,
      asked: 1,
    });
  });

  it('tells also how records are arranged, and the layers that the spec only points to', () => {
    const layers = [{ class_name: 'Dense' as const, config: { units: 10 } }];
    const claim: InputClaim = { columns: 64, shape: [8, 8, 1], layers, scaling: { factor: 7 } };
    expect(inputOf([claim], digits())).toMatchObject({
      input: { shape: [8, 8, 1], layers, scaling: { factor: 0.0625 } },
    });
    expect(inputOf([{ ...claim, shape: [8, 9] }], digits())).toHaveProperty('refusal');
  });
});
