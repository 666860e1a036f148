import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../../src/kube/index.ts';
import { type ControlPlane, startControlPlane } from '../../test/apiserver/control-plane.ts';
import { connect, type TestApi } from '../../test/apiserver/harness.ts';
import { configFor } from '../../test/apiserver/kube/proxy.ts';
import { operatorAccount } from '../../test/apiserver/operator/account.ts';
import type { Running } from './kubelet.ts';
import { NodeWatch } from './node-watch.ts';
import { OperatorProcess } from './operator.ts';
import type { Done, Task } from './writer.ts';

/** The part of a task that says what to do; who and where is the stage's to add. */
export type Order = Task extends infer T ? (T extends Task ? Omit<T, 'url' | 'ca' | 'token'> : never) : never;

/** Those that are open: a person who ends the bench leaves nothing behind. */
const open = new Set<Stage>();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void Promise.allSettled([...open].map((stage) => stage.close())).then(() => process.exit(1));
  });
}

/** A kube-apiserver on an etcd, with our kinds, a kubelet, a writer, and rights for an operator: each a process. */
export class Stage {
  readonly api: TestApi;
  readonly client: Client;
  readonly system: string;
  readonly folder: string;
  readonly #plane: ControlPlane;
  readonly #token: string;
  readonly #kubelet: ChildProcess;
  readonly #writer: ChildProcess;
  readonly #operators = new Set<OperatorProcess>();
  #running: Running = {};

  private constructor(init: {
    readonly plane: ControlPlane;
    readonly api: TestApi;
    readonly system: string;
    readonly folder: string;
    readonly token: string;
  }) {
    this.#plane = init.plane;
    this.api = init.api;
    this.system = init.system;
    this.folder = init.folder;
    this.#token = init.token;
    this.client = Client.from(configFor(init.plane));
    this.#kubelet = fork(join(import.meta.dirname, 'kubelet.ts'), [init.plane.kubeconfig]);
    this.#kubelet.on('message', (running: Running) => {
      this.#running = running;
    });
    this.#writer = fork(join(import.meta.dirname, 'writer.ts'));
    open.add(this);
  }

  /** @param namespaces that operators serve, made here */
  static async open(namespaces: readonly string[]): Promise<Stage> {
    const plane = await startControlPlane();
    try {
      const api = connect(plane);
      await api.install();
      for (const name of namespaces) await api.call('POST', '/api/v1/namespaces', { metadata: { name } });
      const system = await api.namespace('system');
      const config = await operatorAccount(api, system, namespaces);
      const folder = await mkdtemp(join(tmpdir(), 'murmuration-bench-'));
      const token = config.getCurrentUser()?.token ?? '';
      await writeFile(join(folder, 'token'), token, { mode: 0o600 });
      await writeFile(join(folder, 'ca.crt'), plane.ca);
      return new Stage({ plane, api, system, folder, token });
    } catch (error) {
      await plane.stop();
      throw error;
    }
  }

  /** Starts an operator that serves these namespaces; resolves at once. */
  operator(name: string, namespaces: readonly string[]): OperatorProcess {
    const { system, folder } = this;
    const operator = new OperatorProcess({ url: this.#plane.url, account: folder, system, namespaces, folder, name });
    this.#operators.add(operator);
    return operator;
  }

  watch(namespace: string): NodeWatch {
    return new NodeWatch(this.client, namespace);
  }

  /** Has the writer do something, with the operator's rights; resolves when all of it is answered. */
  async write(order: Order): Promise<void> {
    const { url, ca } = this.#plane;
    const done = new Promise<Done>((resolve) => this.#writer.once('message', resolve));
    this.#writer.send({ url, ca, token: this.#token, ...order } satisfies Task);
    const { error } = await done;
    if (error !== undefined) throw new Error(error);
  }

  /** Waits until so many pods of the namespace run. */
  async untilRunning(namespace: string, count: number, withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    while ((this.#running[namespace] ?? 0) < count) {
      if (performance.now() > deadline) throw new Error(`${this.#running[namespace] ?? 0} of ${count} pods run`);
      await sleep(10);
    }
  }

  async close(): Promise<void> {
    open.delete(this);
    await Promise.all([...this.#operators].map((operator) => operator.stop()));
    for (const child of [this.#kubelet, this.#writer]) child.kill('SIGKILL');
    await this.client.close();
    await this.api.close();
    await this.#plane.stop();
    if (process.env.BENCH_KEEP === undefined) await rm(this.folder, { recursive: true, force: true });
  }
}
