import { Applier, type ApplyMemory, type KindTable } from './apply.ts';
import type { Caches } from './cache.ts';
import type { Client } from './client.ts';
import type { Controller, ReconcileContext } from './controller.ts';
import { mergePatchOf } from './difference.ts';
import { Conflict, FencedOff, messageOf } from './errors.ts';
import type { EventRecorder } from './events.ts';
import type { Log } from './log.ts';
import type { ControllerMeter, Outcome } from './metrics.ts';
import { type Existing, type KubeObject, keyOf, keyText, parseKey } from './objects.ts';
import { WorkQueue } from './queue.ts';
import { type Clock, deadline, type Random, type Turns } from './time.ts';

/** The longest that a key waits after the server said Conflict, before its jitter. ms */
const CONFLICT_MAX_MS = 1_000;

export interface TermInit {
  readonly client: Client;
  readonly caches: Caches;
  readonly kinds: KindTable;
  readonly memory: ApplyMemory;
  readonly events: EventRecorder;
  readonly fieldManager: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Shared by all that work in this process. */
  readonly turns: Turns;
  readonly meter?: ControllerMeter | undefined;
}

/** One controller at work, from gaining the lead to losing it: a queue, and workers that empty it. */
export class Term<T extends KubeObject> {
  readonly queue: WorkQueue;
  readonly #controller: Controller<T>;
  readonly #init: TermInit;
  readonly #log: Log;
  readonly #kill = new AbortController();
  #unsubscribe: readonly (() => void)[] = [];
  #workers: readonly Promise<void>[] = [];
  #active = 0;

  constructor(controller: Controller<T>, init: TermInit) {
    this.#controller = controller;
    this.#init = init;
    this.#log = init.log.child({ controller: controller.name });
    this.queue = new WorkQueue({ clock: init.clock, random: init.random, meter: init.meter?.queue });
  }

  /**
   * Looks at every object once, and from now on at what changes. What somebody waits for goes first: while nobody led, nobody
   * answered.
   */
  start(): void {
    const { caches } = this.#init;
    const controller = this.#controller;
    const enqueue = (key: { namespace: string; name: string }, options = {}) => this.queue.add(keyText(key), options);
    this.#unsubscribe = controller.triggers.map((trigger) => trigger.subscribe(caches, enqueue, this.#log));
    for (const object of caches.of(controller.kind, controller.selector).list()) {
      this.queue.add(keyText(keyOf(object)), { priority: isAnswered(object) ? 'low' : 'high' });
    }
    this.#workers = Array.from({ length: controller.concurrency }, () => this.#work());
  }

  /** Takes no more keys and waits for what is under way; cuts it off after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    for (const stop of this.#unsubscribe) stop();
    this.queue.stop();
    const reason = () => new Error('the controller is stopping');
    const cancel = this.#init.clock.after(graceMs, () => this.#kill.abort(reason()));
    if (graceMs <= 0) this.#kill.abort(reason());
    await Promise.all(this.#workers);
    cancel();
  }

  async #work(): Promise<void> {
    for (let key = await this.#next(); key !== undefined; key = await this.#next()) {
      this.#init.meter?.active(++this.#active);
      try {
        await this.#reconcile(key);
      } finally {
        this.queue.done(key);
        this.#init.meter?.active(--this.#active);
      }
    }
  }

  async #next(): Promise<string | undefined> {
    await this.#init.turns.pause();
    return this.queue.take();
  }

  async #reconcile(text: string): Promise<void> {
    const { clock, meter } = this.#init;
    const { timeoutMs, reconcile, onError } = this.#controller;
    const started = clock.monotonic();
    let outcome: Outcome = 'success';
    const limit = deadline(clock, [this.#kill.signal], timeoutMs, () => {
      meter?.timedOut();
      return new Error(`the reconcile took longer than its ${timeoutMs} ms`);
    });
    const context = this.#context(text, limit.signal);
    try {
      const result = await reconcile(context);
      // Ended, but too late to count: what it did after the limit was cut off.
      limit.signal.throwIfAborted();
      this.queue.forget(text);
      if (result?.requeueAfterMs !== undefined) {
        outcome = 'requeue_after';
        this.queue.add(text, { afterMs: result.requeueAfterMs, priority: 'low' });
      }
    } catch (error) {
      outcome = 'error';
      const delayMs = Math.round(this.queue.retry(text, 'low', mostOf(error)));
      this.#report(context.log, error, delayMs);
      try {
        onError?.(error, context);
      } catch (err) {
        context.log.error({ err }, 'onError itself failed');
      }
    } finally {
      limit.done();
      meter?.reconciled(outcome, (clock.monotonic() - started) / 1000);
    }
  }

  /** What happens in the normal course of things (a newer version, a lost lead) is not an error to a person. */
  #report(log: Log, error: unknown, delayMs: number): void {
    const fields = { err: error instanceof Error ? error : messageOf(error), delayMs };
    if (error instanceof Conflict || error instanceof FencedOff || this.#kill.signal.aborted) {
      log.debug(fields, 'reconcile interrupted, will be retried');
    } else {
      log.error(fields, 'reconcile failed, will be retried');
    }
  }

  #context(text: string, signal: AbortSignal): ReconcileContext {
    const { caches, kinds, memory, events, fieldManager } = this.#init;
    const key = parseKey(text);
    const log = this.#log.child({ key: text });
    const client = this.#init.client.with({ signal });
    const applier = new Applier({ client, stores: caches, kinds, fieldManager, log, memory });
    return {
      key,
      client,
      stores: caches,
      signal,
      log,
      events,
      failures: this.queue.failures(text),
      apply: (desired, options) => applier.apply(desired, options),
      async setStatus<O extends KubeObject>(object: Existing<O>, status: unknown): Promise<Existing<O>> {
        const patch = mergePatchOf((object as { readonly status?: unknown }).status ?? {}, status);
        if (patch === undefined) return object;
        const { resourceVersion } = object.metadata;
        return client.patchStatus(kinds.of<O>(object), keyOf(object), patch, { resourceVersion, fieldManager });
      },
    };
  }
}

/**
 * The server answers Conflict to who was overtaken, not to who is wrong or too many: a key of many writes, each of which
 * may be overtaken, must not wait as one that fails for good.
 */
const mostOf = (error: unknown): number | undefined =>
  error instanceof Conflict && error.code === 409 ? CONFLICT_MAX_MS : undefined;

/** Whether nobody waits: no deletion is under way, and the status is about the present spec, by the convention of `observedGeneration`. */
function isAnswered({ metadata, status }: KubeObject & { readonly status?: unknown }): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  const { observedGeneration } = (status ?? {}) as { readonly observedGeneration?: unknown };
  return metadata.generation === undefined || metadata.generation === observedGeneration;
}
