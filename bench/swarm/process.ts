import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PeerCommand, PeerEvent } from './contract.ts';

type EventOf<K extends PeerEvent['event']> = Extract<PeerEvent, { readonly event: K }>;

/** A process of a swarm, spoken to as contract.ts says. What it writes to stderr is kept in its folder. */
export class PeerProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<PeerEvent['event'], PromiseWithResolvers<PeerEvent>>();
  readonly #told = new Map<PeerEvent['event'], PeerEvent>();
  #failure: Error | undefined;
  #isLeaving = false;

  constructor(name: string, command: readonly [string, readonly string[]], folder: string) {
    this.name = name;
    this.#log = join(folder, 'stderr.log');
    const log = openSync(this.#log, 'w');
    const [program, args] = command;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', log] });
    closeSync(log);
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.once('error', (error) => this.#fail(`could not be started: ${error.message}`));
    this.#child.once('exit', (code, signal) => {
      if (!this.#isLeaving) this.#fail(`ended by itself (${signal ?? `exit code ${code}`})`);
    });
    this.#child.stdin?.on('error', () => undefined); // its end is told above
    if (this.#child.stdout !== null)
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#hear(JSON.parse(line) as PeerEvent));
  }

  /** The next event of a kind, or the one that came since it was last asked for. Rejects when the process fails. */
  async next<K extends PeerEvent['event']>(kind: K): Promise<EventOf<K>> {
    const told = this.#told.get(kind);
    this.#told.delete(kind);
    if (told !== undefined) return told as EventOf<K>;
    if (this.#failure !== undefined) throw this.#failure;
    const waiting = this.#waiting.get(kind) ?? Promise.withResolvers<PeerEvent>();
    this.#waiting.set(kind, waiting);
    return (await waiting.promise) as EventOf<K>;
  }

  tell(command: PeerCommand): void {
    if (command.do === 'leave') this.#isLeaving = true;
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** Ends it, the hard way if need be. */
  async stop(withinMs = 5000): Promise<void> {
    this.tell({ do: 'leave' });
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), withinMs);
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined)
      await this.#exited;
    clearTimeout(kill);
  }

  #hear(event: PeerEvent): void {
    if (event.event === 'failed') {
      this.#fail(event.why);
      return;
    }
    const waiting = this.#waiting.get(event.event);
    this.#waiting.delete(event.event);
    if (waiting === undefined) this.#told.set(event.event, event);
    else waiting.resolve(event);
  }

  #fail(why: string): void {
    const last = readFileSync(this.#log, 'utf8').trim().split('\n').slice(-10).join('\n');
    this.#failure ??= new Error(`${this.name}: ${why}${last === '' ? '' : `\n${last}`}`);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
