import { describe, expect, it } from 'vitest';
import { BufferMap, type BuiltVersion } from '../../../src/chunks/index.ts';
import type { Charter, CharterModel, ModelReport, Report } from '../../../src/overlay/index.ts';
import type { Certificate } from '../../../src/trust/index.ts';
import { Catalog } from '../../../src/validator/catalog.ts';
import { Neighbours } from '../../../src/validator/neighbours.ts';
import { certify, charterOf, heldOf, member, peer, report, staker, version } from './fixtures.ts';
import { digits } from './flock.ts';

const [self, anna, bert] = [0, 1, 2].map(peer) as [string, string, string];
const stakers = [self, anna, bert].map((peerId) => staker(peerId));
const members = stakers.map(({ member: { stakeKey, weight } }, n) => member(n, { stakeKey, weight }));
const spam: CharterModel = {
  ...digits({ data: { source: { builtin: 'spambase' }, classes: 2 }, architecture: { preset: 'logistic' } }),
  uid: 'spam-uid',
  name: 'spam',
  labels: { team: 'Mail', 'example.dev/stage': 'production' },
};
const told = (uid: string, change: Partial<ModelReport> = {}): ModelReport => ({
  uid,
  age: 0,
  loss: null,
  accuracy: null,
  divergence: null,
  ...change,
});

function catalog(
  change: {
    readonly reports?: Readonly<Record<string, Partial<Report>>>;
    readonly here?: readonly (readonly [BuiltVersion, readonly number[]])[];
    readonly latest?: Certificate;
    readonly models?: readonly CharterModel[];
    readonly kept?: readonly Certificate[];
    readonly own?: { readonly age: number; readonly accuracy?: number };
  } = {},
) {
  const neighbours = new Neighbours(() => 0);
  for (const [from, said] of Object.entries(change.reports ?? {})) neighbours.hear(from, report(said));
  const charter: Charter = { ...charterOf([], members), models: change.models ?? [digits(), spam] };
  const input = { columns: 64, scaling: { factor: 0.0625 } };
  return new Catalog({
    self,
    charter: () => charter,
    validators: () => members,
    task: (uid) =>
      uid === digits().uid && change.own !== undefined
        ? ({ progress: change.own, learner: { input } } as never)
        : undefined,
    latest: (uid) => (change.latest?.model === uid ? change.latest : undefined),
    kept: () => change.kept ?? [],
    certifiedAt: () => Date.parse('2026-11-21T12:00:00Z'),
    holdings: {
      list: () =>
        (change.here ?? []).map(([{ cid, manifest }, chunks]) => ({
          cid,
          manifest,
          map: BufferMap.of(manifest.chunks.length, chunks),
        })),
    },
    neighbours,
  });
}

describe('the search index', () => {
  it.each([
    ['', ['digits', 'spam']],
    ['  ', ['digits', 'spam']],
    ['DIGITS', ['digits']],
    ['classification', ['digits', 'spam']],
    ['classification spambase', ['spam']],
    ['logistic', ['spam']],
    ['team=mail', ['spam']],
    ['mail prod', ['spam']],
    ['mail digits', []],
    ['mail\tMAIL', ['spam']],
  ])('finds by "%s"', (query, names) => {
    expect(
      catalog()
        .find(query)
        .map(({ name }) => name),
    ).toEqual(names);
  });

  it.each([
    [{ url: 'https://user:secret@data.example/sets/mail.csv.gz?token=secret' }, 'mail.csv.gz'],
    [{ url: 'https://[' }, undefined],
    [{ url: 'https://data.example/' }, undefined],
    [{ configMap: { name: 'pixels' } }, 'pixels'],
    [{ claim: { claimName: 'data', path: 'sets/train.csv' } }, 'sets/train.csv'],
  ])('names the data %o and no secrets', (source, named) => {
    const model = digits({ data: { source, sha256: 'a'.repeat(64), classes: 3 } });
    const [found] = catalog({ models: [model] }).find('');
    expect(found?.task).toBe(`classification${named === undefined ? '' : ` of ${named}`} into 3 classes`);
  });

  it('says what a model is for and how it does: the greatest age, the least accuracy', () => {
    const reports = {
      [anna]: { models: [told(digits().uid, { age: 700, accuracy: 0.91 })] },
      [bert]: { models: [told(digits().uid, { age: 650, accuracy: 0.97 })] },
    };
    const [found] = catalog({ reports, own: { age: 500, accuracy: 0.95 } }).find('digits');
    expect(found).toEqual({
      name: 'digits',
      uid: digits().uid,
      task: 'classification of digits into 10 classes',
      architecture: 'mlp',
      labels: {},
      age: 700,
      accuracy: 0.91,
      holders: { validators: 0, everyChunk: 0, names: [] },
    });
  });

  it('counts who holds something of the certified version, and copies of its rarest chunk', () => {
    const built = version(4, 200);
    const one = catalog({
      latest: certify(built, stakers),
      here: [[built, [0, 1, 2, 3]]],
      reports: { [anna]: { held: [heldOf(built, [0, 1])] }, [bert]: { held: [heldOf(built, [1, 2, 3])] } },
    });
    const [found] = one.find('digits');
    expect(found?.certified).toEqual({
      cid: built.cid.toString(),
      age: 200,
      voters: 3,
      at: '2026-11-21T12:00:00.000Z',
      bytes: 4096,
      chunks: 4,
    });
    expect(found?.holders).toEqual({ validators: 3, everyChunk: 2, names: ['flock-0', 'flock-1', 'flock-2'] });
  });

  it('does not count who holds nothing, speaks of another number of chunks, or has left', () => {
    const built = version(4, 200);
    const one = catalog({
      latest: certify(built, stakers),
      reports: {
        [anna]: { held: [heldOf(built, [])] },
        [bert]: { held: [{ ...heldOf(built, [0]), chunks: 9, bitmap: new Uint8Array(2).fill(1) }] },
        [peer(5)]: { held: [heldOf(built, [0, 1, 2, 3])] },
      },
    });
    expect(one.find('digits')[0]?.holders).toEqual({ validators: 0, everyChunk: 0, names: [] });
  });

  it('takes the others’ word for what is certified until it has seen a certificate', () => {
    const built = version(4, 200);
    const certified = { cid: built.cid.toString(), age: 200, bytes: 4096, chunks: 4, voters: 3, at: 0 };
    const reports = { [anna]: { models: [told(digits().uid, { certified })], held: [heldOf(built, [0, 1, 2, 3])] } };
    const [found] = catalog({ reports }).find('digits');
    expect(found?.certified).toEqual({ cid: certified.cid, age: 200, voters: 3, bytes: 4096, chunks: 4 });
    expect(found?.holders).toEqual({ validators: 1, everyChunk: 1, names: ['flock-1'] });
  });

  it('is spared a date that is none', () => {
    const at = Number.MAX_SAFE_INTEGER;
    const certified = { cid: version(1).cid.toString(), age: 1, bytes: 1, chunks: 1, voters: 1, at };
    const reports = { [anna]: { models: [told(digits().uid, { certified })] } };
    expect(catalog({ reports }).find('digits')[0]?.certified).not.toHaveProperty('at');
  });
});

describe('a certificate', () => {
  const built = version(4, 200);
  const latest = certify(built, stakers);

  it('comes with all it takes to check it, and who has which chunks', () => {
    const one = catalog({
      latest,
      own: { age: 1 },
      here: [[built, [0, 1, 3]]],
      reports: { [anna]: { held: [heldOf(built, [2])] } },
    });
    const answer = JSON.parse(JSON.stringify(one.certificate('digits')));
    expect(answer).toMatchObject({
      model: { name: 'digits', uid: digits().uid },
      certificate: { version: built.cid.toString(), age: 200, charterSeq: 1 },
      rules: { quorum: '2/3', minimumVoters: 3 },
      charterSeq: 1,
      input: { columns: 64, scaling: { factor: 0.0625 } },
      holders: [
        {
          name: 'flock-0',
          peerId: self,
          chunks: 3,
          ranges: [
            [0, 2],
            [3, 4],
          ],
        },
        { name: 'flock-1', peerId: anna, chunks: 1, ranges: [[2, 3]] },
      ],
    });
    expect(answer.members.map(({ stakeKey }: { stakeKey: string }) => stakeKey)).toEqual(
      stakers.map(({ member: { stakeKey } }) => stakeKey),
    );
    for (const { signature } of answer.certificate.signatures) expect(signature).toMatch(/^[0-9a-f]{128}$/);
  });

  it('is that of an older version where that is asked for and kept', () => {
    const older = certify(version(4, 100), stakers);
    const one = catalog({ latest, kept: [latest, older] });
    expect(one.certificate('digits', older.version)?.certificate.age).toBe(100);
    expect(one.certificate('digits', version(4, 50).cid.toString())).toBeUndefined();
  });

  it('is not there for a model that is unknown, or before one was certified', () => {
    expect(catalog({ latest }).certificate('cats')).toBeUndefined();
    expect(catalog().certificate('digits')).toBeUndefined();
  });

  it('names no ranges of a holder whose chunks are too scattered', () => {
    const wide = version(200, 200);
    const every = (step: number) => Array.from({ length: 200 }, (_, i) => i).filter((i) => i % step === 0);
    const holderWith = (step: number) =>
      catalog({ latest: certify(wide, stakers), here: [[wide, every(step)]] }).certificate('digits')?.holders[0];
    expect(holderWith(2)).toEqual({ name: 'flock-0', peerId: self, chunks: 100 });
    expect(holderWith(4)?.ranges).toHaveLength(50);
  });
});
