import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';
import type { Io } from '../../../../src/cli/io.ts';
import { run } from '../../../../src/cli/run.ts';
import { fakeIo } from '../fake-io.ts';

/** An answer of a validator on its way through the API server: what a test may do to it. */
export type Meddle = (
  pod: string,
  path: string,
  answer: { status: number; body: Buffer },
) => { status: number; body: Buffer } | Promise<{ status: number; body: Buffer }>;

/** What the cluster has. */
export interface ClusterInit {
  /** Pods by name, with the base URLs of their HTTP servers: for everybody, and for blocks, to the pod alone. */
  readonly pods: () => ReadonlyMap<string, { readonly url: string; readonly blocksUrl: string }>;
  readonly models: () => readonly { readonly name: string; readonly uid: string; readonly spec: object }[];
  /** File with the charter. */
  readonly charter: string;
  readonly authority: string;
  /** Ports on which pods speak libp2p. */
  readonly ports?: () => ReadonlyMap<string, number>;
  /** A user's entry is written or, without data, removed. */
  readonly onEntry?: (data: Readonly<Record<string, string>> | undefined) => Promise<void>;
}

/** As much of an API server as `search` and `pull` need: kinds of one namespace, charters, and the proxy to pods. */
export class FakeCluster implements AsyncDisposable {
  readonly folder: string;
  readonly #init: ClusterInit;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  /** By pod: what stands before its blocks. */
  readonly #meddlers = new Map<string, Server>();
  #kubeconfig = '';
  /** Whether the operator's namespace may be read. */
  seesOperator = true;
  meddle: Meddle = (_pod, _path, answer) => answer;
  /** What of the world commands are given, where it is not the usual. */
  io: Partial<Io> = {};
  /** Blocks asked for, by pod. */
  readonly asked: string[] = [];

  private constructor(folder: string, init: ClusterInit) {
    this.folder = folder;
    this.#init = init;
  }

  static async start(init: ClusterInit): Promise<FakeCluster> {
    const cluster = new FakeCluster(await mkdtemp(join(tmpdir(), 'murmur-pull-')), init);
    cluster.#server.on('upgrade', (request, socket, head) => void cluster.#forward(request, socket as Socket, head));
    await new Promise<void>((resolve) => cluster.#server.listen(0, '127.0.0.1', resolve));
    const { port } = cluster.#server.address() as AddressInfo;
    cluster.#kubeconfig = join(cluster.folder, 'kubeconfig');
    const config = {
      'current-context': 'there',
      contexts: [{ name: 'there', context: { cluster: 'there', user: 'me', namespace: 'test' } }],
      clusters: [{ name: 'there', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'me', user: {} }],
    };
    await writeFile(cluster.#kubeconfig, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config }));
    return cluster;
  }

  /** Runs a command against it, as `murmur` does. */
  async murmur(...words: readonly string[]) {
    const env = { KUBECONFIG: this.#kubeconfig, HOME: this.folder };
    const io = fakeIo({ env, folder: this.folder, now: Date.now, ...this.io });
    const code = await run(words, io);
    return { code, out: io.written.out(), err: io.written.err() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#server, ...this.#meddlers.values()]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: object | Buffer) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
    };
    const [path = ''] = (request.url ?? '').split('?');
    const proxied = /^\/api\/v1\/namespaces\/test\/pods\/([^/]+):8080\/proxy(\/.*)$/.exec(request.url ?? '');
    if (proxied !== null) {
      const { status, body } = await this.#proxy(proxied[1]!, proxied[2]!, request.headers.accept ?? '');
      return send(status, body);
    }
    if (path.includes('/configmaps/default-user-') && request.method !== 'GET') {
      const sent = JSON.parse((await buffer(request)).toString() || '{}');
      await this.#init.onEntry?.(request.method === 'DELETE' ? undefined : sent.data);
      return send(200, { apiVersion: 'v1', kind: 'ConfigMap', ...sent, metadata: { ...sent.metadata, uid: 'entry' } });
    }
    const object = await this.#object(path);
    if (object === undefined) return send(404, { kind: 'Status', reason: 'NotFound', code: 404, message: 'not here' });
    if (object === 'forbidden') return send(403, { kind: 'Status', reason: 'Forbidden', code: 403, message: 'no' });
    send(200, object);
  }

  /** As a kubelet: two channels for the port, of which the first is the bytes and the second says what went wrong. */
  async #forward(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const [, pod = '', wanted] =
      /^\/api\/v1\/namespaces\/test\/pods\/([^/]+)\/portforward\?ports=(4001|8081)$/.exec(request.url ?? '') ?? [];
    const port = wanted === '8081' ? await this.#blocksPort(pod) : this.#init.ports?.().get(pod);
    if (port === undefined) return void socket.end('HTTP/1.1 404 Not Found\r\n\r\n');
    new WebSocketServer({ noServer: true, handleProtocols: () => 'v4.channel.k8s.io' }).handleUpgrade(
      request,
      socket,
      head,
      (ws) => {
        const label = Buffer.alloc(2);
        label.writeUInt16LE(Number(wanted));
        for (const channel of [0, 1]) ws.send(Buffer.concat([Buffer.of(channel), label]));
        const there = connect(port, '127.0.0.1');
        there.on('data', (bytes) => ws.send(Buffer.concat([Buffer.of(0), bytes])));
        there.on('error', (error) => ws.send(Buffer.concat([Buffer.of(1), Buffer.from(error.message)])));
        there.on('close', () => ws.close());
        ws.on('message', (bytes: Buffer) => bytes[0] === 0 && there.write(bytes.subarray(1)));
        ws.on('close', () => there.destroy());
      },
    );
  }

  async #proxy(pod: string, path: string, accept: string): Promise<{ status: number; body: Buffer }> {
    const url = this.#init.pods().get(pod)?.url;
    if (url === undefined) return { status: 404, body: Buffer.from('{"message": "pods not found"}') };
    return this.#ask(pod, `${url}${path}`, path, accept);
  }

  /** What a validator answers, meddled with. */
  async #ask(pod: string, url: string, path: string, accept: string): Promise<{ status: number; body: Buffer }> {
    const answer = await fetch(url, { headers: { accept } });
    return this.meddle(pod, path, { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) });
  }

  /** A port that leads to the pod's blocks. */
  async #blocksPort(pod: string): Promise<number | undefined> {
    const url = this.#init.pods().get(pod)?.blocksUrl;
    if (url === undefined) return undefined;
    let server = this.#meddlers.get(pod);
    if (server === undefined) {
      server = createServer((request, response) => {
        const path = request.url ?? '';
        this.asked.push(pod);
        void this.#ask(pod, `${url}${path}`, path, request.headers.accept ?? '').then(({ status, body }) => {
          response.writeHead(status).end(body);
        });
      });
      this.#meddlers.set(pod, server);
      await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    }
    return (server.address() as AddressInfo).port;
  }

  async #object(path: string): Promise<object | 'forbidden' | undefined> {
    const { pods, models, charter, authority } = this.#init;
    const kinds = '/apis/murmuration.dev/v1alpha1/namespaces/test';
    const core = '/api/v1/namespaces';
    const listOf = (items: readonly object[]) => ({ metadata: { resourceVersion: '1' }, items });
    switch (path) {
      case `${kinds}/validatornodes`:
        return listOf(
          [...pods().keys()].sort().map((name) => ({
            metadata: { name, namespace: 'test' },
            spec: { network: 'default' },
            status: { podName: name, conditions: [{ type: 'Ready', status: 'True' }] },
          })),
        );
      case `${kinds}/models`:
        return listOf(models().map(({ name, uid, spec }) => ({ metadata: { name, uid, namespace: 'test' }, spec })));
      case `${kinds}/validatorfleets`:
      case `${kinds}/modelshards`:
        return listOf([]);
      case `${core}/test/configmaps/default-charter`:
        return {
          metadata: { name: 'default-charter' },
          binaryData: { 'charter.bin': await readFile(charter, 'base64') },
        };
      case `${core}/murmuration-system/configmaps/murmuration-authority-record`:
        return this.seesOperator ? { metadata: {}, data: { authorityPeerId: authority } } : 'forbidden';
      default:
        if (!path.startsWith(`${core}/test/pods/`)) return undefined;
        return {
          metadata: {},
          spec: { containers: [{ name: 'validator', args: ['validator', '--authority', authority] }] },
        };
    }
  }
}
