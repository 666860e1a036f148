import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Client, Service } from '../../src/kube/index.ts';
import { ValidatorFleet, ValidatorNode } from '../../src/operator/kinds.ts';
import { type AuditedWrite, type ControlPlane, startControlPlane } from '../apiserver/control-plane.ts';
import { connect, type TestApi } from '../apiserver/harness.ts';
import { FaultyProxy } from '../apiserver/kube/proxy.ts';
import { operatorAccount } from '../apiserver/operator/account.ts';
import { FakeKubelet } from '../apiserver/operator/kubelet.ts';
import { OperatorProcess } from './operator-process.ts';

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One of two operators: a user of its own, so that the audit log tells them apart, and a network of its own. */
interface Replica {
  readonly user: string;
  readonly proxy: FaultyProxy;
  readonly begin: () => Promise<OperatorProcess>;
  process: OperatorProcess;
}

/** No faster than a lease runs out, plus what a busy machine may take; how fast it is tells bench/operator. s */
const AFTER_THE_LEASE = 30;
/** Sooner than any lease runs out: it was given back. s */
const BEFORE_THE_LEASE = 10;

/**
 * Two operators, one API server with an audit log, and somebody who spoils a Service all the time, so that whoever leads
 * has something to write.
 */
describe('of two operators, never two write', () => {
  let plane: ControlPlane;
  let api: TestApi;
  let client: Client;
  let namespace: string;
  let folder: string;
  let kubelet: FakeKubelet;
  const replicas: Replica[] = [];
  const stopSpoiling = new AbortController();
  let spoiling: Promise<void>;

  const replica = async (system: string, name: string): Promise<Replica> => {
    const proxy = await new FaultyProxy(plane).start();
    const account = JSON.parse((await operatorAccount(api, system, [namespace], name)).exportConfig());
    account.clusters[0].cluster.server = proxy.config(plane).getCurrentCluster()?.server;
    const kubeconfig = join(folder, name);
    await writeFile(kubeconfig, JSON.stringify(account), { mode: 0o600 });
    const begin = () =>
      OperatorProcess.start({
        kubeconfig,
        namespace: system,
        podName: name,
        watchNamespaces: [namespace],
        leaderElect: true,
      });
    return { user: `system:serviceaccount:${system}:${name}`, proxy, begin, process: await begin() };
  };

  const spoil = async (): Promise<void> => {
    for (let at = 0; !stopSpoiling.signal.aborted; at += 1) {
      const spec = { ports: [{ name: 'spoiled', port: 9000 + (at % 100) }] };
      await client.patch(Service, { namespace, name: 'flock-0' }, { spec }).catch(() => undefined);
      await wait(100);
    }
  };

  const leader = async (): Promise<{ readonly leads: Replica; readonly waits: Replica }> => {
    await expect.poll(() => replicas.filter(({ process }) => process.leading).length, { timeout: 30_000 }).toBe(1);
    const leads = replicas.find(({ process }) => process.leading)!;
    return { leads, waits: replicas.find((one) => one !== leads)! };
  };

  /** Seconds from `since` (Unix ms) until the first write of this replica, its Lease apart. */
  const takesOver = async ({ user }: Replica, since: number): Promise<number> => {
    const first = async () =>
      (await plane.writes()).find((write) => write.user === user && write.at > since && write.resource !== 'leases');
    await expect.poll(first, { timeout: 40_000, interval: 200 }).toBeDefined();
    return ((await first())!.at - since) / 1000;
  };

  beforeAll(async () => {
    plane = await startControlPlane({ audit: true });
    api = connect(plane);
    await api.install();
    folder = await mkdtemp(join(tmpdir(), 'murmuration-replicas-'));
    const config = new KubeConfig();
    config.loadFromFile(plane.kubeconfig);
    client = Client.from(config);
    namespace = await api.namespace('garden');
    const system = await api.namespace('system');
    kubelet = new FakeKubelet(client, namespace);
    kubelet.onRunning = ({ metadata }) => {
      for (const { process } of replicas) process.report(metadata.name);
    };
    for (const name of ['operator-0', 'operator-1']) replicas.push(await replica(system, name));
    await client.create(ValidatorFleet, {
      apiVersion: 'murmuration.dev/v1alpha1',
      kind: 'ValidatorFleet',
      metadata: { namespace, name: 'flock' },
      spec: { replicas: 2, template: { spec: {} } },
    } as unknown as ValidatorFleet);
    const ready = async () =>
      (await client.find(ValidatorNode, { namespace, name: 'flock-1' }))?.status?.ready === 'yes';
    await vi.waitUntil(ready, { timeout: 40_000, interval: 100 });
    spoiling = spoil();
  });
  afterAll(async () => {
    stopSpoiling.abort();
    await spoiling;
    for (const { process } of replicas) process.kill('SIGKILL');
    await Promise.all(replicas.map(({ process }) => process.exited));
    await kubelet.stop();
    for (const { proxy } of replicas) await proxy.stop();
    await client.close();
    await api.close();
    await plane.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('when the leader is killed: the other writes once its lease has run out', async () => {
    const { leads, waits } = await leader();
    const at = Date.now();
    leads.process.kill('SIGKILL');
    expect(await takesOver(waits, at)).toBeLessThan(AFTER_THE_LEASE);
    await leads.process.exited;
    leads.process = await leads.begin();
  });

  it('when the leader is told to end: the other writes at once', async () => {
    const { leads, waits } = await leader();
    const at = Date.now();
    const ended = leads.process.stop();
    expect(await takesOver(waits, at)).toBeLessThan(BEFORE_THE_LEASE);
    expect(await ended).toEqual({ code: 0, signal: null });
    leads.process = await leads.begin();
  });

  it('when the leader is frozen and wakes up again: it waits', async () => {
    const { leads, waits } = await leader();
    const at = Date.now();
    leads.process.kill('SIGSTOP');
    expect(await takesOver(waits, at)).toBeLessThan(AFTER_THE_LEASE);
    leads.process.kill('SIGCONT');
    await expect.poll(() => leads.process.leading, { timeout: 20_000 }).toBe(false);
    await wait(2_000);
    expect(waits.process.leading).toBe(true);
  });

  it('when the leader is cut off from the API server, and when it can reach it again', async () => {
    const { leads, waits } = await leader();
    const at = Date.now();
    leads.proxy.mode = 'silent';
    expect(await takesOver(waits, at)).toBeLessThan(AFTER_THE_LEASE);
    leads.proxy.mode = 'pass';
    await expect.poll(() => leads.process.leading, { timeout: 20_000 }).toBe(false);
    await wait(2_000);
    expect(waits.process.leading).toBe(true);
  });

  it('as the audit log proves: between two changes of the lease, only its holder has written', async () => {
    const users = new Set(replicas.map(({ user }) => user));
    const writes = (await plane.writes()).filter(({ user, code }) => users.has(user) && code < 300);
    let holder = '';
    let terms = 0;
    const strange: AuditedWrite[] = [];
    for (const write of writes) {
      if (write.resource === 'leases') {
        if (write.user !== holder) terms += 1;
        holder = write.user;
      } else if (write.user !== holder) strange.push(write);
    }
    expect(strange).toEqual([]);
    expect(terms).toBe(5);
    for (const user of users) expect(writes.filter((write) => write.user === user).length).toBeGreaterThan(10);
  });
});
