import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import type { Access } from '../control-plane.ts';

/** A TCP proxy before the API server, which can break the connections in the ways that networks do. */
export class FaultyProxy {
  readonly #target: URL;
  readonly #server: Server;
  readonly #pairs = new Set<{ readonly client: Socket; readonly server: Socket }>();
  #mode: 'pass' | 'away' | 'silent' = 'pass';
  /** Connections accepted so far. */
  accepted = 0;

  constructor(access: Access) {
    this.#target = new URL(access.url);
    this.#server = createServer((client) => this.#join(client));
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  /** A kubeconfig for the API server as seen through this proxy. */
  config(access: Access): KubeConfig {
    const { port } = this.#server.address() as AddressInfo;
    return configFor({ ...access, url: `https://127.0.0.1:${port}` });
  }

  /** Resets every connection, now. */
  reset(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy();
      server.destroy();
    }
  }

  /** `away`: connections are reset and refused. `silent`: they stay open and nothing passes. */
  set mode(mode: 'pass' | 'away' | 'silent') {
    this.#mode = mode;
    if (mode === 'away') this.reset();
    for (const { client, server } of this.#pairs) {
      for (const socket of [client, server]) {
        if (mode === 'silent') socket.pause();
        else socket.resume();
      }
    }
  }

  async stop(): Promise<void> {
    this.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #join(client: Socket): void {
    this.accepted += 1;
    if (this.#mode === 'away') {
      client.resetAndDestroy();
      return;
    }
    const server = connect(Number(this.#target.port), this.#target.hostname);
    const pair = { client, server };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (chunk: Buffer) => to.write(chunk));
      from.on('error', end);
      from.on('close', end);
    }
    if (this.#mode === 'silent') {
      client.pause();
      server.pause();
    }
  }
}

/** A kubeconfig for an API server, as a super user. */
export function configFor(access: Access): KubeConfig {
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'test', server: access.url, caData: Buffer.from(access.ca).toString('base64'), skipTLSVerify: false },
    { name: 'test', token: access.token },
  );
  return config;
}
