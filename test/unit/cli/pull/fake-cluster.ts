import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  /** Pods by name, with the base URL of their HTTP servers. */
  readonly pods: () => ReadonlyMap<string, string>;
  readonly models: () => readonly { readonly name: string; readonly uid: string; readonly spec: object }[];
  /** File with the charter. */
  readonly charter: string;
  readonly authority: string;
}

/** As much of an API server as `search` and `pull` need: kinds of one namespace, charters, and the proxy to pods. */
export class FakeCluster implements AsyncDisposable {
  readonly folder: string;
  readonly #init: ClusterInit;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #kubeconfig = '';
  /** Whether the operator's namespace may be read. */
  seesOperator = true;
  meddle: Meddle = (_pod, _path, answer) => answer;
  /** Blocks asked for, by pod. */
  readonly asked: string[] = [];

  private constructor(folder: string, init: ClusterInit) {
    this.folder = folder;
    this.#init = init;
  }

  static async start(init: ClusterInit): Promise<FakeCluster> {
    const cluster = new FakeCluster(await mkdtemp(join(tmpdir(), 'murmur-pull-')), init);
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
    const io = fakeIo({ env: { KUBECONFIG: this.#kubeconfig, HOME: this.folder }, folder: this.folder, now: Date.now });
    const code = await run(words, io);
    return { code, out: io.written.out(), err: io.written.err() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
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
    const object = await this.#object(path);
    if (object === undefined) return send(404, { kind: 'Status', reason: 'NotFound', code: 404, message: 'not here' });
    if (object === 'forbidden') return send(403, { kind: 'Status', reason: 'Forbidden', code: 403, message: 'no' });
    send(200, object);
  }

  async #proxy(pod: string, path: string, accept: string): Promise<{ status: number; body: Buffer }> {
    const url = this.#init.pods().get(pod);
    if (path.startsWith('/ipfs/')) this.asked.push(pod);
    if (url === undefined) return { status: 404, body: Buffer.from('{"message": "pods not found"}') };
    const answer = await fetch(`${url}${path}`, { headers: { accept } });
    return this.meddle(pod, path, { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) });
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
