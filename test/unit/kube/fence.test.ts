import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Client, ConfigMap, FencedOff, LeaseFence, systemClock } from '../../../src/kube/index.ts';

describe('a fence', () => {
  const seen: string[] = [];
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url?.split('/').at(-1)}`);
    held.push(response);
  });
  const answer = (at: number): void => {
    held[at]?.writeHead(200, { 'content-type': 'application/json' }).end('{"metadata":{}}');
  };
  const arrived = async (count: number): Promise<void> => {
    while (seen.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  let client: Client;
  let fence: LeaseFence;

  beforeEach(async () => {
    seen.length = 0;
    held.length = 0;
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const config = new KubeConfig();
    const { port } = server.address() as AddressInfo;
    config.loadFromClusterAndUser(
      { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
      { name: 'test', token: 'token' },
    );
    fence = new LeaseFence(systemClock);
    client = Client.from(config, { connections: 1, fence });
  });
  afterEach(async () => {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  it('that closes while a write waits for a connection holds it back', async () => {
    fence.allowUntil(systemClock.monotonic() + 60_000);
    const first = client.delete(ConfigMap, { namespace: 'n', name: 'first' });
    await arrived(1);
    const second = client.delete(ConfigMap, { namespace: 'n', name: 'second' });
    const refused = expect(second).rejects.toThrow(FencedOff);
    await new Promise((resolve) => setTimeout(resolve, 20));
    fence.close();
    answer(0);
    await first;
    await refused;
    expect(seen).toEqual(['DELETE first']);
  });

  it('does not hold back reads', async () => {
    fence.close();
    const read = client.get(ConfigMap, { namespace: 'n', name: 'read' });
    await arrived(1);
    answer(0);
    await read;
    await expect(client.delete(ConfigMap, { namespace: 'n', name: 'gone' })).rejects.toThrow(FencedOff);
    expect(seen).toEqual(['GET read']);
  });
});
