import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { Agent, type Dispatcher, request } from 'undici';
import type { Access } from '../../apiserver/control-plane.ts';

/** Leases and events are left out: they are no part of the state that the operator works on. */
const UNCOUNTED = /\/(leases|events)([/?]|$)/;
const READS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface WriteProxyOptions {
  /** The write that is the last one to reach the API server, from 1; none where undefined. */
  readonly last?: number | undefined;
  /** Called in the moment that the API server has done the last one; nobody hears its answer. */
  readonly onLast?: () => void;
}

/**
 * Stands between one operator (plain HTTP) and the API server, and lets its writes through one at a time, so that it is
 * known to the write what the API server has done. Writes that the API server refuses change nothing and do not count.
 */
export class WriteProxy {
  /** Writes done so far, as `POST /api/v1/...`. */
  readonly done: string[] = [];
  readonly #access: Access;
  readonly #options: WriteProxyOptions;
  readonly #server: Server;
  readonly #dispatcher: Agent;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(access: Access, options: WriteProxyOptions) {
    this.#access = access;
    this.#options = options;
    this.#dispatcher = new Agent({ connect: { ca: access.ca }, bodyTimeout: 0, headersTimeout: 0 });
    this.#server = createServer((from, to) => {
      this.#pass(from, to).catch(() => to.destroy());
    });
    this.#server.requestTimeout = 0;
    this.#server.timeout = 0;
  }

  static async open(access: Access, options: WriteProxyOptions = {}): Promise<WriteProxy> {
    const proxy = new WriteProxy(access, options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Cuts every connection; from now on nothing passes. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#server.closeAllConnections();
    this.#server.close();
    await this.#dispatcher.destroy();
  }

  async #pass(from: IncomingMessage, to: ServerResponse): Promise<void> {
    if (READS.has(from.method) || UNCOUNTED.test(from.url ?? '')) return this.#forward(from, to, undefined);
    const body = await buffer(from);
    const turn = this.#turn.then(() => this.#write(from, to, body));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #write(from: IncomingMessage, to: ServerResponse, body: Buffer): Promise<void> {
    if (this.#closed) throw new Error('nothing passes any more');
    await this.#forward(from, to, body, (status) => {
      if (status >= 300) return;
      this.done.push(`${from.method} ${from.url?.split('?')[0]}`);
      if (this.done.length !== this.#options.last) return;
      this.#closed = true;
      this.#options.onLast?.();
      throw new Error('nobody is left to hear the answer');
    });
  }

  async #forward(
    from: IncomingMessage,
    to: ServerResponse,
    body: Buffer | undefined,
    onAnswer?: (status: number) => void,
  ): Promise<void> {
    if (this.#closed) throw new Error('nothing passes any more');
    const gone = new AbortController();
    // A write that has left arrives, whether or not its sender lives on.
    if (READS.has(from.method)) to.once('close', () => gone.abort());
    const { host: _, connection: __, 'content-length': ___, 'transfer-encoding': ____, ...headers } = from.headers;
    const answer = await request(`${this.#access.url}${from.url}`, {
      method: from.method as Dispatcher.HttpMethod,
      headers,
      body: body ?? (READS.has(from.method) ? null : await buffer(from)),
      dispatcher: this.#dispatcher,
      signal: gone.signal,
    });
    answer.body.on('error', () => undefined);
    onAnswer?.(answer.statusCode);
    const { connection, 'keep-alive': ____k, 'transfer-encoding': _____, ...passed } = answer.headers;
    to.writeHead(answer.statusCode, passed);
    to.flushHeaders();
    await pipeline(answer.body, to);
  }
}
