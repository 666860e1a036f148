/** A way from here to pods: the API server's port-forward, one WebSocket a connection, behind ports of this machine. */
import { createServer, type Server, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { type KubeConfig, PortForward } from '@kubernetes/client-node';
import { printable } from './exchange.ts';

/** Local ports that lead to ports of pods: also to those that a pod opens to itself alone. */
export class Tunnels {
  readonly #forward: PortForward;
  readonly #namespace: string;
  /** By pod and port. */
  readonly #ports = new Map<string, Promise<number>>();
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();
  /** Why the last connection to a pod was not made, by pod. */
  readonly #refused = new Map<string, string>();

  constructor(config: KubeConfig, namespace: string) {
    this.#forward = new PortForward(config);
    this.#namespace = namespace;
  }

  /** The port of 127.0.0.1 that leads to this one of the pod. Nothing is connected before somebody dials it. */
  to(pod: string, port: number): Promise<number> {
    const key = `${pod}:${port}`;
    const local = this.#ports.get(key) ?? this.#listen(pod, port);
    this.#ports.set(key, local);
    return local;
  }

  /** Why the pod cannot be reached, as far as the API server said. */
  refusal(pod: string): string | undefined {
    return this.#refused.get(pod);
  }

  /** Why pods cannot be reached, as far as the API server said. */
  get refusals(): readonly string[] {
    return [...this.#refused].map(([pod, why]) => `${pod}: ${why}`);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([...this.#servers].map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #listen(pod: string, port: number): Promise<number> {
    const options = { pauseOnConnect: true, noDelay: true };
    const server = createServer(options, (socket) => void this.#connect(socket, pod, port));
    this.#servers.add(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
  }

  async #connect(socket: Socket, pod: string, port: number): Promise<void> {
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.#sockets.delete(socket));
    const errors = new PassThrough();
    errors.on('data', (bytes: Buffer) => {
      if (bytes.length === 0) return;
      this.#refused.set(pod, printable(bytes.toString('utf8')).trim().slice(0, 200));
      socket.destroy();
    });
    try {
      const opened = await this.#forward.portForward(this.#namespace, pod, [port], socket, errors, socket);
      if (typeof opened === 'function') throw new Error('the forwarder did not open a connection');
      opened.onclose = () => socket.destroy();
      opened.onerror = () => socket.destroy();
      socket.on('close', () => opened.close());
      this.#refused.delete(pod);
      if (socket.destroyed) opened.close();
      else socket.resume();
    } catch (error) {
      // What ws rejects with is an event that has the error.
      const why = (error as { readonly message?: unknown }).message;
      this.#refused.set(pod, typeof why === 'string' && why !== '' ? why : 'the API server does not forward to it');
      socket.destroy();
    }
  }
}
