import { describe, expect, it } from 'vitest';
import { applyManifest, deleteManifest, parseManifest } from '../../../../src/cli/up/manifest.ts';
import { appliedText } from '../../../../src/cli/up/steps.ts';
import { Client, NotFound, type Transport } from '../../../../src/kube/index.ts';
import { fakeIo } from '../fake-io.ts';

const manifest = `
# a comment only
---
apiVersion: murmuration.dev/v1alpha1
kind: Model
metadata: {name: digits}
spec: {data: {source: {builtin: digits}, classes: 10}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: rows, namespace: data}
`;

type Stored = { metadata: { resourceVersion: string; generation: number; uid: string } } & Record<string, unknown>;

/** As much of an API server as a manifest needs: discovery, get, apply, delete. */
function apiServer() {
  const objects = new Map<string, Stored>();
  const requests: string[] = [];
  let version = 1;
  const served: Record<string, object[]> = {
    '/api/v1': [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true }],
    '/apis/murmuration.dev/v1alpha1': [
      { name: 'models/status', kind: 'Model', namespaced: true },
      { name: 'models', kind: 'Model', namespaced: true },
    ],
  };
  const answer = (method: string, path: string, body: string | undefined): [number, unknown] => {
    const resources = served[path];
    if (resources !== undefined) return [200, { resources }];
    const found = objects.get(path);
    const missing: [number, unknown] = [404, { kind: 'Status', code: 404, reason: 'NotFound', message: 'none' }];
    if (method === 'GET') return found === undefined ? missing : [200, found];
    if (method === 'DELETE') {
      if (!objects.delete(path)) return missing;
      return [200, { kind: 'Status', status: 'Success' }];
    }
    const given = JSON.parse(body ?? '{}');
    const same = found !== undefined && JSON.stringify(found.spec) === JSON.stringify(given.spec);
    if (same) return [200, found];
    version += 1;
    const metadata = {
      ...given.metadata,
      uid: 'u',
      resourceVersion: `${version}`,
      generation: (found?.metadata.generation ?? 0) + 1,
    };
    objects.set(path, { ...given, metadata });
    return [200, objects.get(path)];
  };
  const transport: Transport = {
    host: 'test',
    request: async ({ method, path, body }) => {
      const [bare = ''] = path.split('?');
      requests.push(`${method} ${bare}`);
      const [status, value] = answer(method, bare, body);
      const bytes = Buffer.from(JSON.stringify(value));
      return {
        status,
        retryAfter: undefined,
        body: (async function* () {
          yield bytes;
        })(),
      };
    },
    refreshCredentials: () => undefined,
    close: async () => undefined,
  };
  return { client: new Client({ transport }), objects, requests };
}

describe('a manifest', () => {
  it('is read document by document, empty ones left out', () => {
    expect(parseManifest(manifest, 'm.yaml').map((one) => one.kind)).toEqual(['Model', 'ConfigMap']);
  });

  it.each([
    ['broken YAML', 'a: [', 'm.yaml: '],
    ['a document that is no object', 'kind: Model\nmetadata: {name: x}', 'document 1 is no Kubernetes object'],
    ['nothing', '# nothing', 'holds no object'],
  ])('that is %s is refused before anything is sent', (_what, text, says) => {
    expect(() => parseManifest(text, 'm.yaml')).toThrow(says);
  });

  it('is created in the namespace asked for, unless a document names one', async () => {
    const server = apiServer();
    const applied = await applyManifest(server.client, parseManifest(manifest, 'm.yaml'), 'vision');
    expect(applied.map((one) => one.change)).toEqual(['created', 'created']);
    expect([...server.objects.keys()]).toEqual([
      '/apis/murmuration.dev/v1alpha1/namespaces/vision/models/digits',
      '/api/v1/namespaces/data/configmaps/rows',
    ]);
  });

  it('changes nothing the second time, and says so', async () => {
    const server = apiServer();
    const objects = parseManifest(manifest, 'm.yaml');
    await applyManifest(server.client, objects, 'default');
    const again = await applyManifest(server.client, objects, 'default');
    expect(again.map((one) => one.change)).toEqual(['unchanged', 'unchanged']);
    expect(appliedText(again)).toBe('Model "digits", ConfigMap "rows": unchanged');
  });

  it('is unchanged also where the operator has written a status meanwhile', async () => {
    const server = apiServer();
    const objects = parseManifest(manifest, 'm.yaml').slice(0, 1);
    await applyManifest(server.client, objects, 'default');
    const [[path, stored] = ['', undefined]] = [...server.objects];
    const get = server.client.find.bind(server.client);
    server.client.find = async (...words) => {
      const before = await get(...words);
      if (stored !== undefined) {
        server.objects.set(path, { ...stored, metadata: { ...stored.metadata, resourceVersion: '99' } });
      }
      return before;
    };
    expect(await applyManifest(server.client, objects, 'default')).toMatchObject([{ change: 'unchanged' }]);
  });

  it('says which documents changed', async () => {
    const server = apiServer();
    await applyManifest(server.client, parseManifest(manifest, 'm.yaml'), 'default');
    const changed = parseManifest(manifest.replace('classes: 10', 'classes: 11'), 'm.yaml');
    expect(appliedText(await applyManifest(server.client, changed, 'default'))).toBe(
      'Model "digits" configured, ConfigMap "rows" unchanged',
    );
  });

  it('of a kind that is not served is refused with the way out', async () => {
    const objects = parseManifest('apiVersion: other.dev/v1\nkind: Thing\nmetadata: {name: x}', 'm.yaml');
    await expect(applyManifest(apiServer().client, objects, 'default')).rejects.toThrow('does not know the kind Thing');
  });

  it('is deleted last first, and what is gone already is passed over', async () => {
    const server = apiServer();
    const objects = parseManifest(manifest, 'm.yaml');
    await applyManifest(server.client, objects, 'default');
    const io = fakeIo();
    expect(await deleteManifest(server.client, objects, 'default', io, () => undefined)).toBe(2);
    expect(server.objects.size).toBe(0);
    expect(server.requests.filter((line) => line.startsWith('DELETE'))[0]).toContain('configmaps/rows');
    expect(await deleteManifest(server.client, objects, 'default', io, () => undefined)).toBe(0);
  });

  it('that does not go away is told with what to look at', async () => {
    const server = apiServer();
    const objects = parseManifest(manifest, 'm.yaml').slice(0, 1);
    await applyManifest(server.client, objects, 'default');
    server.client.delete = async () => undefined;
    const io = fakeIo();
    await expect(deleteManifest(server.client, objects, 'default', io, () => undefined)).rejects.toThrow(
      'Model digits is still there',
    );
  });

  it('finds out by name what NotFound means', () => {
    expect(new NotFound({ attempt: 'get x', code: 404 })).toBeInstanceOf(Error);
  });
});
