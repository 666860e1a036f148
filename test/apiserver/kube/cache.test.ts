import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Caches, Client, ConfigMap, silent, systemClock } from '../../../src/kube/index.ts';
import { apiServer } from '../harness.ts';
import { eventually } from './eventually.ts';
import { configFor, FaultyProxy } from './proxy.ts';

/** The server's picture and ours are compared after quiet; "missed" is any difference. */
describe('a cache, before a real API server behind a bad network', () => {
  const api = apiServer();
  const direct = Client.from(configFor(api));
  let proxy: FaultyProxy;
  let client: Client;
  let caches: Caches;
  let namespace: string;
  let stop: AbortController;
  let running: Promise<void>;

  beforeAll(async () => {
    proxy = await new FaultyProxy(api).start();
  });
  afterAll(async () => {
    await proxy.stop();
    await direct.close();
    await api.close();
  });
  beforeEach(async () => {
    namespace = await api.namespace('kube-cache');
    client = Client.from(proxy.config(api));
    stop = new AbortController();
    caches = new Caches({
      client,
      clock: systemClock,
      random: () => 0,
      log: silent,
      namespaces: [namespace],
      idleMs: 1500,
    });
    caches.declare(ConfigMap);
  });
  afterEach(async () => {
    proxy.mode = 'pass';
    stop.abort(new Error('the test is over'));
    await running;
    await client.close();
  });

  const key = (name: string) => ({ namespace, name });
  const put = (name: string, value: string) =>
    direct.apply(
      ConfigMap,
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: key(name), data: { value } },
      { fieldManager: 't' },
    );
  const start = async () => {
    running = caches.run(stop.signal);
    await caches.whenSynced(AbortSignal.timeout(10_000));
  };
  const show = (objects: readonly ConfigMap[]) =>
    objects
      .map((map) => `${map.metadata.name} ${map.metadata.uid} ${map.metadata.resourceVersion} ${map.data?.value}`)
      .sort();
  /** Waits until the store shows what the server has. */
  const agrees = async (timeout = 10_000) =>
    eventually(async () => show(caches.of(ConfigMap).list()), { timeout, interval: 50 }).toEqual(
      show((await direct.list(ConfigMap, { namespace })).items),
    );

  it('holds what was there and what comes', async () => {
    await put('before', '1');
    await start();
    expect(caches.of(ConfigMap).get(key('before'))?.data).toEqual({ value: '1' });
    await put('after', '1');
    await put('before', '2');
    await agrees();
    await direct.delete(ConfigMap, key('before'));
    await agrees();
  });

  it('goes on after a reset without listing anew', async () => {
    const restarts: string[] = [];
    caches = new Caches({
      client,
      clock: systemClock,
      random: () => 0,
      log: silent,
      namespaces: [namespace],
      onRestart: (_, why) => restarts.push(why),
    });
    caches.declare(ConfigMap);
    await put('a', '1');
    await start();
    proxy.reset();
    await put('a', '2');
    await put('b', '1');
    await agrees();
    expect(restarts).toEqual(['list', 'resume']);
  });

  it('misses nothing while the server is away: changes, deletions, and a namesake', async () => {
    for (const name of ['kept', 'gone', 'reborn']) await put(name, '1');
    await start();
    const changes: string[] = [];
    caches.of(ConfigMap).subscribe((change) => changes.push(`${change.type} ${change.object.metadata.name}`));
    proxy.mode = 'away';
    await put('kept', '2');
    await direct.delete(ConfigMap, key('gone'));
    await direct.delete(ConfigMap, key('reborn'));
    await put('reborn', '2');
    await put('new', '1');
    proxy.mode = 'pass';
    await agrees();
    expect(changes.sort()).toEqual(['added new', 'added reborn', 'deleted gone', 'deleted reborn', 'updated kept']);
  });

  it('notices a half-open connection', async () => {
    await start();
    proxy.mode = 'silent';
    await put('a', '1');
    // Only what is opened from now on passes; the old connection stays open and mute.
    const { accepted } = proxy;
    await eventually(() => proxy.accepted, { timeout: 8000 }).toBeGreaterThan(accepted);
    proxy.mode = 'pass';
    await agrees();
  });

  it('holds 1200 objects listed in pages and streamed alike', async () => {
    const names = Array.from({ length: 1200 }, (_, at) => `many-${at}`);
    for (let at = 0; at < names.length; at += 50)
      await Promise.all(names.slice(at, at + 50).map((name) => put(name, '1')));
    await start();
    expect(caches.of(ConfigMap).size).toBe(1200);
    const { items } = await client.list(ConfigMap, { namespace });
    expect(show(caches.of(ConfigMap).list())).toEqual(show(items));
  });
});
