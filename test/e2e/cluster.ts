import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = new URL('../..', import.meta.url).pathname;

/** What a command printed; thrown errors carry stderr. */
export async function command(file: string, args: readonly string[], input?: string): Promise<string> {
  const running = run(file, [...args], { cwd: root, maxBuffer: 64 * 1024 * 1024 });
  if (input !== undefined) running.child.stdin?.end(input);
  return (await running).stdout;
}

/** A tool that the project finds or makes for itself. */
const tool = (name: string): string =>
  execFileSync('bash', ['tools/get.sh', name], { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
    .toString()
    .trim();

export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: assertions reach into statuses of every kind
  readonly spec: any;
  // biome-ignore lint/suspicious/noExplicitAny: assertions reach into statuses of every kind
  readonly status?: any;
}

/** kubectl against the cluster under test, as a person uses it. */
export class Cluster {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly #kubectl: string;

  constructor(kubeconfig: string, namespace = 'default') {
    this.kubeconfig = kubeconfig;
    this.namespace = namespace;
    this.#kubectl = tool('kubectl');
  }

  in(namespace: string): Cluster {
    return new Cluster(this.kubeconfig, namespace);
  }

  kubectl(...args: string[]): Promise<string> {
    return command(this.#kubectl, ['--kubeconfig', this.kubeconfig, '-n', this.namespace, ...args]);
  }

  apply(yaml: string): Promise<string> {
    return command(
      this.#kubectl,
      ['--kubeconfig', this.kubeconfig, '-n', this.namespace, 'apply', '--server-side', '-f', '-'],
      yaml,
    );
  }

  /** Makes the namespace where it is missing; a test that is run again finds its own one. */
  async ensureNamespace(): Promise<void> {
    await this.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } }));
  }

  async get(kind: string, name: string): Promise<KubeObject | undefined> {
    const text = await this.kubectl('get', kind, name, '-o', 'json', '--ignore-not-found');
    return text.trim() === '' ? undefined : (JSON.parse(text) as KubeObject);
  }

  async list(kind: string, selector = ''): Promise<readonly KubeObject[]> {
    const text = await this.kubectl('get', kind, '-o', 'json', ...(selector === '' ? [] : ['-l', selector]));
    return (JSON.parse(text) as { items: KubeObject[] }).items;
  }

  /** The operator's namespace. */
  get system(): Cluster {
    return this.in('murmuration-system');
  }

  /** `GET` of a pod's HTTP port through the API server. */
  pod(name: string, path: string): Promise<string> {
    return this.kubectl('get', '--raw', `/api/v1/namespaces/${this.namespace}/pods/${name}:8080/proxy${path}`);
  }

  /** What one validator says of itself. */
  async status(pod: string): Promise<ValidatorStatus> {
    return JSON.parse(await this.pod(pod, '/status')) as ValidatorStatus;
  }

  async predict(pod: string, model: string, instances: readonly (readonly number[])[]): Promise<number[][]> {
    const text = await command(
      this.#kubectl,
      [
        '--kubeconfig',
        this.kubeconfig,
        'create',
        '--raw',
        `/api/v1/namespaces/${this.namespace}/pods/${pod}:8080/proxy/v1/models/${model}:predict`,
        '-f',
        '-',
      ],
      JSON.stringify({ instances }),
    );
    return (JSON.parse(text) as { predictions: number[][] }).predictions;
  }
}

/** Selects what belongs to the operator. */
export const OPERATOR = 'app.kubernetes.io/name=murmuration,app.kubernetes.io/component=operator';

/** The part of a validator's GET /status that tests look at. */
export interface ValidatorStatus {
  readonly name: string;
  readonly peerId: string;
  readonly stakeKey?: string;
  readonly charterSeq: number;
  readonly peers: readonly string[];
  readonly models: readonly {
    readonly name: string;
    readonly age: number;
    readonly startedAtAge?: number;
    readonly startedFrom?: 'scratch' | 'checkpoint' | 'certified';
    readonly accuracy?: number;
    readonly loss?: number;
    readonly userRows?: number;
    readonly problem?: { readonly reason: string; readonly message: string };
    readonly certified?: { readonly cid: string; readonly age: number };
  }[];
  readonly held: readonly { readonly cid: string; readonly have: number; readonly chunks: number }[];
}

/** The condition of this type, or a stand-in that says it is missing. */
export function condition(
  object: KubeObject | undefined,
  type: string,
): { status: string; reason: string; message: string } {
  const found = (
    object?.status?.conditions as { type: string; status: string; reason: string; message: string }[]
  )?.find((one) => one.type === type);
  return found ?? { status: 'Missing', reason: 'Missing', message: `no condition ${type} yet` };
}

/**
 * Waits until `look` gives something, and tells what it waited for when it does not come.
 * @param within seconds
 */
export async function eventually<T>(
  what: string,
  within: number,
  look: () => Promise<T | undefined | false>,
  every = 1,
): Promise<T> {
  const end = Date.now() + within * 1000;
  let last: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined && seen !== false) return seen;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) {
      throw new Error(
        `waited ${within} s for ${what}, in vain${last === undefined ? '' : `; last error: ${String(last)}`}`,
      );
    }
    await sleep(every * 1000);
  }
}
