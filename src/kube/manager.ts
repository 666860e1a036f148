import type { Registry } from 'prom-client';
import { ApplyMemory, KindTable } from './apply.ts';
import { Caches } from './cache.ts';
import type { Client } from './client.ts';
import type { Controller } from './controller.ts';
import { Elector } from './elector.ts';
import { type EventRecorder, EventSeriesRecorder } from './events.ts';
import { type Fence, LeaseFence, open } from './fence.ts';
import { coreKinds, kindText } from './kinds.ts';
import { type Log, silent } from './log.ts';
import { type ControllerMeter, type RuntimeMetrics, runtimeMetrics } from './metrics.ts';
import type { KubeObject, ObjectKey } from './objects.ts';
import { Term } from './term.ts';
import { type Clock, type Random, systemClock, Turns } from './time.ts';

export interface ElectionOptions {
  readonly lease: ObjectKey;
  /** Default: the manager's identity. */
  readonly identity?: string | undefined;
  readonly leaseMs?: number | undefined;
  readonly renewMs?: number | undefined;
  readonly retryMs?: number | undefined;
  readonly lookMs?: number | undefined;
}

export interface ManagerInit {
  readonly client: Client;
  /** Owns the fields that controllers apply; also the prefix of the annotation `<fieldManager>/shape`. */
  readonly fieldManager: string;
  /** This process and no other, ever: the pod's name and a random part. Also the instance in events. */
  readonly identity: string;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly log?: Log | undefined;
  /** Where metrics go; a registry takes one manager. */
  readonly registry?: Registry | undefined;
  /** Default: this process leads at once and writes without a fence. */
  readonly election?: ElectionOptions | undefined;
  /** Namespaces watched. Default: all. */
  readonly namespaces?: readonly string[] | undefined;
  /** How long `stop` waits for reconciles under way. ms, default 15 000. */
  readonly graceMs?: number | undefined;
  /** Where a watch heard nothing or no one leads for so long, the process is not ready, and says why. ms, default 55 000. */
  readonly stuckMs?: number | undefined;
  /** Where that lasts so long, the process is not alive: it should be started anew. ms, default 3 min. */
  readonly deadMs?: number | undefined;
  readonly watchTimeoutSeconds?: number | undefined;
  readonly watchIdleMs?: number | undefined;
  /** How long a server that shows an older state than before is waited for. ms, default 60 000. */
  readonly watchBehindMs?: number | undefined;
}

/** Work that only the leader does, besides controllers. It ends when `signal` is aborted; a failure is logged, and it is not restarted in this term. */
export interface LeaderTask {
  readonly name: string;
  run(signal: AbortSignal): Promise<void>;
}

export interface Health {
  readonly ok: boolean;
  /** Why not; empty when ok. */
  readonly problems: readonly string[];
}

/**
 * Runs controllers: caches first, then (once they are complete and this process leads) the reconciles; ends in the reverse
 * order.
 *
 * Guarantees: no reconcile before every declared kind has been listed. While another process leads, the caches are kept
 * warm and nothing is written. Losing the lead stops writes before anyone else can gain it; this process then competes
 * again. `stop` lets reconciles end, writes the outstanding events, gives the lease back, then closes the watches.
 */
export class Manager {
  /** Fenced: it writes only while this process leads. What it writes is in the stores when the call returns. */
  readonly client: Client;
  readonly caches: Caches;
  readonly events: EventRecorder;
  readonly #init: ManagerInit;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #recorder: EventSeriesRecorder;
  readonly #metrics: RuntimeMetrics | undefined;
  readonly #kinds = new KindTable(coreKinds);
  readonly #memory = new ApplyMemory();
  readonly #controllers: Controller[] = [];
  readonly #meters = new Map<string, ControllerMeter>();
  readonly #tasks: LeaderTask[] = [];
  readonly #fence: LeaseFence | undefined;
  readonly #elector: Elector | undefined;
  #terms: readonly Term<KubeObject>[] = [];
  #leading = false;
  #started = false;
  readonly #stopLeading = new AbortController();
  readonly #stopCaches = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();
  #stopping: Promise<void> | undefined;

  constructor(init: ManagerInit) {
    this.#init = init;
    this.#clock = init.clock ?? systemClock;
    this.#random = init.random ?? Math.random;
    this.#log = init.log ?? silent;
    this.#metrics = init.registry === undefined ? undefined : runtimeMetrics(init.registry);
    const clock = this.#clock;
    const random = this.#random;
    const log = this.#log;
    const plain = init.client.with({ clock, random, log, meter: this.#metrics?.requests });
    this.caches = new Caches({
      client: plain,
      clock,
      random,
      log,
      namespaces: init.namespaces,
      timeoutSeconds: init.watchTimeoutSeconds,
      idleMs: init.watchIdleMs,
      behindMs: init.watchBehindMs,
      onRestart: (kind, why) => this.#metrics?.watchRestarted(kindText(kind), why),
    });
    this.#metrics?.storeSizes(() => this.caches.sizes());
    this.#fence = init.election === undefined ? undefined : new LeaseFence(clock);
    const fence: Fence = this.#fence ?? open;
    this.client = plain.with({ fence, onWritten: (written) => this.caches.learn(written) });
    this.#recorder = new EventSeriesRecorder({
      client: plain.with({ fence }),
      clock,
      random,
      log,
      controller: init.fieldManager,
      instance: init.identity,
    });
    this.events = this.#recorder;
    if (init.election !== undefined && this.#fence !== undefined) {
      const { lease, identity = init.identity, ...times } = init.election;
      this.#metrics?.leading(lease.name, false);
      this.#elector = new Elector({
        ...times,
        client: plain,
        fence: this.#fence,
        lease,
        identity,
        clock,
        random,
        log,
        lead: (signal) => this.#lead(signal),
        onChange: (leading) => this.#metrics?.leading(lease.name, leading),
      });
    }
  }

  /** Adds a controller. Before {@link start}. */
  add<T extends KubeObject>(controller: Controller<T>): this {
    if (this.#started) throw new TypeError(`controller ${controller.name} comes too late: the manager has started`);
    if (this.#controllers.some((other) => other.name === controller.name)) {
      throw new TypeError(`there is a controller "${controller.name}" already: give one of them another name`);
    }
    void controller.reconcile;
    for (const kind of controller.kinds) this.#kinds.add(kind);
    for (const trigger of controller.triggers) trigger.declare(this.caches);
    this.#controllers.push(controller as unknown as Controller);
    return this;
  }

  /** Adds work that only the leader does. Before {@link start}. */
  addTask(task: LeaderTask): this {
    if (this.#started) throw new TypeError(`task ${task.name} comes too late: the manager has started`);
    this.#tasks.push(task);
    return this;
  }

  /** Whether the controllers of this process run and may write. */
  get leading(): boolean {
    return this.#leading && (this.#fence ?? open).remainingMs() > 0;
  }

  /** The identity of who holds the lease, as last seen. */
  get leader(): string | undefined {
    return this.#elector === undefined ? this.#init.identity : this.#elector.holder;
  }

  /** Starts the watches; resolves once all kinds are listed and this process competes (or, without election, leads). */
  async start(): Promise<void> {
    if (this.#started) throw new TypeError('the manager has started already');
    this.#started = true;
    const watching = this.caches.run(this.#stopCaches.signal);
    this.#ended = watching;
    await this.caches.whenSynced(this.#stopLeading.signal);
    this.#log.info({ objects: Object.fromEntries(this.caches.sizes()) }, 'caches are complete');
    const leading =
      this.#elector === undefined ? this.#lead(this.#stopLeading.signal) : this.#elector.run(this.#stopLeading.signal);
    this.#ended = leading;
  }

  /** Ends in order. Idempotent; resolves when nothing of this manager runs any more. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#stopLeading.abort(new Error('the manager is stopping'));
      const stopCaches = () => this.#stopCaches.abort(new Error('the manager is stopping'));
      if (!this.caches.hasSynced) stopCaches();
      await this.#ended;
      stopCaches();
    })();
    return this.#stopping;
  }

  /** `/healthz`: the server has spoken to every watch, and someone has led, not too long ago. Not ok means: restart me. */
  healthz(): Health {
    return health(this.#started ? this.#stuck(this.#init.deadMs ?? 180_000) : []);
  }

  /** `/readyz`: started, every kind listed, every watch alive, and someone leads. A stand-by is ready. */
  readyz(): Health {
    if (!this.#started) return health(['not started']);
    if (this.#stopping !== undefined) return health(['stopping']);
    return health([...this.caches.unsynced(), ...this.#stuck(this.#init.stuckMs ?? 55_000)]);
  }

  /** What has stood still for longer than `ms`. */
  #stuck(ms: number): readonly string[] {
    const leaderless = this.#elector?.leaderless(ms);
    return [...this.caches.stuck(ms), ...(leaderless === undefined ? [] : [leaderless])];
  }

  /** One term: runs until the signal is aborted and everything has ended. */
  async #lead(signal: AbortSignal): Promise<void> {
    const { fieldManager, graceMs = 15_000 } = this.#init;
    const turns = new Turns(this.#clock);
    const terms = this.#controllers.map(
      (controller) =>
        new Term(controller, {
          client: this.client,
          caches: this.caches,
          kinds: this.#kinds,
          memory: this.#memory,
          events: this.events,
          fieldManager,
          clock: this.#clock,
          random: this.#random,
          log: this.#log,
          turns,
          meter: this.#meterOf(controller),
        }),
    );
    this.#terms = terms;
    this.#leading = true;
    for (const term of terms) term.start();
    const tasks = this.#tasks.map((task) =>
      Promise.resolve()
        .then(() => task.run(signal))
        .catch((err: unknown) => this.#log.error({ err, task: task.name }, 'a task of the leader failed')),
    );
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    }
    // Who lost the lease cannot write: nothing to wait for.
    const lost = this.#fence !== undefined && this.#fence.remainingMs() <= 0;
    await Promise.all([...terms.map((term) => term.stop(lost ? 0 : graceMs)), ...tasks]);
    this.#leading = false;
    if (this.#stopLeading.signal.aborted) await this.#recorder.stop();
  }

  #meterOf(controller: Controller): ControllerMeter | undefined {
    if (this.#metrics === undefined) return undefined;
    const present = this.#meters.get(controller.name);
    if (present !== undefined) return present;
    const nothing = { longest: 0, total: 0 };
    const at = this.#controllers.indexOf(controller);
    const meter = this.#metrics.controller(
      controller.name,
      controller.concurrency,
      () => this.#terms[at]?.queue.unfinished() ?? nothing,
    );
    this.#meters.set(controller.name, meter);
    return meter;
  }
}

function health(problems: readonly string[]): Health {
  return { ok: problems.length === 0, problems };
}
