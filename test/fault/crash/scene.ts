import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { Client } from '../../../src/kube/index.ts';
import type { Access } from '../../apiserver/control-plane.ts';
import { connect } from '../../apiserver/harness.ts';
import { operatorAccount } from '../../apiserver/operator/account.ts';
import { FakeKubelet } from '../../apiserver/operator/kubelet.ts';
import { OperatorProcess } from '../operator-process.ts';
import { collectGarbage } from './garbage-collector.ts';
import type { History } from './history.ts';
import type { Place } from './story.ts';
import { Validators } from './validators.ts';

/** What of the cluster looks after itself does so this often. ms */
const ROUND_MS = 500;

/** A namespace of its own with all that an operator finds there: kubelet, garbage collector, validators that report. */
export class Scene implements Place {
  readonly client: Client;
  readonly namespace: string;
  /** The operator's own namespace. */
  readonly system: string;
  readonly validators: Validators;
  /** The operator that the validators report to. */
  operator: OperatorProcess | undefined;
  /** Why the operator is not there, where nobody killed it. */
  failure: string | undefined;
  readonly #account: KubeConfig;
  readonly #folder: string;
  readonly #kubelet: FakeKubelet;
  readonly #stop = new AbortController();
  readonly #rounds: Promise<void>;

  private constructor(client: Client, namespace: string, system: string, account: KubeConfig, folder: string) {
    this.client = client;
    this.namespace = namespace;
    this.system = system;
    this.#account = account;
    this.#folder = folder;
    this.validators = new Validators(client, namespace);
    const { validators } = this;
    const reported = new Map<string, number>();
    this.#kubelet = new FakeKubelet(client, namespace);
    this.#kubelet.onRunning = ({ metadata: { name } }) => {
      if (Date.now() - (reported.get(name) ?? 0) < ROUND_MS) return;
      reported.set(name, Date.now());
      this.operator?.report(name, validators.said(name));
    };
    this.#rounds = this.#look(validators);
  }

  static async set(access: Access, history: History): Promise<Scene> {
    const api = connect(access);
    try {
      const config = new KubeConfig();
      config.loadFromFile(access.kubeconfig);
      const [namespace, system] = [await api.namespace('garden'), await api.namespace('system')];
      const account = await operatorAccount(api, system, [namespace]);
      const folder = await mkdtemp(join(tmpdir(), 'murmuration-crash-'));
      return new Scene(history.reader(Client.from(config)), namespace, system, account, folder);
    } finally {
      await api.close();
    }
  }

  /** Begins an operator that has no more rights than it asks for. @param url of the API server as it is to see it */
  async begin(url?: string): Promise<OperatorProcess> {
    const path = join(this.#folder, randomBytes(4).toString('hex'));
    const config = JSON.parse(this.#account.exportConfig()) as { clusters: [{ cluster: object }] };
    if (url !== undefined) config.clusters[0].cluster = { server: url, 'insecure-skip-tls-verify': true };
    await writeFile(path, JSON.stringify(config), { mode: 0o600 });
    this.operator = OperatorProcess.begin({
      kubeconfig: path,
      namespace: this.system,
      podName: 'operator-0',
      watchNamespaces: [this.namespace],
    });
    this.operator.exited.then(({ code }) => {
      if (code !== null && !this.#stop.signal.aborted) this.failure = `the operator has ended by itself, with ${code}`;
    });
    return this.operator;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    this.operator?.kill('SIGKILL');
    await Promise.all([this.operator?.exited, this.#rounds, this.#kubelet.stop()]);
    await this.client.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #look(validators: Validators): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await Promise.all([validators.look(), collectGarbage(this.client, this.namespace)]).catch((error: unknown) => {
        if (!signal.aborted) console.error(`scene ${this.namespace}:`, error);
      });
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    }
  }
}
