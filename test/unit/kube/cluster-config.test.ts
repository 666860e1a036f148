import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ClusterConfig, InCluster } from '../../../src/kube/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'service-account-'));
  await writeFile(join(folder, 'token'), 'one\n');
  await writeFile(join(folder, 'ca.crt'), 'certificate');
});
afterEach(() => rm(folder, { recursive: true }));

const applied = async (config: ClusterConfig): Promise<RequestOptions> => {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  return options;
};

it.each([
  ['10.0.0.1', '6443', 'https://10.0.0.1:6443'],
  ['fd00::1', '443', 'https://[fd00::1]:443'],
])('a pod finds its cluster at %s port %s', (host, port, server) => {
  const config = new InCluster({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }, folder);
  expect(config.getCurrentCluster()).toEqual({ server });
  expect(() => new URL(server)).not.toThrow();
});

it('a pod speaks with the token of now and trusts the mounted certificate', async () => {
  const config = new InCluster({ KUBERNETES_SERVICE_HOST: 'kubernetes' }, folder);
  expect(await applied(config)).toEqual({ headers: { Authorization: 'Bearer one' }, ca: 'certificate' });
  await writeFile(join(folder, 'token'), 'two');
  expect((await applied(config)).headers).toEqual({ Authorization: 'Bearer two' });
});

it('what is no pod is told so', async () => {
  expect(() => new InCluster({}, folder)).toThrow(/KUBERNETES_SERVICE_HOST/);
  await rm(join(folder, 'token'));
  expect(() => new InCluster({ KUBERNETES_SERVICE_HOST: 'kubernetes' }, folder)).toThrow(/token/);
});

it('a KubeConfig will do as well', () => {
  const config: ClusterConfig = new KubeConfig();
  expect(config.getCurrentCluster()).toBeNull();
});
