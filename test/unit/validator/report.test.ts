import { expect, it } from 'vitest';
import { ChunkStore, Holdings } from '../../../src/chunks/index.ts';
import { decodeReport, type ModelReport, reportLimits } from '../../../src/overlay/index.ts';
import { ReputationBook } from '../../../src/trust/index.ts';
import { Problems } from '../../../src/validator/problems.ts';
import { composeReport } from '../../../src/validator/report.ts';
import { encodeFitting } from '../../../src/validator/report-size.ts';
import { folder, heldOf, peer, report, version } from './fixtures.ts';

const model = (uid: string, message?: string): ModelReport => ({
  uid,
  age: 1,
  loss: null,
  accuracy: null,
  divergence: null,
  ...(message === undefined ? {} : { problem: { reason: 'DataMalformed', message } }),
});
const long = 'x'.repeat(reportLimits.message);

it('is sent as it is when it fits', () => {
  const small = report({ held: [heldOf(version(3), [0, 1])], problems: [{ reason: 'VolumeFull', message: long }] });
  expect(decodeReport(encodeFitting(small))).toEqual(small);
});

it('leaves out buffer maps from the end of the list when 16 KiB do not hold them all', () => {
  const bitmap = new Uint8Array(4000).fill(0xff);
  const held = Array.from({ length: 12 }, (_, i) => ({
    ...heldOf(version(1, i), [0]),
    chunks: 32_000,
    bitmap,
  }));
  const sent = decodeReport(encodeFitting(report({ held })));
  expect(sent.held.map(({ cid }) => cid)).toEqual(held.slice(0, sent.held.length).map(({ cid }) => cid));
  expect(sent.held.length).toBe(3);
});

it('shortens sentences before it leaves out the newest maps, and reputation before the last of them', () => {
  const models = Array.from({ length: 16 }, (_, i) => model(`uid-${i}`, long));
  const reputation = Array.from({ length: 64 }, (_, i) => ({
    peerId: `${peer(1).slice(0, -2)}${'123456789ABCDEFGH'[i % 16]}${'123456789ABCDEFGH'[i >> 4]}`,
    storage: 0.5,
    learning: 0.5,
    interactions: 0.5,
  }));
  const bitmap = new Uint8Array(1000);
  const held = models
    .slice(0, 6)
    .map(({ uid }, i) => ({ ...heldOf(version(1, i), [0]), model: uid, chunks: 8000, bitmap }));
  const problems = Array.from({ length: 16 }, (_, i) => ({ reason: `Reason${i}`, message: long }));
  const sent = decodeReport(encodeFitting(report({ models, reputation, held, problems })));
  expect(sent.models).toHaveLength(16);
  expect(sent.problems[0]?.message).toHaveLength(120);
  expect(sent.models[0]?.problem?.message).toHaveLength(120);
  expect(sent.held).toHaveLength(6);
  expect(sent.reputation.length).toBeLessThan(64);
});

it('does not hide a report that is wrong whatever its size', () => {
  expect(() => encodeFitting(report({ at: -1 }))).toThrow('report is malformed: at');
});

it('tells the certified version of each model first, then the newest versions', async () => {
  const store = await ChunkStore.open(await folder());
  const holdings = new Holdings(store);
  const certified = version(1, 1);
  for (let age = 1; age <= 20; age++) {
    const built = version(1, age);
    holdings.follow(built.cid, built.manifest);
  }
  const problems = new Problems();
  for (let i = 0; i < 40; i++) problems.set(`place ${i}`, { reason: `Reason${i}`, message: long + long });
  const made = await composeReport({
    node: 'flock-0',
    freeBytes: async () => 5,
    charterSeq: () => 1,
    peers: () => [],
    tasks: () => [],
    latest: () => ({ version: certified.cid.toString() }) as never,
    certifiedAt: () => 0,
    holdings,
    usedBytes: () => 7,
    reputation: new ReputationBook({ now: () => 0 }),
    members: () => new Set([peer(1)]),
    problems,
    clock: () => 1,
  });
  expect(made.held[0]?.cid).toBe(certified.cid.toString());
  expect(made.held[1]?.cid).toBe(version(1, 20).cid.toString());
  expect(made.held).toHaveLength(12);
  expect(made.disk).toEqual({ usedBytes: 7, freeBytes: 5 });
  expect(decodeReport(encodeFitting(made)).problems).toHaveLength(16);
});
