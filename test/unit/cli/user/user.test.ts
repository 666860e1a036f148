import { readFileSync } from 'node:fs';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTable } from '../../../../src/learning/index.ts';
import type { Member } from '../../../../src/overlay/index.ts';
import { digits, eventually, Flock } from '../../validator/flock.ts';
import { FakeCluster } from '../pull/fake-cluster.ts';

/** What docs/users.md says to type. */
const lines = readFileSync(new URL('../../../../docs/users.md', import.meta.url), 'utf8')
  .split('\n')
  .flatMap((line) => /^\$ \.\/murmur (user .*)$/.exec(line)?.[1] ?? [])
  .map((line) => line.split(' '));

const model = digits({
  data: { source: { builtin: 'digits' }, classes: 10, scale: '16', users: {} },
  learning: { waitMilliseconds: 3000 },
  versions: { everyAge: 100_000, minimumVoters: 1 },
});
let flock: Flock;
let cluster: FakeCluster;
let validators: readonly Member[];
/** Members that the entry asked for. */
let people: Member[] = [];
/** Whether the operator heeds entries. */
let isHeeded = true;

beforeAll(async () => {
  flock = await Flock.make();
  const birds = await Promise.all(['flock-0'].map((name) => flock.hatch(name)));
  // Addresses at which nobody is from here, as those of pods are: the way leads through the API server alone.
  const ports = new Map(birds.map(({ name, member }) => [name, Number(member.addresses[0]!.split('/').at(-1))]));
  validators = birds.map(({ member }, i) => ({ ...member, addresses: [`/ip4/127.0.0.1/tcp/${i + 1}`] }));
  await flock.charter(validators, [model]);
  await Promise.all(birds.map((bird) => flock.start(bird)));
  await eventually('all to learn', 60, async () => {
    const seen = await Promise.all(birds.map(({ name }) => flock.status(name)));
    return seen.every(({ models }) => models[0]?.age > 0) || undefined;
  });
  cluster = await FakeCluster.start({
    pods: () => new Map([...flock.birds].map(([name, { running }]) => [name, running])),
    ports: () => ports,
    models: () => [{ name: 'digits', uid: model.uid, spec: model.spec }],
    charter: flock.charterFile,
    authority: flock.authority,
    onEntry: async (data) => {
      if (!isHeeded) return;
      people = data === undefined ? [] : [memberOf(data)];
      await flock.charter([...validators, ...people], [model]);
    },
  });
  cluster.io = { wait: (milliseconds, signal) => sleep(Math.min(milliseconds, 200), undefined, { signal }) };
  const stored = readFileSync(new URL('../../../../data/digits.csv.gz', import.meta.url));
  const table = await readTable(stored, 'digits', { format: 'csv', label: 'last', classes: 10 });
  const rows = Array.from({ length: 60 }, (_, i) => [...table.read(Int32Array.of(i)), table.labels[i]]);
  await writeFile(join(cluster.folder, 'mine.csv'), rows.map((row) => row.join(',')).join('\n'));
}, 120_000);
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await flock?.[Symbol.asyncDispose]();
});

const memberOf = ({ peerId = '', name = '', notAfter = '' }: Readonly<Record<string, string>>): Member => ({
  peerId,
  name,
  stakeKey: '',
  weight: 0,
  role: 'user',
  notAfter: Math.floor(Date.parse(notAfter) / 1000),
  addresses: [],
});
const keyFile = () => join(cluster.folder, '.config', 'murmuration', 'user.key');
const rowsHeld = async (): Promise<number[]> =>
  Promise.all(['flock-0'].map(async (name) => (await flock.status(name)).models[0].userRows));

describe('murmur user', () => {
  it('joins with an identity of its own, reaches validators through the API server, and sends what it shares', async () => {
    const end = await cluster.murmur('user', 'join', 'digits', '--data', 'mine.csv', '--rounds', '1', '-o', 'json');
    expect(end, end.err).toMatchObject({ code: 0 });
    expect(end.err).toMatch(/^Made an identity for you in .*\nYou are 12D3KooW\S+ in network default, until /);
    const { rounds, ...about } = JSON.parse(end.out);
    expect(about).toMatchObject({ kind: 'UserJoined', model: 'digits', network: 'default', peerId: people[0]!.peerId });
    expect(rounds).toHaveLength(1);
    expect(rounds[0]).toMatchObject({ rows: 60, found: 1, own: { loss: expect.any(Number) } });
    for (const sent of rounds[0].sent)
      expect(sent).toMatchObject({ data: { rows: 60, until: expect.any(Number) }, model: { accepted: true } });
    expect(await rowsHeld()).toEqual([60]);
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600);
    expect(people[0]!.notAfter - Date.now() / 1000).toBeGreaterThan(86_000);
  }, 120_000);

  it('leaves: its rows are forgotten, and it is a member no more', async () => {
    const end = await cluster.murmur('user', 'leave', 'digits');
    expect(end).toMatchObject({ code: 0, err: '' });
    expect(end.out).toContain('flock-0 has forgotten 60 rows of you.\n');
    expect(end.out).toContain('You leave network default');
    expect(people).toEqual([]);
    expect(await rowsHeld()).toEqual([0]);
    expect((await cluster.murmur('user', 'leave', 'digits')).code).toBe(0);
  }, 120_000);

  it('does what docs/users.md says', async () => {
    expect(lines.length).toBeGreaterThan(2);
    for (const words of lines) {
      // One round shows it as well as ten.
      const fewer = words[1] === 'join' && !words.includes('--rounds') ? ['--rounds', '1'] : [];
      const end = await cluster.murmur(...words, ...fewer);
      expect(end, `${words.join(' ')}: ${end.err}`).toMatchObject({ code: 0 });
    }
  }, 120_000);

  it('says what is wrong before anything is sent', async () => {
    await writeFile(join(cluster.folder, 'narrow.csv'), '1,2,3\n4,5,6\n');
    const narrow = await cluster.murmur('user', 'join', 'digits', '--data', 'narrow.csv');
    expect(narrow).toMatchObject({ code: 2, out: '' });
    expect(narrow.err).toContain('narrow.csv has 2 feature columns, model digits takes 64.');
    await writeFile(join(cluster.folder, 'word.csv'), '1,2,3\n4,five,6\n');
    const word = await cluster.murmur('user', 'join', 'digits', '--data', 'word.csv');
    expect(word).toMatchObject({ code: 2 });
    expect(word.err).toContain('Row 2 of word.csv has "five" in column 2');
    expect(await cluster.murmur('user', 'join', 'digits', '--data', 'gone.csv')).toMatchObject({ code: 2 });
    expect(await rowsHeld()).toEqual([0]);
  }, 120_000);

  it('uses no key that others may read', async () => {
    await chmod(keyFile(), 0o644);
    const end = await cluster.murmur('user', 'join', 'digits', '--data', 'mine.csv');
    expect(end).toMatchObject({ code: 1, out: '' });
    expect(end.err).toContain('Others may read the identity');
    await chmod(keyFile(), 0o600);
  });

  it('gives up where nobody lets it in', async () => {
    isHeeded = false;
    let passed = 0;
    const wait = async (milliseconds: number) => {
      passed += milliseconds;
    };
    cluster.io = { now: () => Date.now() + passed, wait };
    const end = await cluster.murmur('user', 'join', 'digits', '--data', 'mine.csv', '--identity', 'another.key');
    isHeeded = true;
    expect(end).toMatchObject({ code: 3, out: '' });
    expect(end.err).toContain('The operator has not let you into network default within 60 s');
    expect(await readFile(join(cluster.folder, 'another.key'))).toHaveLength(68);
  });
});
