import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Event, ValidatorConfig } from './contract.ts';

type EventOf<K extends Event['event']> = Extract<Event, { readonly event: K }>;

/** A validator in a process of its own. What it writes to stderr is kept in its folder. */
export class ValidatorProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<Event['event'], PromiseWithResolvers<Event>>();
  readonly #told = new Map<Event['event'], Event>();
  #failure: Error | undefined;
  #isLeaving = false;

  constructor(config: ValidatorConfig) {
    this.name = config.name;
    this.#log = join(config.folder, 'stderr.log');
    const log = openSync(this.#log, 'w');
    this.#child = fork(join(import.meta.dirname, 'validator.ts'), [JSON.stringify(config)], {
      stdio: ['ignore', 'ignore', log, 'ipc'],
    });
    closeSync(log);
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.once('error', (error) => this.#fail(`could not be started: ${error.message}`));
    this.#child.once('exit', (code, signal) => {
      if (!this.#isLeaving) this.#fail(`ended by itself (${signal ?? `exit code ${code}`})`);
    });
    this.#child.on('message', (event: Event) => this.#hear(event));
  }

  /** The next event of a kind, or the last one that nobody asked for. Rejects when the process fails. */
  async next<K extends Event['event']>(kind: K): Promise<EventOf<K>> {
    const told = this.#told.get(kind);
    this.#told.delete(kind);
    if (told !== undefined) return told as EventOf<K>;
    if (this.#failure !== undefined) throw this.#failure;
    const waiting = this.#waiting.get(kind) ?? Promise.withResolvers<Event>();
    this.#waiting.set(kind, waiting);
    return (await waiting.promise) as EventOf<K>;
  }

  tell(command: Command): void {
    if (command.do === 'leave') this.#isLeaving = true;
    if (this.#child.connected) this.#child.send(command);
  }

  /** Ends it as a pod ends, the hard way if need be. */
  async stop(withinMs = 60_000): Promise<void> {
    this.tell({ do: 'leave' });
    const kill = setTimeout(() => this.#child.kill('SIGKILL'), withinMs);
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined)
      await this.#exited;
    clearTimeout(kill);
  }

  #hear(event: Event): void {
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
