import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { type Sample, samplesOf, sum } from './exposition.ts';
import { type MemoryLimit, memoryLimit } from './memory-limit.ts';

const root = join(import.meta.dirname, '..', '..');
const START_MS = 60_000;
const STOP_MS = 20_000;
/** What Linux counts CPU time in: USER_HZ, the same on every machine. ticks a second */
const TICKS = 100;

export interface OperatorInit {
  readonly url: string;
  /** Folder with token and certificate, as a kubelet mounts it. */
  readonly account: string;
  /** Its own namespace. */
  readonly system: string;
  readonly namespaces: readonly string[];
  /** For log and profiles. */
  readonly folder: string;
  readonly name: string;
}

/** What a pod is given: no kubeconfig, but the service account's folder and the API server's address. */
function environment(url: string, account: string, name: string): NodeJS.ProcessEnv {
  const { KUBECONFIG: _, ...env } = process.env;
  const { hostname, port } = new URL(url);
  return {
    ...env,
    NODE_ENV: 'production',
    POD_NAME: name,
    KUBERNETES_SERVICE_HOST: hostname,
    KUBERNETES_SERVICE_PORT: port,
    SERVICE_ACCOUNT_FOLDER: account,
  };
}

/** `murmur operator`, the built one, in a process of its own, as the chart runs it: also with its memory limit, where that can be had. */
export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  readonly #ended: Promise<void>;
  readonly #limit: MemoryLimit | undefined;
  #urls: { readonly metrics: string; readonly health: string } | undefined;
  /** ms on the monotonic clock. */
  readonly startedAt = performance.now();

  constructor({ url, account, system, namespaces, folder, name }: OperatorInit) {
    this.#logFile = join(folder, `${name}.log`);
    const log = openSync(this.#logFile, 'w');
    const profile = process.env.BENCH_PROFILE;
    // A profiler takes memory of its own.
    this.#limit = profile === undefined ? memoryLimit(name) : undefined;
    const command = [
      process.execPath,
      [
        ...(profile === undefined ? [] : profile.split(' ')),
        join(root, 'dist', 'cli', 'main.js'),
        'operator',
        `--namespace=${system}`,
        `--watch-namespaces=${namespaces.join(',')}`,
        '--leader-elect',
        '--metrics-address=127.0.0.1:0',
        '--health-address=127.0.0.1:0',
        '--image=murmuration:bench',
      ],
    ] as const;
    const [program, args] = this.#limit?.command(...command) ?? command;
    this.#child = spawn(program, args, { stdio: ['ignore', log, log], env: environment(url, account, name) });
    closeSync(log);
    this.#ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve())).then(() =>
      this.#limit?.remove(),
    );
  }

  /** Whether it has the memory limit of its pod. */
  get limited(): boolean {
    return this.#limit !== undefined;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Waits until all that it watches is listed. @throws Error with its last words when it ends first */
  async untilReady(): Promise<void> {
    await this.#until('is not ready', async () => {
      const { health } = await this.#addresses();
      const { statusCode, body } = await request(`${health}/readyz`);
      await body.dump();
      return statusCode === 200;
    });
  }

  async untilLeading(): Promise<void> {
    await this.#until('does not lead', async () => sum(await this.samples('leader_election_master_status')) === 1);
  }

  /** Waits until it leads, no key waits and none is worked on. */
  async untilIdle(everyMs = 50, withinMs = START_MS): Promise<void> {
    const busy = ['workqueue_depth', 'controller_runtime_active_workers'];
    await this.#until(
      'is not idle',
      async () => {
        const samples = await this.samples(...busy, 'leader_election_master_status');
        const leads = samples.some(({ name, value }) => name === 'leader_election_master_status' && value === 1);
        return leads && sum(samples.filter(({ name }) => busy.includes(name))) === 0;
      },
      everyMs,
      withinMs,
    );
  }

  async samples(...names: readonly string[]): Promise<readonly Sample[]> {
    const { metrics } = await this.#addresses();
    const { body } = await request(`${metrics}/metrics`);
    return samplesOf(await body.text(), ...names);
  }

  /** Resident memory now and at its most, MB (10^6 bytes). */
  async memory(): Promise<{ readonly now: number; readonly peak: number }> {
    const text = await readFile(`/proc/${this.pid}/status`, 'utf8');
    const kib = (field: string): number => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
    return { now: (kib('VmRSS') * 1024) / 1e6, peak: (kib('VmHWM') * 1024) / 1e6 };
  }

  /** CPU time used so far, of all its threads. s */
  async cpu(): Promise<number> {
    const text = await readFile(`/proc/${this.pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  }

  /** Requests that it has sent, by its own count; writes only where asked. */
  async requests(of: 'all' | 'writes' = 'all'): Promise<number> {
    const samples = await this.samples('rest_client_requests_total');
    return sum(samples.filter(({ labels }) => of === 'all' || labels.method !== 'GET'));
  }

  /** @returns ms on the monotonic clock at which the signal was sent */
  signal(signal: 'SIGTERM' | 'SIGKILL'): number {
    const at = performance.now();
    this.#child.kill(signal);
    return at;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.signal('SIGTERM');
    const kill = setTimeout(() => this.signal('SIGKILL'), STOP_MS);
    await this.#ended;
    clearTimeout(kill);
  }

  async #addresses(): Promise<{ readonly metrics: string; readonly health: string }> {
    if (this.#urls !== undefined) return this.#urls;
    const log = await readFile(this.#logFile, 'utf8');
    const line = log.split('\n').find((one) => one.includes('"the operator starts"'));
    if (line === undefined) throw new Error('it has not said where it serves');
    const { metrics, health } = JSON.parse(line) as { readonly metrics: string; readonly health: string };
    this.#urls = { metrics: `http://${metrics}`, health: `http://${health}` };
    return this.#urls;
  }

  async #until(what: string, check: () => Promise<boolean>, everyMs = 20, withinMs = START_MS): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      if (await check().catch(() => false)) return;
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        const log = await readFile(this.#logFile, 'utf8').catch(() => '');
        throw new Error(`the operator ${what}. Its last words:\n${log.split('\n').slice(-15).join('\n')}`);
      }
      await sleep(everyMs);
    }
  }
}
