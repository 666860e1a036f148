import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';
import { expect, it } from 'vitest';
import { Client, ConfigMap, DeadlineExceeded } from '../../../src/kube/index.ts';

it('ends a call by its deadline also where no connection comes about', async () => {
  const sockets: Socket[] = [];
  // Takes connections and never says a word: the TLS handshake hangs.
  const server = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'test', server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, skipTLSVerify: true },
    { name: 'test', token: 'token' },
  );
  const client = Client.from(config);
  const began = performance.now();
  await expect(client.get(ConfigMap, { namespace: 'n', name: 'a' }, { deadlineMs: 200 })).rejects.toThrow(
    DeadlineExceeded,
  );
  expect(performance.now() - began).toBeLessThan(3_000);
  await client.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});
