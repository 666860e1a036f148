import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { Agent, type Dispatcher } from 'undici';
import type { Access } from '../apiserver/control-plane.ts';
import { type Asked, askedBy } from './asked.ts';
import { type Fault, ofEvents, type Rule, statusOf } from './fault.ts';

/** One request that passed, or did not. */
export interface Passed extends Asked {
  /** ms on the monotonic clock. */
  readonly at: number;
  /** HTTP status; 0 while there is no answer. */
  status: number;
  /** What befell it, and the events of its watch. */
  readonly faults: Fault['do'][];
}

interface Exchange {
  readonly passed: Passed;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
  /** Nothing that comes reaches the client any more. */
  muted: boolean;
}

/** Headers that belong to one connection. */
const HOP_BY_HOP = new Set(['connection', 'host', 'keep-alive', 'transfer-encoding', 'content-length']);

/**
 * Stands between one operator and a real API server, which it speaks HTTPS to with the operator's own token. What it lets
 * pass is real; what it does wrong is scripted by rules. It can also show the cluster as it was at an earlier revision of
 * etcd (lists and watches), as an API server does that lags behind, while writes and reads of single objects are done.
 */
export class FaultProxy {
  readonly log: Passed[] = [];
  /** Lists come in pages of at most so many objects. */
  pageSize: number | undefined;
  readonly #target: string;
  readonly #upstream: Agent;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #exchanges = new Set<Exchange>();
  readonly #rules = new Set<{ readonly rule: Rule; left: number }>();
  #port = 0;
  #silent = false;
  #past:
    | { readonly revision: bigint; readonly only: string | undefined; readonly over: PromiseWithResolvers<void> }
    | undefined;

  private constructor(access: Access) {
    this.#target = access.url;
    this.#upstream = new Agent({ connect: { ca: access.ca }, headersTimeout: 0, bodyTimeout: 0 });
    this.#server = createServer((request, response) => void this.#take(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  static async start(access: Access): Promise<FaultProxy> {
    const proxy = new FaultProxy(access);
    await proxy.#listen();
    return proxy;
  }

  /** The same account, by way of this proxy. */
  config(account: KubeConfig): KubeConfig {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'proxy', server: `http://127.0.0.1:${this.#port}`, skipTLSVerify: true },
      { ...account.getCurrentUser(), name: 'account' },
    );
    return config;
  }

  /** Adds a rule; the first one that fits counts. Returns how to take it away. */
  rule(rule: Rule): () => void {
    const entry = { rule, left: rule.times ?? Number.POSITIVE_INFINITY };
    this.#rules.add(entry);
    return () => this.#rules.delete(entry);
  }

  /** Takes every rule away. */
  clear(): void {
    this.#rules.clear();
  }

  /** Resets every connection, now. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** The server is gone: connections are reset, and refused until {@link back}. */
  async away(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.reset();
    await closed;
  }

  async back(): Promise<void> {
    await this.#listen();
  }

  /** Half-open: connections stay and nothing passes, also on new ones. When it ends, those made meanwhile stay mute. */
  set silent(silent: boolean) {
    this.#silent = silent;
    if (silent) for (const exchange of this.#exchanges) exchange.muted = true;
  }

  /**
   * From now on lists and watches show the cluster as it was at `revision`, until {@link present}.
   * @param only this resource is old, and the others are of the present
   */
  past(revision: string, only?: string): void {
    this.#past = { revision: BigInt(revision), only, over: Promise.withResolvers() };
  }

  #pastOf({ resource }: Asked): bigint | undefined {
    const { revision, only = resource } = this.#past ?? {};
    return only === resource ? revision : undefined;
  }

  /** Lists and watches catch up: what was held back comes. */
  present(): void {
    this.#past?.over.resolve();
    this.#past = undefined;
  }

  async stop(): Promise<void> {
    this.present();
    if (this.#server.listening) await this.away();
    await this.#upstream.destroy();
  }

  async #listen(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const leaving = new AbortController();
    const passed: Passed = { ...askedBy(request), at: performance.now(), status: 0, faults: [] };
    const exchange: Exchange = { passed, request, response, gone: leaving.signal, muted: this.#silent };
    this.log.push(passed);
    this.#exchanges.add(exchange);
    response.once('close', () => {
      this.#exchanges.delete(exchange);
      leaving.abort();
    });
    try {
      await this.#pass(exchange);
    } catch {
      // The client left, or the server did: either way this connection is over.
      request.socket.destroy();
    }
  }

  async #pass(exchange: Exchange): Promise<void> {
    const { passed, request, response } = exchange;
    const body = await bytesOf(request);
    if (this.#silent) return;
    const fault = this.#befalls(passed, false);
    switch (fault?.do) {
      case 'refuse': {
        const { code, reason, retryAfterSeconds } = fault;
        passed.status = code;
        response.writeHead(code, {
          'content-type': 'application/json',
          ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
        });
        response.end(JSON.stringify(statusOf(code, reason, retryAfterSeconds)));
        return;
      }
      case 'reset':
        request.socket.resetAndDestroy();
        return;
      case 'hang':
        return;
      case 'stall':
        passed.status = 200;
        response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
        return;
    }
    const past = this.#pastOf(passed);
    if (passed.verb === 'watch' && past !== undefined && passed.url.searchParams.has('sendInitialEvents')) {
      await this.#showPast(exchange, past);
      return;
    }
    const answer = await this.#ask(exchange, this.#pathOf(passed), body);
    if (fault?.do === 'lose') {
      await answer.body.dump();
      request.socket.resetAndDestroy();
      return;
    }
    passed.status = answer.statusCode;
    const headers = Object.entries(answer.headers).filter(([name]) => !HOP_BY_HOP.has(name));
    response.writeHead(answer.statusCode, Object.fromEntries(headers) as Record<string, string>);
    response.flushHeaders();
    if (passed.verb === 'watch' && answer.statusCode < 300) await this.#stream(exchange, answer.body);
    else for await (const chunk of answer.body) await this.#write(exchange, chunk as Buffer, fault);
    response.end();
  }

  #ask({ passed, request, gone }: Exchange, path: string, body: Buffer): Promise<Dispatcher.ResponseData> {
    const headers = Object.entries(request.headers).filter(([name]) => !HOP_BY_HOP.has(name));
    return this.#upstream.request({
      origin: this.#target,
      path,
      method: passed.method as Dispatcher.HttpMethod,
      headers: Object.fromEntries(headers) as Record<string, string>,
      body: body.length === 0 ? null : body,
      signal: gone,
    });
  }

  /** As asked, but in small pages and of the past where that is said. */
  #pathOf(passed: Asked): string {
    const { verb, url } = passed;
    const { pathname, searchParams } = url;
    const past = this.#pastOf(passed);
    const asked = new URLSearchParams(searchParams);
    if (verb === 'list') {
      if (past !== undefined && !asked.has('continue')) {
        asked.set('resourceVersion', String(past));
        asked.set('resourceVersionMatch', 'Exact');
      }
      if (this.pageSize !== undefined && asked.has('limit')) asked.set('limit', String(this.pageSize));
    }
    return asked.size === 0 ? pathname : `${pathname}?${asked}`;
  }

  /** A list by watch (sendInitialEvents) as it was; then the changes since, once the past is over. */
  async #showPast(exchange: Exchange, revision: bigint): Promise<void> {
    const { passed, response } = exchange;
    const { pathname, searchParams } = passed.url;
    const selection = [...searchParams].filter(([name]) => name.endsWith('Selector'));
    const at = { resourceVersion: String(revision) };
    const then = new URLSearchParams([...selection, ...Object.entries({ ...at, resourceVersionMatch: 'Exact' })]);
    const answer = await this.#ask(exchange, `${pathname}?${then}`, Buffer.alloc(0));
    const list = (await answer.body.json()) as { items: object[] };
    const timeout = searchParams.get('timeoutSeconds') ?? '60';
    const since = new URLSearchParams([
      ...selection,
      ...Object.entries({ ...at, watch: '1', allowWatchBookmarks: 'true', timeoutSeconds: timeout }),
    ]);
    const changes = await this.#ask(exchange, `${pathname}?${since}`, Buffer.alloc(0));
    passed.status = 200;
    response.writeHead(200, { 'content-type': 'application/json' });
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    const events = [
      ...list.items.map((object) => ({ type: 'ADDED', object })),
      { type: 'BOOKMARK', object: { metadata: { ...at, annotations } } },
    ];
    for (const event of events) response.write(`${JSON.stringify(event)}\n`);
    await this.#stream(exchange, changes.body);
    response.end();
  }

  /** Passes a watch on event by event. */
  async #stream(exchange: Exchange, body: AsyncIterable<Buffer>): Promise<void> {
    const before: Buffer[] = [];
    for await (const line of linesOf(body)) {
      await this.#untilShown(exchange, line);
      const fault = this.#befalls(exchange.passed, true);
      const end = await this.#event(exchange, line, fault, before);
      if (end) return;
      before.push(line);
    }
  }

  /** @returns whether the watch is over */
  async #event(
    exchange: Exchange,
    line: Buffer,
    fault: Fault | undefined,
    before: readonly Buffer[],
  ): Promise<boolean> {
    const { request } = exchange;
    switch (fault?.do) {
      case 'mute':
        exchange.muted = true;
        return false;
      case 'error': {
        const event = { type: 'ERROR', object: statusOf(fault.code, fault.reason) };
        await this.#write(exchange, Buffer.from(`${JSON.stringify(event)}\n`));
        return true;
      }
      case 'break': {
        if (fault.where === 'inside') await this.#write(exchange, line.subarray(0, line.length / 2));
        if (fault.how === 'end') return true;
        // After what was written has left.
        await setTimeout(1);
        request.socket.resetAndDestroy();
        return true;
      }
      case 'repeat':
        for (const one of [line, ...before, line]) await this.#write(exchange, one);
        return false;
    }
    const body = this.#findRule(exchange.passed, (one) => one.do === 'drip');
    await this.#write(exchange, line, body?.rule.fault);
    return false;
  }

  /** Holds an event back while what it tells of lies in the future of the state that is shown. */
  async #untilShown({ passed, gone }: Exchange, line: Buffer): Promise<void> {
    const past = this.#past;
    if (past === undefined || this.#pastOf(passed) === undefined) return;
    const { object } = JSON.parse(line.toString()) as { object?: { metadata?: { resourceVersion?: string } } };
    if (BigInt(object?.metadata?.resourceVersion ?? 0) <= past.revision) return;
    await Promise.race([past.over.promise, once(gone, 'abort')]);
    gone.throwIfAborted();
  }

  async #write({ response, gone, muted }: Exchange, bytes: Buffer, fault?: Fault): Promise<void> {
    if (muted) return;
    if (fault?.do !== 'drip') {
      response.write(bytes);
      return;
    }
    for (let at = 0; at < bytes.length; at += fault.bytes) {
      gone.throwIfAborted();
      response.write(bytes.subarray(at, at + fault.bytes));
      await setTimeout(fault.everyMs);
    }
  }

  /** The fault that befalls this request, or the next event of its watch, by the first rule that fits. */
  #befalls(passed: Passed, event: boolean): Fault | undefined {
    const found = this.#findRule(passed, (fault) => ofEvents.has(fault.do) === event);
    if (found === undefined) return undefined;
    found.left -= 1;
    passed.faults.push(found.rule.fault.do);
    return found.rule.fault;
  }

  #findRule(passed: Passed, fits: (fault: Fault) => boolean): { readonly rule: Rule; left: number } | undefined {
    for (const entry of this.#rules) {
      if (entry.left > 0 && fits(entry.rule.fault) && entry.rule.on(passed)) return entry;
    }
    return undefined;
  }
}

async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Splits a body after each newline. */
async function* linesOf(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let pending = Buffer.alloc(0);
  for await (const chunk of body) {
    pending = Buffer.concat([pending, chunk]);
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      yield pending.subarray(0, end + 1);
      pending = pending.subarray(end + 1);
    }
  }
}
