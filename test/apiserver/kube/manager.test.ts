import { randomUUID } from 'node:crypto';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  Client,
  ConfigMap,
  Controller,
  Event,
  keyText,
  Lease,
  Manager,
  type ManagerInit,
  Wakeups,
} from '../../../src/kube/index.ts';
import { apiServer } from '../harness.ts';
import { eventually } from './eventually.ts';
import { Gadget, gadget, installGadgets } from './gadget.ts';
import { configFor, FaultyProxy } from './proxy.ts';

describe('a manager, before a real API server', () => {
  const api = apiServer();
  const direct = Client.from(configFor(api));
  const started: { readonly manager: Manager; readonly client: Client }[] = [];
  let proxy: FaultyProxy;
  let namespace: string;

  beforeAll(() => installGadgets(api));
  afterAll(async () => {
    await direct.close();
    await api.close();
  });
  beforeEach(async () => {
    namespace = await api.namespace('kube-manager');
    proxy = await new FaultyProxy(api).start();
  });
  afterEach(async () => {
    proxy.mode = 'pass';
    await Promise.all(started.map(({ manager }) => manager.stop()));
    await Promise.all(started.splice(0).map(({ client }) => client.close()));
    await proxy.stop();
  });

  /** A gadget has a ConfigMap of its size, and says in its status which size it has seen. */
  function gadgets(on: { reconciled?: (key: string) => void; wakeups?: Wakeups } = {}) {
    const controller = new Controller(Gadget).owns(ConfigMap).run(async ({ key, stores, apply, setStatus, events }) => {
      on.reconciled?.(keyText(key));
      const owner = stores.of(Gadget).get(key);
      if (owner === undefined) return;
      const size = owner.spec?.size ?? 0;
      await apply(
        { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: key.name }, data: { size: String(size) } },
        { owner },
      );
      expect(stores.of(ConfigMap).get(key)?.data?.size).toBe(String(size));
      if (owner.status?.seen !== size)
        events.record(owner, { type: 'Normal', reason: 'Seen', action: 'Look', note: `size is ${size}` });
      await setStatus(owner, { seen: size, words: ['a'] });
    });
    return on.wakeups === undefined ? controller : controller.on(on.wakeups);
  }

  async function manage(controller: Controller<Gadget>, init: Partial<ManagerInit> = {}, config = configFor(api)) {
    const client = Client.from(config);
    const manager = new Manager({
      client,
      fieldManager: 'test',
      identity: `test-${randomUUID()}`,
      namespaces: [namespace],
      ...init,
    });
    started.push({ manager, client });
    manager.add(controller);
    await manager.start();
    return manager;
  }

  const map = (name: string) => direct.find(ConfigMap, { namespace, name });
  const make = (name: string, size: number) => direct.create(Gadget, gadget(namespace, name, { size }));

  it('brings about what a gadget says, and says so in its status and in an event', async () => {
    await manage(gadgets());
    await make('a', 3);
    await eventually(async () => (await direct.get(Gadget, { namespace, name: 'a' })).status).toEqual({
      seen: 3,
      words: ['a'],
    });
    expect((await map('a'))?.data).toEqual({ size: '3' });
    await eventually(async () => (await direct.list(Event, { namespace })).items[0]).toMatchObject({
      reason: 'Seen',
      note: 'size is 3',
      regarding: { name: 'a' },
      reportingController: 'test',
    });
  });

  it('repairs a child that was changed or deleted by hand', async () => {
    await manage(gadgets());
    await make('a', 3);
    await eventually(async () => (await map('a'))?.data?.size).toBe('3');
    await direct.patch(ConfigMap, { namespace, name: 'a' }, { data: { size: '99' } });
    await eventually(async () => (await map('a'))?.data?.size).toBe('3');
    const { uid } = (await map('a'))!.metadata;
    await direct.delete(ConfigMap, { namespace, name: 'a' });
    await eventually(async () => (await map('a'))?.data?.size).toBe('3');
    expect((await map('a'))?.metadata.uid).not.toBe(uid);
  });

  it('comes to rest: its own writes do not keep it busy, and a restart writes nothing', async () => {
    const keys: string[] = [];
    const registry = new Registry();
    const manager = await manage(gadgets({ reconciled: (key) => keys.push(key) }), { registry });
    for (let at = 0; at < 20; at += 1) await make(`g${at}`, at);
    await eventually(
      async () =>
        (await direct.list(Gadget, { namespace })).items.filter((one) => one.status?.seen === one.spec?.size).length,
    ).toBe(20);
    await eventually(() => {
      const before = keys.length;
      return new Promise((resolve) => setTimeout(() => resolve(keys.length - before), 300));
    }).toBe(0);
    // Made, child applied, and at most a look or two more.
    expect(keys.length).toBeLessThanOrEqual(80);
    await manager.stop();

    const versions = async () =>
      (await direct.list(Gadget, { namespace })).items.map((one) => one.metadata.resourceVersion).sort();
    const before = await versions();
    const again: string[] = [];
    const second = new Registry();
    await manage(gadgets({ reconciled: (key) => again.push(key) }), { registry: second });
    await eventually(() => new Set(again).size).toBe(20);
    expect(await versions()).toEqual(before);
    const requests = await second.getSingleMetric('rest_client_requests_total')!.get();
    expect(requests.values.filter(({ labels }) => labels.method !== 'GET')).toEqual([]);
    const text = await registry.metrics();
    for (const name of [
      'controller_runtime_reconcile_total{controller="gadget",result="success"}',
      'workqueue_depth{',
      'workqueue_queue_duration_seconds_bucket',
      'rest_client_requests_total{code="200",method="PATCH"',
    ]) {
      expect(text).toContain(name);
    }
  });

  it('is woken by keys from outside', async () => {
    const keys: string[] = [];
    const wakeups = new Wakeups();
    await manage(gadgets({ reconciled: (key) => keys.push(key), wakeups }));
    wakeups.wake({ namespace, name: 'heard-of' });
    await eventually(() => keys).toEqual([`${namespace}/heard-of`]);
  });

  it('retries what failed', async () => {
    let failures = 0;
    const controller = new Controller(Gadget, { name: 'failing' }).run(async (context) => {
      failures = context.failures;
      if (failures < 3) throw new Error('not yet');
    });
    await manage(controller);
    await make('a', 1);
    await eventually(() => failures).toBe(3);
  });

  it('goes on after the API server was away', async () => {
    await manage(gadgets(), { watchIdleMs: 3000 }, proxy.config(api));
    await make('a', 1);
    await eventually(async () => (await map('a'))?.data?.size).toBe('1');
    proxy.mode = 'away';
    await direct.patch(Gadget, { namespace, name: 'a' }, { spec: { size: 2 } });
    await make('b', 5);
    proxy.mode = 'pass';
    await eventually(async () => [(await map('a'))?.data?.size, (await map('b'))?.data?.size], {
      timeout: 15_000,
    }).toEqual(['2', '5']);
  });

  it('says what is missing while it is not ready', async () => {
    const client = Client.from(proxy.config(api));
    proxy.mode = 'away';
    const manager = new Manager({ client, fieldManager: 'test', identity: 'x' }).add(gadgets());
    started.push({ manager, client });
    expect(manager.readyz().problems).toEqual(['not started']);
    const starting = manager.start().catch((error: unknown) => error);
    await eventually(() => manager.readyz().problems.join()).toMatch(
      /Gadget.kube.test is not listed yet \(watch gadgets: .*no answer/,
    );
    expect(manager.healthz().ok).toBe(true);
    await manager.stop();
    expect(await starting).toBeInstanceOf(Error);
  });

  describe('elected', () => {
    const short = { leaseMs: 3000, renewMs: 2000, retryMs: 400, lookMs: 200 };
    const election = () => ({ ...short, lease: { namespace, name: 'leader' } });

    it('lets one lead and keeps the other warm; a stop hands over at once', async () => {
      const first = await manage(gadgets(), { election: election() });
      await eventually(() => first.leading).toBe(true);
      const keys: string[] = [];
      const second = await manage(gadgets({ reconciled: (key) => keys.push(key) }), { election: election() });
      await make('a', 1);
      await eventually(async () => (await map('a'))?.data?.size).toBe('1');
      await eventually(() => second.caches.of(Gadget).size).toBe(1);
      expect([second.leading, second.readyz().ok, keys]).toEqual([false, true, []]);
      expect(second.leader).toBe(first.leader);
      const stopped = performance.now();
      await first.stop();
      await eventually(() => second.leading, { interval: 10 }).toBe(true);
      expect(performance.now() - stopped).toBeLessThan(2000);
      await eventually(() => keys.length).toBeGreaterThan(0);
    });

    it('lets the second lead after the first was cut off, and never both write', async () => {
      const writes: { readonly by: string; readonly at: number }[] = [];
      const first = await manage(gadgets(), { election: election() }, proxy.config(api));
      await eventually(() => first.leading).toBe(true);
      const second = await manage(gadgets(), { election: election() });
      const bump = async (by: string, manager: Manager) => {
        for (const until = Date.now() + 6000; Date.now() < until; ) {
          const at = Date.now();
          const done = await manager.client
            .apply(
              ConfigMap,
              { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name: 'written' }, data: { by } },
              { fieldManager: by, deadlineMs: 200 },
            )
            .then(
              () => true,
              () => false,
            );
          if (done) writes.push({ by, at });
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      };
      const bumping = Promise.all([bump('first', first), bump('second', second)]);
      await eventually(() => writes.length).toBeGreaterThan(5);
      const cut = Date.now();
      proxy.mode = 'silent';
      await eventually(() => second.leading, { timeout: 10_000, interval: 10 }).toBe(true);
      // 3 s after the last renewal that it saw, and a look.
      expect(Date.now() - cut).toBeLessThan(6000);
      expect(first.leading).toBe(false);
      proxy.mode = 'pass';
      await bumping;
      const order = writes.map(({ by }) => by);
      expect(order.indexOf('second')).toBeGreaterThan(0);
      expect(order.lastIndexOf('first')).toBeLessThan(order.indexOf('second'));
      expect((await direct.get(Lease, { namespace, name: 'leader' })).spec?.leaseTransitions).toBe(1);
    });
  });
});
