import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Leave {
  readonly do: 'leave';
}

interface Failed {
  readonly event: 'failed';
  readonly why: string;
}

/** How a process is started and spoken to. */
export interface ProcessInit<Command> {
  readonly name: string;
  /** What it writes to stderr is kept here. */
  readonly folder: string;
  /** @param stderr a file descriptor */
  readonly start: (stderr: number) => ChildProcess;
  readonly send: (child: ChildProcess, command: Command | Leave) => void;
  /** It is given so long to leave. ms */
  readonly patienceMs: number;
}

/** A process that a bench started and speaks with: commands to it, events from it, one of which may be that it failed. */
export class BenchProcess<Command extends { readonly do: string }, Event extends { readonly event: string }> {
  readonly name: string;
  protected readonly child: ChildProcess;
  readonly #init: ProcessInit<Command>;
  readonly #log: string;
  readonly #exited: Promise<void>;
  readonly #waiting = new Map<string, PromiseWithResolvers<Event>>();
  readonly #told = new Map<string, Event>();
  #failure: Error | undefined;
  #isLeaving = false;

  constructor(init: ProcessInit<Command>) {
    this.#init = init;
    this.name = init.name;
    this.#log = join(init.folder, 'stderr.log');
    const log = openSync(this.#log, 'w');
    this.child = init.start(log);
    closeSync(log);
    this.#exited = new Promise((resolve) => this.child.once('exit', () => resolve()));
    this.child.once('error', (error) => this.#fail(`could not be started: ${error.message}`));
    this.child.once('exit', (code, signal) => {
      if (!this.#isLeaving) this.#fail(`ended by itself (${signal ?? `exit code ${code}`})`);
    });
  }

  /** The next event of a kind, or the last one that nobody asked for. Rejects when the process fails. */
  async next<K extends Event['event']>(kind: K): Promise<Extract<Event, { readonly event: K }>> {
    const told = this.#told.get(kind);
    this.#told.delete(kind);
    if (told !== undefined) return told as Extract<Event, { readonly event: K }>;
    if (this.#failure !== undefined) throw this.#failure;
    const waiting = this.#waiting.get(kind) ?? Promise.withResolvers<Event>();
    this.#waiting.set(kind, waiting);
    return (await waiting.promise) as Extract<Event, { readonly event: K }>;
  }

  tell(command: Command | Leave): void {
    if (command.do === 'leave') this.#isLeaving = true;
    this.#init.send(this.child, command);
  }

  /** Ends it, the hard way if need be. */
  async stop(): Promise<void> {
    this.tell({ do: 'leave' });
    const kill = setTimeout(() => this.child.kill('SIGKILL'), this.#init.patienceMs);
    if (this.child.exitCode === null && this.child.signalCode === null && this.child.pid !== undefined)
      await this.#exited;
    clearTimeout(kill);
  }

  /** It said something. */
  protected hear(event: Event | Failed): void {
    if (event.event === 'failed') {
      this.#fail((event as Failed).why);
      return;
    }
    const waiting = this.#waiting.get(event.event);
    this.#waiting.delete(event.event);
    if (waiting === undefined) this.#told.set(event.event, event as Event);
    else waiting.resolve(event as Event);
  }

  #fail(why: string): void {
    const last = readFileSync(this.#log, 'utf8').trim().split('\n').slice(-10).join('\n');
    this.#failure ??= new Error(`${this.name}: ${why}${last === '' ? '' : `\n${last}`}`);
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
