import type { KubeConfig } from '@kubernetes/client-node';
import {
  BadAnswer,
  ConnectionFailed,
  DeadlineExceeded,
  errorFor,
  FencedOff,
  Gone,
  KubeError,
  messageOf,
  NotFound,
  type StatusBody,
} from './errors.ts';
import { type Fence, open } from './fence.ts';
import { type AnyKind, apiVersionOf, type Kind } from './kinds.ts';
import { jsonLines, readAll } from './lines.ts';
import { type Log, silent } from './log.ts';
import { type Existing, type KubeObject, keyOf, keyText, type ObjectKey, type Selector } from './objects.ts';
import { collectionPath, objectPath, query, selectorQuery } from './paths.ts';
import { type Clock, deadline, type Random, sleep, systemClock } from './time.ts';
import { HttpTransport, type Transport, type TransportAnswer, type TransportRequest } from './transport.ts';

/** What every call takes. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** The whole call, retries included. ms; default 30 000 (a page of a list: 60 000). */
  readonly deadlineMs?: number | undefined;
}

export interface ListOptions extends CallOptions {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly selector?: Selector | undefined;
  /** Objects a page. Default 500. */
  readonly limit?: number | undefined;
}

export interface Page<T extends KubeObject> {
  readonly items: readonly Existing<T>[];
  /** The state of the whole list, the same on every page. */
  readonly resourceVersion: string;
  /** Token of the next page; empty on the last. */
  readonly continue: string;
}

export interface ApplyOptions extends CallOptions {
  /** Who owns the fields. */
  readonly fieldManager: string;
  /** Take fields over from other managers instead of failing with Conflict. Default true. */
  readonly force?: boolean | undefined;
}

export interface PatchOptions extends CallOptions {
  /** `merge` (RFC 7386, default), `json` (RFC 6902) or `strategic` (built-in kinds only). */
  readonly type?: 'merge' | 'json' | 'strategic' | undefined;
  readonly subresource?: string | undefined;
  readonly fieldManager?: string | undefined;
  /** Optimistic lock (merge only): Conflict when the object is not of this version. */
  readonly resourceVersion?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  /** Conflict when the object has another uid: never delete a namesake. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** Default `Background`. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly gracePeriodSeconds?: number | undefined;
}

export interface WatchOptions {
  readonly namespace?: string | undefined;
  readonly selector?: Selector | undefined;
  readonly resourceVersion?: string | undefined;
  readonly sendInitialEvents?: boolean | undefined;
  /** After which the server ends the watch by itself. */
  readonly timeoutSeconds: number;
  /** The stream is given up when nothing came for so long (half-open connection). ms */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** A line of a watch. `object` is a Status for ERROR, and has only a resourceVersion for BOOKMARK. */
export interface RawWatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: unknown;
}

/** What a write did, told to whoever keeps a picture of the cluster. */
export type Written =
  | { readonly type: 'stored'; readonly kind: AnyKind; readonly object: Existing<KubeObject> }
  | { readonly type: 'removed'; readonly kind: AnyKind; readonly key: ObjectKey; readonly uid: string };

/** Where the client counts its requests. */
export interface RequestMeter {
  answered(request: {
    readonly method: string;
    readonly host: string;
    readonly code: string;
    readonly seconds: number;
  }): void;
}

export interface ClientInit {
  readonly transport: Transport;
  readonly clock?: Clock | undefined;
  readonly random?: Random | undefined;
  readonly log?: Log | undefined;
  readonly userAgent?: string | undefined;
  readonly meter?: RequestMeter | undefined;
  /** Writes only while it is open. Default: always. */
  readonly fence?: Fence | undefined;
  /** Called after each successful write, before the call returns. */
  readonly onWritten?: ((written: Written) => void) | undefined;
  /** Ends every call. */
  readonly signal?: AbortSignal | undefined;
  /** Tries of one call, the first included. Default 5. */
  readonly attempts?: number | undefined;
  /** Longest answer to a short request. bytes, default 256 MiB. */
  readonly maxAnswerBytes?: number | undefined;
  /** Longest line of a watch: one object. bytes, default 16 MiB. */
  readonly maxEventBytes?: number | undefined;
}

interface Call extends CallOptions {
  readonly attempt: string;
  readonly method: TransportRequest['method'];
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string | undefined;
  /** Doing it twice does the same as doing it once: retried also when it may have happened. */
  readonly idempotent: boolean;
}

const mergePatch = 'application/merge-patch+json';
const patchTypes = {
  merge: mergePatch,
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
} as const;

/**
 * The API server of one cluster, by kind. Raw JSON in and out: no field is dropped or converted.
 *
 * Guarantees: every call ends by its deadline or its signal. 429 and 503 are retried as the server asks (Retry-After),
 * whatever the verb. A broken connection, 500, 502 and 504 are retried only where doing it twice is harmless (reads,
 * apply, merge patch, delete). No write leaves after the fence closed.
 *
 * Caveat: a write that ends in ConnectionFailed, ServerTimeout or DeadlineExceeded may have happened.
 */
export class Client {
  readonly #init: ClientInit;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;

  constructor(init: ClientInit) {
    this.#init = init;
    this.#clock = init.clock ?? systemClock;
    this.#random = init.random ?? Math.random;
    this.#log = init.log ?? silent;
  }

  /** A client for the current context of a kubeconfig (or `loadFromDefault()` / `loadFromCluster()`). */
  static from(
    config: KubeConfig,
    init: Omit<ClientInit, 'transport'> & { readonly connections?: number } = {},
  ): Client {
    const clock = init.clock ?? systemClock;
    return new Client({ ...init, transport: new HttpTransport({ config, clock, connections: init.connections }) });
  }

  /** The same connections with other habits: a fence, a signal, a listener. */
  with(change: Partial<Omit<ClientInit, 'transport'>>): Client {
    return new Client({ ...this.#init, ...change });
  }

  /** Closes the connections, also those of clients made by {@link with}. */
  close(): Promise<void> {
    return this.#init.transport.close();
  }

  /** @throws NotFound */
  async get<T extends KubeObject>(kind: Kind<T>, key: ObjectKey, options: CallOptions = {}): Promise<Existing<T>> {
    const answer = await this.#call({
      ...options,
      attempt: `get ${kind.kind} ${keyText(key)}`,
      method: 'GET',
      path: objectPath(kind, key),
      idempotent: true,
    });
    return answer as Existing<T>;
  }

  /** As {@link get}, with `undefined` where there is none. */
  async find<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: CallOptions = {},
  ): Promise<Existing<T> | undefined> {
    try {
      return await this.get(kind, key, options);
    } catch (error) {
      if (error instanceof NotFound) return undefined;
      throw error;
    }
  }

  /** All objects, read page by page. Starts over once when the list grows too old while it is read. */
  async list<T extends KubeObject>(
    kind: Kind<T>,
    options: ListOptions = {},
  ): Promise<{ readonly items: readonly Existing<T>[]; readonly resourceVersion: string }> {
    for (let restarts = 0; ; restarts += 1) {
      const items: Existing<T>[] = [];
      try {
        let page = await this.page(kind, options);
        for (;;) {
          for (const item of page.items) items.push(item);
          if (page.continue === '') return { items, resourceVersion: page.resourceVersion };
          page = await this.page(kind, options, page.continue);
        }
      } catch (error) {
        if (!(error instanceof Gone) || restarts >= 2) throw error;
      }
    }
  }

  /** One page. @throws Gone when the token is too old. */
  async page<T extends KubeObject>(kind: Kind<T>, options: ListOptions = {}, token = ''): Promise<Page<T>> {
    const answer = (await this.#call({
      signal: options.signal,
      deadlineMs: options.deadlineMs ?? 60_000,
      attempt: `list ${kind.plural}${options.namespace === undefined ? '' : ` in ${options.namespace}`}`,
      method: 'GET',
      path:
        collectionPath(kind, options.namespace) +
        query({
          ...selectorQuery(options.selector),
          limit: options.limit ?? 500,
          continue: token === '' ? undefined : token,
        }),
      idempotent: true,
    })) as { items?: Existing<T>[]; metadata?: { resourceVersion?: string; continue?: string } };
    // Items of a list carry neither apiVersion nor kind for built-in kinds.
    const apiVersion = apiVersionOf(kind);
    const items = (answer.items ?? []).map((item) =>
      item.kind === undefined ? { ...item, apiVersion, kind: kind.kind } : item,
    );
    return {
      items,
      resourceVersion: answer.metadata?.resourceVersion ?? '',
      continue: answer.metadata?.continue ?? '',
    };
  }

  /** @throws AlreadyExists. Not retried when it may have happened: then look, or use {@link apply}. */
  async create<T extends KubeObject>(
    kind: Kind<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string } = {},
  ): Promise<Existing<T>> {
    const { fieldManager, ...rest } = options;
    return this.#write(kind, {
      ...rest,
      attempt: `create ${kind.kind} ${keyText(keyOf(object))}`,
      method: 'POST',
      path: collectionPath(kind, requiredNamespace(kind, object)) + query({ fieldManager }),
      body: object,
      idempotent: false,
    });
  }

  /** Replaces the object as a whole. @throws Conflict unless `metadata.resourceVersion` is the present one. */
  async replace<T extends KubeObject>(
    kind: Kind<T>,
    object: T,
    options: CallOptions & { readonly fieldManager?: string } = {},
  ): Promise<Existing<T>> {
    const { fieldManager, ...rest } = options;
    return this.#write(kind, {
      ...rest,
      attempt: `replace ${kind.kind} ${keyText(keyOf(object))}`,
      method: 'PUT',
      path: objectPath(kind, keyOf(object)) + query({ fieldManager }),
      body: object,
      idempotent: false,
    });
  }

  /** Server-side apply: creates the object, or makes the fields given ours and drops those we gave before. */
  apply<T extends KubeObject>(kind: Kind<T>, object: T, options: ApplyOptions): Promise<Existing<T>> {
    return this.#apply(kind, object, options);
  }

  /** Server-side apply on `/status`. The object must exist. */
  applyStatus<T extends KubeObject>(kind: Kind<T>, object: T, options: ApplyOptions): Promise<Existing<T>> {
    return this.#apply(kind, object, options, 'status');
  }

  #apply<T extends KubeObject>(
    kind: Kind<T>,
    object: T,
    options: ApplyOptions,
    subresource?: string,
  ): Promise<Existing<T>> {
    const { fieldManager, force = true, ...rest } = options;
    return this.#write(kind, {
      ...rest,
      attempt: `apply ${subresource === undefined ? '' : `${subresource} of `}${kind.kind} ${keyText(keyOf(object))}`,
      method: 'PATCH',
      path: objectPath(kind, keyOf(object), subresource) + query({ fieldManager, force }),
      body: { ...object, apiVersion: apiVersionOf(kind), kind: kind.kind },
      contentType: 'application/apply-patch+yaml',
      idempotent: true,
    });
  }

  /** @throws NotFound, Conflict */
  patch<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    patch: unknown,
    options: PatchOptions = {},
  ): Promise<Existing<T>> {
    const { type = 'merge', subresource, fieldManager, resourceVersion, ...rest } = options;
    let body = patch;
    if (resourceVersion !== undefined) {
      if (type !== 'merge') throw new TypeError('resourceVersion: only a merge patch can carry it');
      const given = (patch ?? {}) as { metadata?: object };
      body = { ...given, metadata: { ...given.metadata, resourceVersion } };
    }
    return this.#write(kind, {
      ...rest,
      attempt: `patch ${subresource === undefined ? '' : `${subresource} of `}${kind.kind} ${keyText(key)}`,
      method: 'PATCH',
      path: objectPath(kind, key, subresource) + query({ fieldManager }),
      body,
      contentType: patchTypes[type],
      // With a lock the second try of a patch that happened is a Conflict, which callers handle anyway.
      idempotent: type !== 'json',
    });
  }

  /** Merge patch on `/status`: `{ status: patch }`. */
  patchStatus<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    status: unknown,
    options: Omit<PatchOptions, 'type' | 'subresource'> = {},
  ): Promise<Existing<T>> {
    return this.patch(kind, key, { status }, { ...options, subresource: 'status' });
  }

  /**
   * Deletes the object. The object is returned while it is still there (finalizers, grace period), else `undefined`.
   * @throws NotFound, Conflict (precondition)
   */
  async delete<T extends KubeObject>(
    kind: Kind<T>,
    key: ObjectKey,
    options: DeleteOptions = {},
  ): Promise<Existing<T> | undefined> {
    const { uid, resourceVersion, propagation = 'Background', gracePeriodSeconds, ...rest } = options;
    const answer = (await this.#fenced({
      ...rest,
      attempt: `delete ${kind.kind} ${keyText(key)}`,
      method: 'DELETE',
      path: objectPath(kind, key),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: propagation,
        gracePeriodSeconds,
        preconditions: uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion },
      },
      idempotent: true,
    })) as { kind?: string; details?: { uid?: string } };
    if (answer.kind === 'Status') {
      const gone = answer.details?.uid ?? uid;
      if (gone !== undefined) this.#init.onWritten?.({ type: 'removed', kind, key, uid: gone });
      return undefined;
    }
    const object = answer as unknown as Existing<T>;
    if (object.metadata.deletionTimestamp === undefined) return undefined;
    this.#init.onWritten?.({ type: 'stored', kind, object });
    return object;
  }

  /** Sets `spec.replicas` through `/scale`. */
  async scale(kind: AnyKind, key: ObjectKey, replicas: number, options: CallOptions = {}): Promise<void> {
    await this.#fenced({
      ...options,
      attempt: `scale ${kind.kind} ${keyText(key)} to ${replicas}`,
      method: 'PATCH',
      path: objectPath(kind, key, 'scale'),
      body: { spec: { replicas } },
      contentType: mergePatch,
      idempotent: true,
    });
  }

  /** A JSON GET of any path, for example `/version`. */
  raw(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#call({ ...options, attempt: `get ${path}`, method: 'GET', path, idempotent: true });
  }

  /**
   * Opens a watch. Resolves once the server has accepted it; the iteration yields what has arrived together, ends when
   * the server ends the watch, and throws when the connection breaks, falls silent or the signal is aborted.
   */
  async watch(kind: AnyKind, options: WatchOptions): Promise<AsyncIterable<readonly RawWatchEvent[]>> {
    const attempt = `watch ${kind.plural}${options.namespace === undefined ? '' : ` in ${options.namespace}`}`;
    const silence = () =>
      new ConnectionFailed(
        { attempt, code: 0 },
        `nothing came for ${options.idleMs} ms, so the connection is taken for dead`,
      );
    const guard = deadline(this.#clock, [options.signal, this.#init.signal]);
    let cancelIdle = this.#clock.after(options.idleMs, () => guard.abort(silence()));
    const alive = () => {
      cancelIdle();
      cancelIdle = this.#clock.after(options.idleMs, () => guard.abort(silence()));
    };
    const finish = () => {
      cancelIdle();
      guard.done();
    };
    const path =
      collectionPath(kind, options.namespace) +
      query({
        ...selectorQuery(options.selector),
        watch: 1,
        allowWatchBookmarks: true,
        timeoutSeconds: options.timeoutSeconds,
        resourceVersion: options.resourceVersion,
        ...(options.sendInitialEvents === true
          ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
          : {}),
      });
    let answer: TransportAnswer;
    try {
      answer = await this.#send({ attempt, method: 'GET', path, idempotent: true }, guard.signal, true);
      if (answer.status >= 400) throw await this.#refusal(attempt, answer);
    } catch (error) {
      finish();
      throw guard.signal.aborted ? guard.signal.reason : error;
    }
    const lines = jsonLines(answer.body, this.#init.maxEventBytes ?? 16 * 2 ** 20);
    const generator = (async function* () {
      try {
        for await (const batch of lines) {
          alive();
          yield batch as RawWatchEvent[];
        }
      } catch (error) {
        if (guard.signal.aborted) throw guard.signal.reason;
        throw error instanceof KubeError
          ? error
          : new ConnectionFailed({ attempt, code: 0, cause: error }, messageOf(error));
      } finally {
        finish();
        guard.abort(new Error('the watch is no longer read'));
      }
    })();
    const close = async () => {
      // Also where no event was ever asked for: a generator that did not begin has no `finally`.
      finish();
      guard.abort(new Error('the watch is no longer read'));
      await generator.return(undefined).catch(() => undefined);
      return { done: true as const, value: undefined };
    };
    return { [Symbol.asyncIterator]: () => ({ next: () => generator.next(), return: close }) };
  }

  async #write<T extends KubeObject>(kind: Kind<T>, call: Call): Promise<Existing<T>> {
    const object = (await this.#fenced(call)) as Existing<T>;
    this.#init.onWritten?.({ type: 'stored', kind, object });
    return object;
  }

  /** A write: refused when the fence is closed, cut short when it closes. */
  #fenced(call: Call): Promise<unknown> {
    return this.#call(call, this.#init.fence ?? open);
  }

  async #call(call: Call, fence: Fence = open): Promise<unknown> {
    const { attempt } = call;
    const allowed = fence.remainingMs();
    if (allowed <= 0) {
      throw new FencedOff(
        { attempt, code: 0 },
        'not sent: this process does not lead now. It is tried again once it does',
      );
    }
    const asked = call.deadlineMs ?? 30_000;
    const ms = Math.min(asked, allowed);
    const guard = deadline(this.#clock, [call.signal, this.#init.signal], ms, () =>
      allowed < asked
        ? new FencedOff({ attempt, code: 0 }, 'cut off: the lease was not renewed in time. It may have happened')
        : new DeadlineExceeded({ attempt, code: 0 }, `no answer within ${ms} ms. It may have happened`),
    );
    try {
      for (let tries = 1; ; tries += 1) {
        try {
          return await this.#once(call, guard.signal);
        } catch (error) {
          if (guard.signal.aborted) throw guard.signal.reason;
          if (!(error instanceof KubeError) || tries >= (this.#init.attempts ?? 5) || !this.#mayRetry(call, error))
            throw error;
          const delay = error.retryAfterMs ?? Math.min(5000, 100 * 2 ** (tries - 1));
          this.#log.debug({ attempt, tries, delay, err: messageOf(error) }, 'request failed, trying again');
          await sleep(this.#clock, delay * (1 + 0.5 * this.#random()), guard.signal);
        }
      }
    } finally {
      guard.done();
    }
  }

  #mayRetry(call: Call, error: KubeError): boolean {
    switch (error.code) {
      case 429:
        return true;
      case 503:
        // Without Retry-After it may come from a proxy after the request went through.
        return call.idempotent || error.retryAfterMs !== undefined;
      case 401:
      case 0:
      case 500:
      case 502:
      case 504:
        return call.idempotent || error.code === 401;
      default:
        return false;
    }
  }

  async #once(call: Call, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#send(call, signal, false);
    if (answer.status >= 400) throw await this.#refusal(call.attempt, answer);
    const text = await this.#text(call.attempt, answer);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new BadAnswer(
        { attempt: call.attempt, code: answer.status, cause },
        `the answer is no JSON: ${text.slice(0, 200)}`,
      );
    }
  }

  async #send(call: Call, signal: AbortSignal, streaming: boolean): Promise<TransportAnswer> {
    const { transport, meter, userAgent } = this.#init;
    const started = this.#clock.monotonic();
    let code = '<error>';
    try {
      const answer = await transport.request({
        method: call.method,
        path: call.path,
        headers: {
          accept: 'application/json',
          'user-agent': userAgent ?? 'kube-runtime-ts',
          ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
        },
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        signal,
        streaming,
      });
      code = String(answer.status);
      return answer;
    } catch (cause) {
      if (signal.aborted || cause instanceof KubeError) throw cause;
      throw new ConnectionFailed(
        { attempt: call.attempt, code: 0, cause },
        `no answer from ${transport.host}: ${messageOf(cause)}`,
      );
    } finally {
      const seconds = (this.#clock.monotonic() - started) / 1000;
      meter?.answered({ method: call.method, host: transport.host, code, seconds });
    }
  }

  async #text(attempt: string, answer: TransportAnswer): Promise<string> {
    try {
      return await readAll(answer.body, this.#init.maxAnswerBytes ?? 256 * 2 ** 20);
    } catch (cause) {
      if (cause instanceof RangeError) throw new BadAnswer({ attempt, code: answer.status, cause }, cause.message);
      throw new ConnectionFailed({ attempt, code: 0, cause }, `the answer broke off: ${messageOf(cause)}`);
    }
  }

  async #refusal(attempt: string, answer: TransportAnswer): Promise<KubeError> {
    const text = await this.#text(attempt, answer);
    let status: StatusBody;
    try {
      const parsed: unknown = JSON.parse(text);
      status = typeof parsed === 'object' && parsed !== null ? (parsed as StatusBody) : { message: text.slice(0, 500) };
    } catch {
      status = { message: text.trim().slice(0, 500) };
    }
    if (answer.status === 401) this.#init.transport.refreshCredentials();
    return errorFor({
      attempt,
      code: answer.status,
      status,
      retryAfterMs: retryAfterMs(answer.retryAfter, status, this.#clock),
    });
  }
}

function requiredNamespace(kind: AnyKind, object: KubeObject): string | undefined {
  if (!kind.namespaced) return undefined;
  if (object.metadata.namespace === undefined) {
    throw new TypeError(`${kind.kind} "${object.metadata.name}" needs metadata.namespace: the kind is namespaced`);
  }
  return object.metadata.namespace;
}

/** Retry-After in seconds or as a date (RFC 9110 10.2.3), else the Status' own hint. */
function retryAfterMs(header: string | undefined, status: StatusBody, clock: Clock): number | undefined {
  if (header !== undefined) {
    const seconds = Number(header);
    const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - clock.now();
    if (Number.isFinite(ms) && ms >= 0) return ms;
  }
  const seconds = status.details?.retryAfterSeconds;
  return seconds === undefined || seconds <= 0 ? undefined : seconds * 1000;
}
