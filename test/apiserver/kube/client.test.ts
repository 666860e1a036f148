import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AlreadyExists,
  Client,
  ConfigMap,
  Conflict,
  Invalid,
  Namespace,
  NotFound,
  Pod,
} from '../../../src/kube/index.ts';
import { apiServer } from '../harness.ts';
import { Gadget, gadget, installGadgets } from './gadget.ts';
import { configFor } from './proxy.ts';

describe('the client, before a real API server', () => {
  const api = apiServer();
  const client = Client.from(configFor(api));
  let namespace: string;

  beforeAll(async () => {
    await installGadgets(api);
    namespace = await api.namespace('kube-client');
  });
  afterAll(async () => {
    await client.close();
    await api.close();
  });

  it('creates, gets, replaces, patches and deletes', async () => {
    const made = await client.create(Gadget, gadget(namespace, 'a', { size: 1 }));
    expect(made.metadata.uid).toBeTruthy();
    await expect(client.create(Gadget, gadget(namespace, 'a'))).rejects.toThrow(AlreadyExists);
    const key = { namespace, name: 'a' };
    const patched = await client.patch(Gadget, key, { spec: { size: 2 } });
    expect(patched.spec?.size).toBe(2);
    await expect(client.replace(Gadget, { ...made, spec: { size: 3 } })).rejects.toThrow(Conflict);
    expect((await client.replace(Gadget, { ...patched, spec: { size: 3 } })).spec?.size).toBe(3);
    await expect(client.delete(Gadget, key, { uid: 'another' })).rejects.toThrow(Conflict);
    expect(await client.delete(Gadget, key, { uid: made.metadata.uid })).toBeUndefined();
    await expect(client.get(Gadget, key)).rejects.toThrow(NotFound);
    expect(await client.find(Gadget, key)).toBeUndefined();
  });

  it('says which field is invalid', async () => {
    const error = (await client
      .create(Gadget, gadget(namespace, 'bad', { size: 5000 }))
      .catch((thrown: unknown) => thrown)) as Invalid;
    expect(error).toBeInstanceOf(Invalid);
    expect(error.status?.details?.causes?.[0]?.field).toBe('spec.size');
  });

  it('applies its fields, removes those it no longer gives, and leaves those of others', async () => {
    const map = (data: Record<string, string>): ConfigMap => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { namespace, name: 'm' },
      data,
    });
    await client.apply(ConfigMap, map({ a: '1', b: '2' }), { fieldManager: 'me' });
    await client.apply(ConfigMap, map({ c: '3' }), { fieldManager: 'you' });
    expect((await client.apply(ConfigMap, map({ a: '9' }), { fieldManager: 'me' })).data).toEqual({ a: '9', c: '3' });
    await expect(client.apply(ConfigMap, map({ c: '4' }), { fieldManager: 'me', force: false })).rejects.toThrow(
      Conflict,
    );
  });

  it('writes status and scale apart from spec', async () => {
    const made = await client.create(Gadget, gadget(namespace, 's'));
    const key = { namespace, name: 's' };
    const { resourceVersion } = made.metadata;
    const seen = await client.patchStatus(Gadget, key, { seen: 1 }, { resourceVersion });
    expect(seen.status?.seen).toBe(1);
    expect(seen.metadata.generation).toBe(made.metadata.generation);
    await expect(client.patchStatus(Gadget, key, { seen: 2 }, { resourceVersion })).rejects.toThrow(Conflict);
    const applied = await client.applyStatus(
      Gadget,
      { ...gadget(namespace, 's', undefined), status: { words: ['x'] } },
      { fieldManager: 'me' },
    );
    expect(applied.status).toEqual({ seen: 1, words: ['x'] });
    await client.scale(Gadget, key, 7);
    expect((await client.get(Gadget, key)).spec?.replicas).toBe(7);
  });

  it('lists by page, label and field', async () => {
    for (const name of ['p1', 'p2', 'p3']) {
      await client.create(ConfigMap, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace, name, labels: { set: name === 'p1' ? 'one' : 'two' } },
      });
    }
    const names = async (options: Parameters<Client['list']>[1]) =>
      (await client.list(ConfigMap, { namespace, ...options })).items.map((item) => item.metadata.name).sort();
    expect(await names({ limit: 1, selector: { labels: { set: 'two' } } })).toEqual(['p2', 'p3']);
    expect(await names({ selector: { fields: { 'metadata.name': 'p1' } } })).toEqual(['p1']);
    const { items } = await client.list(ConfigMap, { namespace });
    expect(items.every((item) => item.kind === 'ConfigMap' && item.apiVersion === 'v1')).toBe(true);
  });

  it('gets cluster-scoped objects', async () => {
    expect((await client.get(Namespace, { namespace: '', name: namespace })).status?.phase).toBe('Active');
  });

  it('has what is still there returned by a delete', async () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace, name: 'held', finalizers: ['kube.test/held'] },
      spec: { containers: [{ name: 'c', image: 'i' }], automountServiceAccountToken: false },
    };
    await client.create(Pod, pod);
    const left = await client.delete(Pod, { namespace, name: 'held' }, { gracePeriodSeconds: 0 });
    expect(left?.metadata.deletionTimestamp).toBeTruthy();
    await client.patch(Pod, { namespace, name: 'held' }, { metadata: { finalizers: null } });
  });
});
