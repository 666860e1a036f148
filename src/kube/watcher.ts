import type { RawWatchEvent } from './calls.ts';
import type { Client } from './client.ts';
import { BadRequest, errorFor, Gone, Invalid, KubeError, messageOf, type StatusBody } from './errors.ts';
import { apiVersionOf, type Kind, kindText } from './kinds.ts';
import type { Log } from './log.ts';
import { compareVersions, type Existing, type KubeObject, type Selector } from './objects.ts';
import type { Feed } from './store.ts';
import { Backoff, type Clock, type Random, sleep } from './time.ts';

/** Where a watcher stands. Each step of `run` turns one state into the next. */
export type WatcherState<T extends KubeObject> =
  /** Nothing is known, or what is known is too old to go on from. Next: a streamed or a paged list. */
  | { readonly state: 'empty' }
  /** Pages of a list are being read. A failure keeps those read; 410 starts over. */
  | { readonly state: 'listing'; readonly objects: readonly Existing<T>[]; readonly continue: string }
  /** A list has been handed on; changes since `resourceVersion` have not been asked for yet. Also after a broken watch. */
  | { readonly state: 'listed'; readonly resourceVersion: string }
  /** A watch is open which first sends what exists (watch-list): collected, not handed on, until the server says it is all. */
  | { readonly state: 'streaming'; readonly events: Events; readonly objects: readonly Existing<T>[] }
  /** Changes are coming in; `resourceVersion` is the newest one handed on. */
  | { readonly state: 'watching'; readonly events: Events; readonly resourceVersion: string };

/** A watch that ends sooner than this without a word is a fault, not the end of its time. ms */
const AT_ONCE_MS = 2_000;
/** A watch that was open for so long has worked: what ends it is the first failure of a new series. ms */
const WORKED_MS = 5_000;

type Events = AsyncIterator<readonly RawWatchEvent[]>;

export interface WatcherInit<T extends KubeObject> {
  readonly client: Client;
  readonly kind: Kind<T>;
  /** Empty for all namespaces. */
  readonly namespace: string;
  readonly selector?: Selector | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What is kept of an object: a list of thousands does not stand in memory whole before it is handed on. Default: all. */
  readonly trim?: ((object: Existing<T>) => Existing<T>) | undefined;
  /** Takes the news, in order. */
  readonly onNews: (news: Feed<T>) => void;
  readonly onRestart?: ((why: 'list' | 'resume') => void) | undefined;
  /**
   * The server ends a watch after this, with a bookmark just before where there is news to mark. s, default 40, plus up to
   * a tenth: a connection that has silently died is found out by the end that does not come, and asking anew costs next to
   * nothing.
   */
  readonly timeoutSeconds?: number | undefined;
  /** A watch with no byte for so long is dead. ms, default 50 000: more than any watch that lives is silent. */
  readonly idleMs?: number | undefined;
  /**
   * A server that shows an older state than was seen before is waited for so long, since it lags behind; then it is
   * believed, since its data were set back (a restored backup). ms, default 60 000.
   */
  readonly behindMs?: number | undefined;
}

/**
 * Follows one kind for ever.
 *
 * Guarantees: every change is handed on in order, or a later 'replaced' contains its outcome. It survives resets, silence,
 * streams cut inside an event, ERROR events, 410, 429 and refused connections: it goes on from the last version it handed
 * on, or lists anew when that is too old. It never goes back in time: events that were handed on are not handed on again,
 * and a list older than what was handed on is refused for `behindMs`. It ends only by its signal.
 *
 * Caveats: changes in between may be merged (level, not edge): of three quick updates one may be seen. A server that was
 * set back, and has counted on beyond what was seen before anyone looked, cannot be told from one that was not: after a
 * restore start anew, or restore with a raised revision.
 */
export class Watcher<T extends KubeObject> {
  readonly #init: WatcherInit<T>;
  readonly #backoff: Backoff;
  #state: WatcherState<T> = { state: 'empty' };
  /** Whether the server can send the list on the watch; found out at the first try. */
  #streamingServed = true;
  /** Whether the open watch has said nothing so far. */
  #silent = false;
  #openedAt = 0;
  #heard: number;
  /** The newest version that the server has shown. */
  #newest = '';
  /** Since when the server shows older states than that; undefined while it does not. */
  #behindSince: number | undefined;
  /** Who answers now may not be who answered before, or may have lost what it had: where it stands is looked at first. */
  #doubtful = false;
  #problem: string | undefined;

  constructor(init: WatcherInit<T>) {
    this.#init = init;
    this.#heard = init.clock.monotonic();
    this.#backoff = new Backoff({
      clock: init.clock,
      random: init.random,
      baseMs: 800,
      maxMs: 30_000,
      resetAfterMs: 120_000,
    });
  }

  get state(): WatcherState<T>['state'] {
    return this.#state.state;
  }

  /** When the server last sent anything that made sense; ms on the monotonic clock. Health reads it. */
  get heard(): number {
    return this.#heard;
  }

  /** Why it makes no progress now, if so. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Runs until the signal is aborted; then resolves. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, kind, namespace } = this.#init;
    while (!signal.aborted) {
      try {
        this.#state = await this.#step(this.#state, signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#doubtful = true;
        const from = this.#state.state;
        if (from === 'watching' && clock.monotonic() - this.#openedAt > WORKED_MS) this.#backoff.forget();
        this.#state = await this.#recovered(this.#state, error);
        this.#problem = messageOf(error);
        const delayMs = Math.max(this.#backoff.next(), (error as Partial<KubeError>).retryAfterMs ?? 0);
        log.warn(
          {
            kind: kindText(kind),
            namespace,
            from,
            to: this.#state.state,
            delayMs: Math.round(delayMs),
            err: messageOf(error),
          },
          'watch interrupted, going on after a delay',
        );
        await sleep(clock, delayMs, signal).catch(() => undefined);
      }
    }
    await this.#close(this.#state);
  }

  async #step(state: WatcherState<T>, signal: AbortSignal): Promise<WatcherState<T>> {
    switch (state.state) {
      case 'empty':
        this.#init.onRestart?.('list');
        return this.#streamingServed
          ? { state: 'streaming', events: await this.#open({ sendInitialEvents: true }, signal), objects: [] }
          : { state: 'listing', objects: [], continue: '' };
      case 'listing':
        return this.#page(state, signal);
      case 'listed': {
        const { resourceVersion } = state;
        // A server that stands before our version would accept the watch, and keep from us what happens until it is there.
        if (this.#doubtful && this.#isSetBack(await this.#position(signal))) return { state: 'empty' };
        this.#doubtful = false;
        const events = await this.#open({ resourceVersion }, signal);
        this.#init.onRestart?.('resume');
        return { state: 'watching', events, resourceVersion };
      }
      case 'streaming':
        return this.#collect(state);
      case 'watching':
        return this.#follow(state);
    }
  }

  /** Where to go on after a failure: as near as what is known allows. */
  async #recovered(state: WatcherState<T>, error: unknown): Promise<WatcherState<T>> {
    await this.#close(state);
    if (state.state === 'empty' && (error instanceof Invalid || error instanceof BadRequest) && this.#streamingServed) {
      this.#streamingServed = false;
      return { state: 'empty' };
    }
    if (error instanceof Gone || fromTheFuture(error) || this.#behindSince !== undefined) return { state: 'empty' };
    switch (state.state) {
      case 'empty':
      case 'streaming':
        return { state: 'empty' };
      case 'listing':
      case 'listed':
        return state;
      case 'watching':
        return { state: 'listed', resourceVersion: state.resourceVersion };
    }
  }

  async #close(state: WatcherState<T>): Promise<void> {
    if (state.state !== 'streaming' && state.state !== 'watching') return;
    try {
      await state.events.return?.();
    } catch (error) {
      this.#init.log.debug({ err: messageOf(error) }, 'closing a broken watch');
    }
  }

  async #open(
    from: { readonly sendInitialEvents: true } | { readonly resourceVersion: string },
    signal: AbortSignal,
  ): Promise<Events> {
    const { client, kind, namespace, selector, random, timeoutSeconds = 40, idleMs = 50_000 } = this.#init;
    const stream = await client.watch(kind, {
      namespace: namespace === '' ? undefined : namespace,
      selector,
      timeoutSeconds: Math.round(timeoutSeconds * (1 + 0.1 * random())),
      idleMs,
      signal,
      ...from,
    });
    // That it opens is good news, but not from who opened the last watch as well and then said nothing, or lags behind.
    if (!this.#silent && this.#behindSince === undefined) this.#progressed();
    this.#silent = true;
    this.#openedAt = this.#init.clock.monotonic();
    return stream[Symbol.asyncIterator]();
  }

  async #page(state: WatcherState<T> & { state: 'listing' }, signal: AbortSignal): Promise<WatcherState<T>> {
    const { client, kind, namespace, selector } = this.#init;
    const page = await client.page(
      kind,
      { namespace: namespace === '' ? undefined : namespace, selector, signal },
      state.continue,
    );
    this.#isSetBack(page.resourceVersion);
    this.#silent = false;
    this.#progressed();
    const objects = [...state.objects, ...page.items.map((object) => this.#trimmed(object))];
    if (page.continue !== '') return { state: 'listing', objects, continue: page.continue };
    this.#replaced(objects, page.resourceVersion);
    return { state: 'listed', resourceVersion: page.resourceVersion };
  }

  async #collect(state: WatcherState<T> & { state: 'streaming' }): Promise<WatcherState<T>> {
    const { events } = state;
    const objects = [...state.objects];
    for (;;) {
      const next = await events.next();
      if (next.done === true) {
        throw errorFor({
          attempt: this.#attempt(),
          code: 504,
          status: { message: 'the watch ended before its list was complete' },
        });
      }
      this.#silent = false;
      if (this.#behindSince === undefined) this.#progressed();
      for (const [at, event] of next.value.entries()) {
        if (event.type === 'ERROR') throw this.#errorOf(event);
        const object = this.#object(event);
        if (event.type !== 'BOOKMARK') {
          objects.push(this.#trimmed(object));
        } else if (object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true') {
          const { resourceVersion } = object.metadata;
          this.#isSetBack(resourceVersion);
          this.#progressed();
          this.#replaced(objects, resourceVersion);
          return this.#hand(next.value.slice(at + 1), { state: 'watching', events, resourceVersion });
        }
      }
    }
  }

  async #follow(state: WatcherState<T> & { state: 'watching' }): Promise<WatcherState<T>> {
    const { events, resourceVersion } = state;
    const next = await events.next();
    if (next.done === true) {
      if (this.#silent) {
        // There was no news, or the server was set back.
        this.#doubtful = true;
        if (this.#init.clock.monotonic() - this.#openedAt < AT_ONCE_MS) {
          throw errorFor({
            attempt: this.#attempt(),
            code: 504,
            status: { message: 'the server accepted the watch and ended it at once, without a word' },
          });
        }
        this.#silent = false;
        this.#progressed();
      }
      return { state: 'listed', resourceVersion };
    }
    this.#silent = false;
    this.#progressed();
    return this.#hand(next.value, state);
  }

  /** Where the server stands. */
  async #position(signal: AbortSignal): Promise<string> {
    const { client, kind, namespace, selector } = this.#init;
    const options = { namespace: namespace === '' ? undefined : namespace, selector, limit: 1 };
    return (await client.page(kind, { ...options, signal, deadlineMs: 15_000 })).resourceVersion;
  }

  /**
   * Whether the server's data were set back to an older state for good.
   * @throws ServerTimeout while it may only lag behind, as one of several servers does after a fail-over
   */
  #isSetBack(resourceVersion: string): boolean {
    const { clock, log, kind, behindMs = 60_000 } = this.#init;
    if (compareVersions(resourceVersion, this.#newest) >= 0) {
      this.#behindSince = undefined;
      this.#newest = resourceVersion;
      return false;
    }
    this.#behindSince ??= clock.monotonic();
    const behind = `the server is at version ${resourceVersion}, older than ${this.#newest}, which it has shown before`;
    if (clock.monotonic() - this.#behindSince < behindMs) {
      throw errorFor({ attempt: this.#attempt(), code: 504, status: { message: `${behind}: it lags behind` } });
    }
    log.warn({ kind: kindText(kind) }, `${behind}, and stays there: its data were set back, so it is followed`);
    return true;
  }

  #replaced(objects: readonly Existing<T>[], resourceVersion: string): void {
    this.#newest = resourceVersion;
    this.#behindSince = undefined;
    this.#doubtful = false;
    this.#init.onNews({ type: 'replaced', objects, resourceVersion });
  }

  /** Hands on a batch and goes on from its last event; what came before a bad one counts. */
  #hand(batch: readonly RawWatchEvent[], from: WatcherState<T> & { state: 'watching' }): WatcherState<T> {
    const { onNews } = this.#init;
    let state = from;
    try {
      for (const event of batch) {
        if (event.type === 'ERROR') throw this.#errorOf(event);
        const object = this.#object(event);
        const { resourceVersion } = object.metadata;
        // The versions of a watch only grow: this was handed on before, and by now the object may be gone.
        if (compareVersions(resourceVersion, state.resourceVersion) <= 0) continue;
        if (event.type === 'BOOKMARK') onNews({ type: 'progressed', resourceVersion });
        else onNews({ type: event.type === 'DELETED' ? 'deleted' : 'applied', object });
        state = { ...state, resourceVersion };
      }
      return state;
    } finally {
      this.#state = state;
      if (compareVersions(state.resourceVersion, this.#newest) > 0) this.#newest = state.resourceVersion;
    }
  }

  #trimmed(object: Existing<T>): Existing<T> {
    return this.#init.trim?.(object) ?? object;
  }

  #object(event: RawWatchEvent): Existing<T> {
    const object = event.object as Partial<Existing<T>> | null | undefined;
    if (typeof object?.metadata?.resourceVersion !== 'string') {
      throw errorFor({
        attempt: this.#attempt(),
        code: 500,
        status: { message: `a ${String(event.type)} event without a resourceVersion` },
      });
    }
    if (object.kind !== undefined) return object as Existing<T>;
    return { ...object, apiVersion: apiVersionOf(this.#init.kind), kind: this.#init.kind.kind } as Existing<T>;
  }

  #errorOf(event: RawWatchEvent): KubeError {
    const status = event.object as StatusBody;
    const seconds = status.details?.retryAfterSeconds;
    return errorFor({
      attempt: this.#attempt(),
      code: status.code ?? 500,
      status,
      retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
    });
  }

  #progressed(): void {
    this.#heard = this.#init.clock.monotonic();
    this.#problem = undefined;
  }

  #attempt(): string {
    return `watch ${this.#init.kind.plural}`;
  }
}

/** The server's state was set back (a restored backup): our version does not exist there yet. */
function fromTheFuture(error: unknown): boolean {
  return (
    error instanceof KubeError &&
    (error.status?.details?.causes?.some((cause) => cause.reason === 'ResourceVersionTooLarge') ?? false)
  );
}
