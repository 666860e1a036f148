import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { trustlessGatewayBlockBroker } from '@helia/trustless-gateway-client';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  BLOCK_PROTOCOL,
  decodeBlockReply,
  decodeManifest,
  encodeBlockRequest,
  matches,
} from '../../../../src/chunks/index.ts';
import {
  createOverlay,
  fileCharterStore,
  generateIdentity,
  type Member,
  type Overlay,
  providerKey,
} from '../../../../src/overlay/index.ts';
import { digits, eventually, Flock } from '../../validator/flock.ts';
import { FakeCluster } from './fake-cluster.ts';
import { tensorFlow } from './tensorflow.ts';

/** Learns fast, and then not at all: `calm` waits longer between two updates than any test takes. */
const learning = { ...digits(), labels: { team: 'vision' } };
const calm = {
  ...digits({ learning: { waitMilliseconds: 3_600_000 } }),
  labels: { team: 'vision' },
  generation: 2,
};
const { uid } = calm;

let flock: Flock;
let cluster: FakeCluster;
let user: Overlay;
/** The version that everybody has settled on. */
let version: string;
let age: number;

const newest = async (name: string): Promise<{ cid: string; age: number; voters: number } | undefined> =>
  (await flock.status(name)).models[0]?.certified;

/** Three validators learn until a version is certified; then learning stops, and a fourth begins from that version. */
beforeAll(async () => {
  flock = await Flock.make();
  const birds = await Promise.all(['flock-0', 'flock-1', 'flock-2', 'flock-3'].map((name) => flock.hatch(name)));
  const [first, second, third, late] = birds as [
    (typeof birds)[0],
    (typeof birds)[0],
    (typeof birds)[0],
    (typeof birds)[0],
  ];
  const three = [first, second, third];
  const ids = three.map(({ member }) => member.peerId);
  const placements = [
    { model: uid, index: 0, of: 2, holders: ids.slice(0, 2) },
    { model: uid, index: 1, of: 2, holders: ids.slice(1, 3) },
  ];
  await flock.charter(
    three.map(({ member }) => member),
    [learning],
    placements,
  );
  await Promise.all(three.map((bird) => flock.start(bird)));
  await eventually('a version to be certified', 60, async () =>
    (await newest('flock-0'))?.voters === 3 ? true : undefined,
  );
  await flock.charter(
    three.map(({ member }) => member),
    [calm],
    placements,
  );
  let seen = '';
  let since = Date.now();
  await eventually('all to settle on one version', 60, async () => {
    const models = await Promise.all(three.map(async ({ name }) => (await flock.status(name)).models[0]));
    const cids = new Set(models.map(({ certified }) => certified?.cid ?? ''));
    // Ages grow no more; a version that all of them have passed is still to come.
    const isLast = models.some((model) => model.age < (model.certified?.age ?? 0) + calm.spec.versions.everyAge);
    const now = cids.size === 1 && isLast ? [...cids].join() : '';
    if (now !== seen) [seen, since] = [now, Date.now()];
    return now !== '' && Date.now() - since > 5_000 ? true : undefined;
  });
  const { key, peerId } = await generateIdentity();
  const reader: Member = { peerId, name: 'reader', stakeKey: '', weight: 0, role: 'user', notAfter: 0, addresses: [] };
  // The newcomer's vote weighs nothing: what three have certified stays certified.
  const members = [...three.map(({ member }) => member), { ...late.member, weight: 0 }, reader];
  await flock.charter(members, [calm], placements);
  await flock.start(late);
  const begun = await eventually('the fourth to begin from that version', 60, async () => {
    const [model] = (await flock.status('flock-3')).models;
    return model?.startedFrom === 'certified' ? model : undefined;
  });
  await eventually('all to have measured how good they are', 30, async () => {
    const seen = await Promise.all(birds.map(({ name }) => flock.status(name)));
    return seen.every(({ models }) => models[0]?.accuracy > 0) || undefined;
  });
  const settled = await newest('flock-0');
  [version, age] = [settled!.cid, settled!.age];
  expect(begun.startedAtAge).toBe(age);

  user = createOverlay({
    network: 'test/default',
    identity: key,
    authority: flock.authority,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    charters: fileCharterStore(flock.charterFile),
    log: pino({ level: 'silent' }),
  });
  await user.start();
  cluster = await FakeCluster.start({
    pods: () => new Map([...flock.birds].map(([name, { running }]) => [name, running])),
    models: () => [{ name: 'digits', uid, spec: calm.spec }],
    charter: flock.charterFile,
    authority: flock.authority,
  });
}, 180_000);

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await user?.stop();
  await flock?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  cluster.meddle = (_pod, _path, answer) => answer;
  cluster.seesOperator = true;
  cluster.asked.length = 0;
});

describe('murmur search', () => {
  it('finds a model by its name, its task and its labels, and says who holds it', async () => {
    const end = await cluster.murmur('search', 'DIGITS', 'classification', 'team=vision');
    expect(end).toMatchObject({ code: 0, err: '' });
    const [head, row, ...more] = end.out.trimEnd().split('\n');
    expect(head).toMatch(/^MODEL +TASK +LABELS +ACCURACY +UPDATES +VERSION +SIZE +HOLDERS$/);
    expect(row).toMatch(
      /^digits +classification of digits into 10 classes +team=vision +0\.\d{3} +.+ +bafy….{3} +\d\.\d\d KiB +\d$/,
    );
    expect(more).toEqual([]);
  });

  it('tells programs the same', async () => {
    const { out } = await cluster.murmur('search', 'digits', '-o', 'json');
    const { models, asked, ...about } = JSON.parse(out);
    expect(about).toEqual({ apiVersion: 'murmuration.dev/output/v1', kind: 'ModelList', words: ['digits'] });
    expect(asked).toEqual([{ network: 'default', validator: 'flock-0' }]);
    expect(models).toHaveLength(1);
    expect(models[0]).toMatchObject({
      namespace: 'test',
      network: 'default',
      name: 'digits',
      architecture: 'mlp',
      labels: { team: 'vision' },
      version: { cid: version, updates: age, certifiedBy: 3, chunks: 5 },
    });
    expect(models[0].holders.everyChunk).toBeGreaterThanOrEqual(2);
  });

  it('names whole CIDs and holders where it is asked to', async () => {
    const { out } = await cluster.murmur('search', '-o', 'wide');
    expect(out).toContain(version);
    expect(out).toMatch(/flock-0,flock-1,flock-2/);
  });

  it('says so where nothing is found, and that is no failure', async () => {
    const end = await cluster.murmur('search', 'cats', 'dogs');
    expect(end).toMatchObject({ code: 0, err: '' });
    expect(end.out).toBe(
      'No model in namespace test has "cats" and "dogs" in its name, task or labels.\nNext:  murmur search -n test, for all that there are\n',
    );
    expect(JSON.parse((await cluster.murmur('search', 'cats', '-o', 'json')).out).models).toEqual([]);
  });

  it('asks the next validator where one is away, and fails where all are', async () => {
    cluster.meddle = (pod, _path, answer) => (pod === 'flock-0' ? { status: 503, body: Buffer.from('{}') } : answer);
    expect(JSON.parse((await cluster.murmur('search', '-o', 'json')).out).asked[0].validator).toBe('flock-1');
    cluster.meddle = () => ({ status: 503, body: Buffer.from('{"message": "no route"}') });
    const end = await cluster.murmur('search');
    expect(end).toMatchObject({ code: 1, out: '' });
    expect(end.err).toContain('No validator in namespace test answered. flock-0: 503 no route; flock-1');
  });

  it('shows nothing that would move the cursor', async () => {
    cluster.meddle = (_pod, _path, { status, body }) => ({
      status,
      body: Buffer.from(body.toString().replace('vision', '\\u001b[2J')),
    });
    const end = await cluster.murmur('search');
    expect(end.code).toBe(1);
    expect(end.err).toContain('an answer of another shape');
  });
});

describe('murmur plot', () => {
  it('draws what validators remember, to a file or to standard output', async () => {
    const drawn = await cluster.murmur('plot', 'digits', '--file', 'curves.svg');
    expect(drawn).toMatchObject({ code: 0, out: '' });
    expect(drawn.err).toMatch(/^Wrote curves\.svg: \d+ points of [34] validators\.$/m);
    const svg = await readFile(join(cluster.folder, 'curves.svg'), 'utf8');
    expect(svg).toContain('How model digits learns');
    expect(svg).toContain('flock-2');
    expect((await cluster.murmur('plot', 'digits')).out).toMatch(/^<svg /);
  });

  it('gives programs the points', async () => {
    const { out } = await cluster.murmur('plot', 'digits', '-o', 'json');
    const { kind, model, curves } = JSON.parse(out);
    expect([kind, model]).toEqual(['LearningCurves', 'digits']);
    expect(curves[0].validator).toBe('flock-0');
    expect(curves[0].points.at(-1)).toMatchObject({ updates: expect.any(Number), accuracy: expect.any(Number) });
  });

  it('refuses what cannot be drawn', async () => {
    expect((await cluster.murmur('plot', 'letters')).code).toBe(2);
    expect((await cluster.murmur('plot', 'digits', '--width', '20')).err).toContain('from 200 to 10000');
    expect((await cluster.murmur('plot', 'digits', '--file', 'no/such/folder.svg')).code).toBe(1);
  });
});

describe('murmur pull', () => {
  const rows = [
    Array.from({ length: 64 }, (_, i) => i % 17),
    new Array(64).fill(0),
    Array.from({ length: 64 }, (_, i) => (i * 5) % 16),
  ];

  it('writes a folder that TensorFlow.js loads, and that predicts as a validator with that version does', async () => {
    const end = await cluster.murmur('pull', 'digits', '--out', 'model');
    expect(end).toMatchObject({ code: 0 });
    expect(end.err).toMatch(/✔ signatures +bafy….{3} at \S+(?: \S+)? updates: 3 of 3 votes, 2\/3 needed/);
    expect(end.out).toContain(`version ${version}\n`);
    const folder = join(cluster.folder, 'model');
    expect((await readdir(folder)).sort()).toEqual([
      'group1-shard1of1.bin',
      'manifest.cbor',
      'model.json',
      'murmuration.json',
    ]);
    expect((await readdir(cluster.folder)).filter((name) => name.endsWith('.part'))).toEqual([]);

    const model = await tensorFlow(folder);
    const url = flock.birds.get('flock-3')!.running.url;
    const answer = await fetch(`${url}/v1/models/digits:predict`, {
      method: 'POST',
      body: JSON.stringify({ instances: rows }),
    });
    const { predictions } = (await answer.json()) as { predictions: number[][] };
    const pulled = model.predict(rows);
    predictions.forEach((row, r) => {
      row.forEach((probability, c) => {
        expect(pulled[r]![c]).toBeCloseTo(probability, 5);
      });
    });
  });

  it('leaves beside the weights all it takes to check them again', async () => {
    const folder = join(cluster.folder, 'model');
    const note = JSON.parse(await readFile(join(folder, 'murmuration.json'), 'utf8'));
    const manifestBlock = await readFile(join(folder, 'manifest.cbor'));
    expect(matches(CID.parse(note.version.cid), manifestBlock)).toBe(true);
    const { chunks, chunkBytes } = decodeManifest(manifestBlock);
    expect(note.version.chunks).toEqual(chunks.map(String));
    const weights = await readFile(join(folder, 'group1-shard1of1.bin'));
    chunks.forEach((cid, i) => {
      expect(matches(cid, weights.subarray(i * chunkBytes, (i + 1) * chunkBytes))).toBe(true);
    });
    expect(note.certificate).toMatchObject({ version, age, model: uid });
    expect(note.checkedAgainst).toMatchObject({
      authority: flock.authority,
      authorityFrom: 'ConfigMap murmuration-system/murmuration-authority-record',
      quorum: '2/3',
      minimumVoters: 3,
    });
    expect(note.input).toEqual({ columns: 64, scaling: { factor: 1 / 16 }, from: 'charter', agreed: 4, asked: 4 });
  });

  it('fetches nothing again where it is there already', async () => {
    const end = await cluster.murmur('pull', 'digits', '--out', 'model', '-o', 'json');
    expect(end.code).toBe(0);
    expect(JSON.parse(end.out)).toMatchObject({
      kind: 'Pulled',
      version: { cid: version },
      fetched: {},
      alreadyHere: 5,
    });
    expect(cluster.asked).toHaveLength(1); // the manifest
  });

  it('takes the version that is asked for, trusts the authority that is named, and says who that is', async () => {
    cluster.seesOperator = false;
    const end = await cluster.murmur('pull', 'digits', '--out', 'other', '--version', version, '-o', 'json');
    expect(end.code).toBe(0);
    expect(JSON.parse(end.out).checkedAgainst.authorityFrom).toBe('Pod test/flock-0');
    const { peerId } = await generateIdentity();
    const wrong = await cluster.murmur('pull', 'digits', '--out', 'wrong', '--authority', peerId);
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.err).toContain('cannot be trusted');
    expect(wrong.err).toContain(`not signed by the authority ${peerId} (as --authority says)`);
  });

  it('refuses bytes that are not what their CID says, and gets them elsewhere', async () => {
    cluster.meddle = (pod, path, { status, body }) => {
      if (pod !== 'flock-0' || !path.startsWith('/ipfs/')) return { status, body };
      body[0] = (body[0] ?? 0) ^ 1;
      return { status, body };
    };
    const end = await cluster.murmur('pull', 'digits', '--out', 'honest', '-o', 'json');
    expect(end.code).toBe(0);
    const { fetched } = JSON.parse(end.out);
    expect(fetched).not.toHaveProperty('flock-0');
    expect(Object.values<number>(fetched).reduce((a, b) => a + b, 0)).toBe(5);
    expect(cluster.asked.filter((pod) => pod === 'flock-0').length).toBeLessThanOrEqual(5);
  });

  it('refuses a certificate with a forged signature, and one that names another version', async () => {
    const forge = (change: (certificate: { version: string; signatures: { signature: string }[] }) => void) => {
      cluster.meddle = (_pod, path, { status, body }) => {
        if (!path.includes('/certificate')) return { status, body };
        const answer = JSON.parse(body.toString());
        change(answer.certificate);
        return { status, body: Buffer.from(JSON.stringify(answer)) };
      };
    };
    forge(({ signatures }) => {
      signatures[0]!.signature = 'ab'.repeat(64);
    });
    const bad = await cluster.murmur('pull', 'digits', '--out', 'forged');
    expect(bad).toMatchObject({ code: 1, out: '' });
    expect(bad.err).toContain('its signatures are no good (bad-signature)');
    forge((certificate) => {
      certificate.signatures = certificate.signatures.slice(0, 1);
    });
    const few = await cluster.murmur('pull', 'digits', '--out', 'forged');
    expect(few.err).toContain('validators with 1 of 3 votes signed it, 2/3 and at least 3 of them are needed');
    expect(await readdir(cluster.folder)).not.toContain('forged');
  });

  it('goes on where it was cut off', async () => {
    let given = 0;
    cluster.meddle = (_pod, path, answer) => {
      if (!path.startsWith('/ipfs/bafk')) return answer;
      given += 1;
      return given <= 2 ? answer : { status: 500, body: Buffer.from('{"message": "cut off"}') };
    };
    const cut = await cluster.murmur('pull', 'digits', '--out', 'late');
    expect(cut).toMatchObject({ code: 1, out: '' });
    expect(cut.err).toMatch(/Block bafk\S+ is not to be had\. .*500 cut off/);
    expect(await readdir(cluster.folder)).not.toContain('late');
    cluster.meddle = (_pod, _path, answer) => answer;
    const end = await cluster.murmur('pull', 'digits', '--out', 'late', '-o', 'json');
    expect(JSON.parse(end.out)).toMatchObject({ alreadyHere: 2 });
    expect((await readdir(join(cluster.folder, 'late'))).sort()).toContain('model.json');
  });

  it('names what is there where it is asked for something else', async () => {
    const end = await cluster.murmur('pull', 'cats');
    expect(end).toMatchObject({ code: 2, out: '' });
    expect(end.err).toContain('Choose one of: digits.');
    const other = version.replace(/.$/, (last) => (last === 'a' ? 'e' : 'a'));
    const older = await cluster.murmur('pull', 'digits', '--out', 'older', '--version', other);
    expect(older).toMatchObject({ code: 1, out: '' });
    expect(older.err).toContain('leave --version out for the newest');
  });
});

describe('a stock IPFS client', () => {
  it('reads a chunk by its CID from any validator that has it', async () => {
    const manifest = decodeManifest(await readFile(join(cluster.folder, 'model', 'manifest.cbor')));
    const holder = (await flock.status('flock-1')).held.find(({ cid }: { cid: string }) => cid === version);
    expect(holder.have).toBe(holder.chunks);
    const { hostname, port } = new URL(flock.birds.get('flock-1')!.running.blocksUrl);
    const quiet = Object.assign(() => undefined, { error: () => undefined, trace: () => undefined, enabled: false });
    const gateway = trustlessGatewayBlockBroker({ allowInsecure: true, allowLocal: true })({
      routing: {
        async *findProviders() {
          yield { multiaddrs: [multiaddr(`/ip4/${hostname}/tcp/${port}/http`)], router: 'test' };
        },
      },
      logger: { forComponent: () => quiet },
    } as unknown as Parameters<ReturnType<typeof trustlessGatewayBlockBroker>>[0]);
    for (const cid of [...manifest.chunks, CID.parse(version)]) {
      let checked = false;
      const bytes = await gateway.retrieve!(cid, {
        validateFn: async (block) => {
          checked = matches(cid, block);
          if (!checked) throw new Error('these are other bytes');
        },
      });
      expect([checked, matches(cid, bytes)]).toEqual([true, true]);
    }
    const elsewhere = CID.parse('bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e');
    await expect(gateway.retrieve!(elsewhere, {})).rejects.toThrow('Unable to fetch raw block');
  });
});

describe('the data market', () => {
  it('names validators, who learns a model, and who holds versions and shards, to a member that is none of them', async () => {
    const names = new Map([...flock.birds.values()].map(({ member }) => [member.peerId, member.name]));
    const found = (key: string, expected: readonly string[]) =>
      expect
        .poll(
          async () => {
            const peers = await user.findProviders(key, AbortSignal.timeout(5_000));
            return peers.map((peer) => names.get(peer) ?? peer).sort();
          },
          { timeout: 20_000, interval: 200 },
        )
        .toEqual(expected);
    const all = ['flock-0', 'flock-1', 'flock-2', 'flock-3'];
    await found(providerKey.validators, all);
    await found(providerKey.model(uid), all);
    await expect
      .poll(() => user.findProviders(providerKey.version(version), AbortSignal.timeout(5_000)), { timeout: 20_000 })
      .toEqual(expect.arrayContaining([flock.birds.get('flock-1')!.member.peerId]));
    await expect
      .poll(() => user.findProviders(providerKey.shard(uid, 0, 2), AbortSignal.timeout(5_000)), { timeout: 20_000 })
      .toEqual(expect.arrayContaining([flock.birds.get('flock-1')!.member.peerId]));
    // A record is a claim: whoever answers proves it.
    const [first] = await user.findProviders(providerKey.version(version), AbortSignal.timeout(5_000));
    const cid = CID.parse(version);
    const reply = await user.request(first!, BLOCK_PROTOCOL, encodeBlockRequest(cid), {
      timeoutMs: 5_000,
      maxReplyBytes: 100_000,
    });
    expect(decodeManifest(decodeBlockReply(reply)!).chunks.length).toBeGreaterThan(0);
  });
});
