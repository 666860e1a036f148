import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, ConfigMap, Controller, Manager } from '../../../src/kube/index.ts';
import { type ControlPlane, startControlPlane } from '../control-plane.ts';
import { eventually } from './eventually.ts';
import { configFor } from './proxy.ts';

describe('a manager whose API server is restarted', () => {
  let plane: ControlPlane;
  let client: Client;
  let manager: Manager;

  beforeAll(async () => {
    plane = await startControlPlane();
    client = Client.from(configFor(plane));
  }, 120_000);
  afterAll(async () => {
    await manager?.stop();
    await client.close();
    await plane.stop();
  }, 60_000);

  it('goes on by itself, with nothing missed and nothing done twice', async () => {
    const copies = new Controller(ConfigMap, { name: 'copies', selector: { labels: { copy: 'yes' } } })
      .owns(ConfigMap)
      .run(async ({ key, stores, apply }) => {
        const owner = stores.of(ConfigMap, { labels: { copy: 'yes' } }).get(key);
        if (owner === undefined) return;
        await apply(
          { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${key.name}-copy` }, data: { ...owner.data } },
          { owner },
        );
      });
    manager = new Manager({
      client,
      fieldManager: 'copies',
      identity: 'copies-1',
      namespaces: ['default'],
      election: { lease: { namespace: 'default', name: 'copies' } },
    });
    await manager.add(copies).start();
    const put = (name: string, value: string) =>
      client.apply(
        ConfigMap,
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { namespace: 'default', name, labels: { copy: 'yes' } },
          data: { value },
        },
        { fieldManager: 't', deadlineMs: 60_000 },
      );
    const copy = async (name: string) =>
      (await client.find(ConfigMap, { namespace: 'default', name: `${name}-copy` }))?.data?.value;
    await put('a', '1');
    await eventually(() => copy('a'), { timeout: 10_000 }).toBe('1');
    const { resourceVersion } = (await client.get(ConfigMap, { namespace: 'default', name: 'a-copy' })).metadata;

    await plane.stopApiServer();
    await plane.startApiServer();
    await put('b', '1');
    await eventually(() => copy('b'), { timeout: 40_000 }).toBe('1');
    await put('a', '2');
    await eventually(() => copy('a'), { timeout: 10_000 }).toBe('2');
    expect(manager.readyz()).toEqual({ ok: true, problems: [] });
    expect(
      Number((await client.get(ConfigMap, { namespace: 'default', name: 'a-copy' })).metadata.resourceVersion),
    ).toBeGreaterThan(Number(resourceVersion));
  }, 120_000);
});
