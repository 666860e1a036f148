import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, ConfigMap } from '../../../src/kube/index.ts';
import { apiServer } from '../harness.ts';
import { eventually } from './eventually.ts';
import { configFor } from './proxy.ts';

const page = new URL('../../../docs/kube.md', import.meta.url);

describe('the controller in docs/kube.md', () => {
  const api = apiServer();
  const client = Client.from(configFor(api));
  let folder: string;
  let namespace: string;
  let controller: ChildProcess;
  let said = '';

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kube-docs-'));
    namespace = await api.namespace('kube-docs');
    const code = /```ts\n([\s\S]*?)```/.exec(await readFile(page, 'utf8'))?.[1] ?? '';
    const placed = code
      .replace("'../src/kube/index.ts'", `'${new URL('../../../src/kube/index.ts', import.meta.url)}'`)
      .replace("'@kubernetes/client-node'", `'${import.meta.resolve('@kubernetes/client-node')}'`);
    await writeFile(join(folder, 'greeter.ts'), placed);
    controller = spawn(process.execPath, [join(folder, 'greeter.ts')], {
      env: { PATH: process.env.PATH, KUBECONFIG: api.kubeconfig },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [controller.stdout, controller.stderr]) stream?.on('data', (chunk) => (said += String(chunk)));
  });
  afterAll(async () => {
    controller.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
    await client.close();
    await api.close();
  });

  const greeting = async () => (await client.find(ConfigMap, { namespace, name: 'a-greeting' }))?.data?.text;
  const options = { timeout: 20_000, interval: 100 };

  it('is as short as the page says', async () => {
    const code = /```ts\n([\s\S]*?)```/.exec(await readFile(page, 'utf8'))?.[1] ?? '';
    expect(code.split('\n').filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(33);
  });

  it('greets whom a ConfigMap names, and stops when the label goes', async () => {
    const key = { namespace, name: 'a' };
    await client.create(ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { ...key, labels: { greet: 'yes' } },
      data: { name: 'Ada' },
    });
    await eventually(greeting, options).toBe('Hello, Ada!');
    await client.patch(ConfigMap, key, { data: { name: 'Grace' } });
    await eventually(greeting, options).toBe('Hello, Grace!');
    await client.patch(ConfigMap, key, { metadata: { labels: { greet: null } } });
    await eventually(greeting, options).toBeUndefined();
  });

  it('ends by itself on SIGTERM', async () => {
    const ended = new Promise<number | null>((resolve) => controller.once('exit', (code) => resolve(code)));
    controller.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(said).toBe('');
  });
});
