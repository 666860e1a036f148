import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadKubeConfig } from '../../../src/cli/cluster/config.ts';
import { inWords } from '../../../src/cli/cluster/connection.ts';
import { explain } from '../../../src/cli/errors.ts';
import { run } from '../../../src/cli/run.ts';
import { applyManifest, deleteManifest, parseManifest, readManifest } from '../../../src/cli/up/manifest.ts';
import { Client } from '../../../src/kube/index.ts';
import { fakeIo } from '../../unit/cli/fake-io.ts';
import { apiServer, type TestApi } from '../harness.ts';

const kinds = '/apis/murmuration.dev/v1alpha1';

let api: TestApi;
let client: Client;
let folder: string;
let namespace: string;

beforeAll(async () => {
  api = apiServer();
  folder = await mkdtemp(join(tmpdir(), 'murmur-api-'));
  client = Client.from(loadKubeConfig({ kubeconfig: api.kubeconfig }, fakeIo()));
});
beforeEach(async () => {
  namespace = await api.namespace('cli');
});
afterAll(async () => {
  await client.close();
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command as `murmur` does, against the real API server. */
async function murmur(...words: readonly string[]) {
  const io = fakeIo({ env: { KUBECONFIG: api.kubeconfig, HOME: folder }, folder });
  const code = await run(words, io);
  return { code, out: io.written.out(), err: io.written.err() };
}

const manifest = () => readManifest('manifests/validator.yaml');
const changesOf = async (objects: Awaited<ReturnType<typeof manifest>>) =>
  (await applyManifest(client, objects, namespace)).map((one) => one.change);

describe('the manifest of `up`', () => {
  it('is created once and changes nothing after that, whatever the operator writes into status meanwhile', async () => {
    const objects = await manifest();
    expect(await changesOf(objects)).toEqual(['created', 'created']);
    expect(await changesOf(objects)).toEqual(['unchanged', 'unchanged']);
    const path = `${kinds}/namespaces/${namespace}/models/digits/status`;
    await api.call('PATCH', path, { status: { updates: 7 } }, 'application/merge-patch+json');
    expect(await changesOf(objects)).toEqual(['unchanged', 'unchanged']);
  });

  it('says what it changed', async () => {
    await applyManifest(client, await manifest(), namespace);
    const text = (await readFile('manifests/validator.yaml', 'utf8')).replace('replicas: 4', 'replicas: 5');
    expect(await changesOf(parseManifest(text, 'm'))).toEqual(['unchanged', 'configured']);
  });

  it('takes back what somebody else scaled', async () => {
    const objects = await manifest();
    await applyManifest(client, objects, namespace);
    const path = `${kinds}/namespaces/${namespace}/validatorfleets/flock`;
    await api.call('PATCH', path, { spec: { replicas: 9 } }, 'application/merge-patch+json');
    expect(await changesOf(objects)).toEqual(['unchanged', 'configured']);
    expect((await api.call('GET', path)).body.spec.replicas).toBe(4);
  });

  it('is refused in the words of the kind', async () => {
    const wrong = parseManifest((await readFile('manifests/validator.yaml', 'utf8')).replace('"0.95"', '"95"'), 'm');
    const refusal = await applyManifest(client, wrong, namespace).catch((error: unknown) => inWords(error, 'there'));
    expect(explain(refusal, false)).toMatch(
      /^murmur: The cluster refuses to apply Model .*:\n {2}spec\.learning\.target\.value: .*write "0\.95" for 95 %\.\nFix: Correct it/,
    );
  });

  it('is deleted as a whole, and again without complaint', async () => {
    const objects = await manifest();
    await applyManifest(client, objects, namespace);
    // Nobody collects garbage here, so that a Foreground deletion would stay: there is nothing that waits for it.
    const io = fakeIo();
    const remove = () => deleteManifest(client, objects, namespace, io, () => undefined);
    for (const path of ['models/digits', 'validatorfleets/flock']) {
      await api.call('DELETE', `${kinds}/namespaces/${namespace}/${path}`);
    }
    expect(await remove()).toBe(0);
  });
});

describe('murmur status', () => {
  it('says where nothing is what to do', async () => {
    const end = await murmur('status', '-n', namespace);
    expect(end).toMatchObject({ code: 0, err: '' });
    expect(end.out).toContain('No fleet and no model here.');
  });

  it('shows what the API server has, for people and for programs', async () => {
    await applyManifest(client, await manifest(), namespace);
    const people = await murmur('status', '-n', namespace);
    expect(people.out).toMatch(/^digits {3}accuracy - of 0\.95 .*starting\nVALIDATOR/);
    const programs = JSON.parse((await murmur('status', '-n', namespace, '-o', 'json')).out);
    expect(programs).toMatchObject({
      apiVersion: 'murmuration.dev/output/v1',
      kind: 'FleetState',
      verdict: 'starting',
      models: [{ name: 'digits', converged: false, target: { metric: 'accuracy', value: 0.95 } }],
      fleets: [{ name: 'flock', desiredReplicas: 4, readyReplicas: 0 }],
    });
  });
});

describe('murmur predict', () => {
  it('names the models that there are, and ends with code 2', async () => {
    await applyManifest(client, await manifest(), namespace);
    await writeFile(join(folder, 'row.json'), '[1, 2]');
    const end = await murmur('predict', 'letters', '--file', 'row.json', '-n', namespace);
    expect(end.code).toBe(2);
    expect(end.err).toMatch(/There is no model "letters".*\nFix: Choose one of: digits\./);
  });

  it('says that nobody runs, and ends with code 1', async () => {
    await applyManifest(client, await manifest(), namespace);
    await writeFile(join(folder, 'row.json'), '[1, 2]');
    const end = await murmur('predict', 'digits', '--file', 'row.json', '-n', namespace);
    expect(end.code).toBe(1);
    expect(end.err).toContain('No validator of network default');
  });
});

describe('murmur key export', () => {
  it('writes a Secret that restores the key, for its owner only, and never over a file', async () => {
    const data = { 'authority.key': Buffer.from('secret').toString('base64') };
    const metadata = { name: 'murmuration-authority', namespace };
    await api.call('POST', `/api/v1/namespaces/${namespace}/secrets`, { metadata, data, type: 'Opaque' });
    const file = join(folder, `${namespace}.yaml`);
    const end = await murmur('key', 'export', '--out', file, '-n', namespace);
    expect(end).toMatchObject({ code: 0, out: '' });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(end.err).not.toContain(data['authority.key']);

    expect(await murmur('key', 'export', '--out', file, '-n', namespace)).toMatchObject({ code: 1 });

    await api.call('DELETE', `/api/v1/namespaces/${namespace}/secrets/murmuration-authority`);
    const saved = parse(await readFile(file, 'utf8'));
    expect(saved.metadata).toEqual(metadata);
    const restored = await api.call('POST', `/api/v1/namespaces/${namespace}/secrets`, saved);
    expect(restored.body.data).toEqual(data);
  });

  it('says where there is none', async () => {
    const end = await murmur('key', 'export', '--out', '-', '-n', namespace);
    expect(end).toMatchObject({ code: 1, out: '' });
    expect(end.err).toContain('There is no Secret murmuration-authority');
  });
});
