import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { Client, type ClientInit } from '../../../src/kube/index.ts';

/** Answers one request in whatever way it likes: also badly, or never. */
export type Act = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** A server on a real socket that plays a script of acts, one a request, and remembers what it was asked. */
export class ScriptedServer {
  readonly asked: {
    readonly method: string;
    readonly url: URL;
    readonly body: string;
    readonly headers: IncomingMessage['headers'];
  }[] = [];
  readonly #acts: Act[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();

  constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      const act = this.#acts.shift();
      this.asked.push({
        method: request.method ?? '',
        url: new URL(request.url ?? '', 'http://x'),
        body,
        headers: request.headers,
      });
      if (act === undefined) response.writeHead(500).end('{"message":"the script is over"}');
      else act(request, response, body);
      for (const check of [...this.#waiting]) check();
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Connections open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  play(...acts: Act[]): this {
    this.#acts.push(...acts);
    return this;
  }

  config(): KubeConfig {
    const config = new KubeConfig();
    const { port } = this.#server.address() as AddressInfo;
    config.loadFromClusterAndUser(
      { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'u', token: 'secret' },
    );
    return config;
  }

  client(init: Partial<ClientInit> = {}): Client {
    return Client.from(this.config(), { random: () => 0, ...init });
  }

  /** Resolves when `count` requests have come. */
  async whenAsked(count: number, ms = 20_000): Promise<void> {
    await this.until(() => this.asked.length >= count, `${count} requests (${this.asked.length} came)`, ms);
  }

  async until(holds: () => boolean, what: string, ms: number): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`waited ${ms} ms for ${what}`));
      }, ms);
      const check = () => {
        if (!holds()) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export const json =
  (code: number, body: unknown, headers: Record<string, string> = {}): Act =>
  (_, response) =>
    response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));

export const status = (code: number, reason: string, more: object = {}, headers: Record<string, string> = {}): Act =>
  json(code, { kind: 'Status', status: 'Failure', code, reason, message: `it is ${reason}`, ...more }, headers);

/** Breaks the connection without an answer. */
export const reset: Act = (request) => request.socket.destroy();

/** Takes the request and says nothing. */
export const hang: Act = () => undefined;

/** Sends lines of a watch, and leaves it open unless told how to end it. */
export const stream =
  (lines: readonly (object | string)[], end: 'open' | 'end' | 'reset' = 'open'): Act =>
  (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const line of lines) response.write(typeof line === 'string' ? line : `${JSON.stringify(line)}\n`);
    if (end === 'end') response.end();
    // After the lines have left.
    if (end === 'reset') setImmediate(() => setImmediate(() => request.socket.destroy()));
  };
