import { type ChildProcess, fork } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Said } from '../apiserver/operator/overlay.ts';
import type { FromOperator, OperatorSettings, ToOperator } from './operator-messages.ts';

/** How an operator process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const MAIN = fileURLToPath(new URL('operator-main.ts', import.meta.url));

/**
 * An operator in a process of its own (src/operator, with a scripted overlay). It ends with its parent, however that
 * ends.
 */
export class OperatorProcess {
  /** Resolves when the process has ended. */
  readonly exited: Promise<Exit>;
  /** Resolves once its caches are complete and it leads or competes; rejects when it ends before. */
  readonly ready: Promise<this>;
  readonly #child: ChildProcess;
  #leading = false;
  #healthAddress = '';
  #metricsAddress = '';

  private constructor(settings: OperatorSettings) {
    this.#child = fork(MAIN, [JSON.stringify(settings)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Reports hold byte arrays.
      serialization: 'advanced',
      execArgv: [],
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'murmuration-compile-cache') },
    });
    const ended = Promise.withResolvers<Exit>();
    const ready = Promise.withResolvers<this>();
    this.exited = ended.promise;
    this.ready = ready.promise;
    // Whoever kills it before it is ready need not have waited for that.
    this.ready.catch(() => undefined);
    this.#child.once('error', (error) => ready.reject(error));
    this.#child.once('exit', (code, signal) => {
      this.#leading = false;
      ended.resolve({ code, signal });
      ready.reject(new Error(`the operator process ended with ${signal ?? code} before it was ready`));
    });
    this.#child.on('message', (message: FromOperator) => {
      if (message.is === 'leading') this.#leading = message.leading;
      else if (message.is === 'failed') ready.reject(new Error(`the operator did not start: ${message.why}`));
      else {
        this.#healthAddress = message.healthAddress;
        this.#metricsAddress = message.metricsAddress;
        ready.resolve(this);
      }
    });
  }

  /** Begins a process without waiting until it is {@link ready}. */
  static begin(settings: OperatorSettings): OperatorProcess {
    return new OperatorProcess(settings);
  }

  /**
   * Starts an operator and waits until it is ready.
   * @throws Error when it ends before that
   */
  static start(settings: OperatorSettings): Promise<OperatorProcess> {
    return OperatorProcess.begin(settings).ready;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether it writes: it leads, or nobody has to. */
  get leading(): boolean {
    return this.#leading;
  }

  /** `host:port` of /healthz and /readyz; empty until ready. */
  get healthAddress(): string {
    return this.#healthAddress;
  }

  /** `host:port` of /metrics; empty until ready. */
  get metricsAddress(): string {
    return this.#metricsAddress;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Sends the signal; SIGSTOP and SIGCONT make a pause of it. */
  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** Ends it as a rollout does, and waits for its end. */
  async stop(): Promise<Exit> {
    this.kill('SIGTERM');
    return this.exited;
  }

  /**
   * As if this validator had reported; heard where the charter in force names it.
   * @param network `namespace/network`; default: every network with such a validator
   */
  report(node: string, said: Said = {}, network?: string): void {
    if (!this.#child.connected) return;
    // A process that was killed a moment ago hears nothing any more, which is as it should be.
    this.#child.send({ node, said, network } satisfies ToOperator, () => undefined);
  }
}
