import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { generateIdentity } from '../../../src/overlay/index.ts';
import { startValidator, type ValidatorOptions } from '../../../src/validator/index.ts';
import { folder, silent } from './fixtures.ts';

/** Options of a validator that could start. */
async function options(overrides: Partial<ValidatorOptions> = {}): Promise<ValidatorOptions> {
  const home = await folder();
  const { key } = await generateIdentity();
  await writeFile(path.join(home, 'identity.key'), key);
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  return {
    name: 'flock-0',
    network: 'test/default',
    authority: (await generateIdentity()).peerId,
    identity: path.join(home, 'identity.key'),
    charter: path.join(home, 'charter.bin'),
    stateDir: path.join(home, 'state'),
    signer: path.join(home, 'signer.sock'),
    listen: '/ip4/127.0.0.1/tcp/0',
    http: '127.0.0.1:0',
    blocks: '127.0.0.1:0',
    mounts: path.join(home, 'mounts'),
    log: silent,
    signal: stop.signal,
    ...overrides,
  };
}

async function listening(): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

it('says which key cannot be read, why, and what to do', async () => {
  const given = await options({ identity: '/nowhere/identity.key' });
  await expect(startValidator(given)).rejects.toThrow(
    /could not read the identity key \/nowhere\/identity\.key: ENOENT.*; see that the Secret/,
  );
});

it('says which key is none', async () => {
  const given = await options();
  await writeFile(given.identity, 'no key');
  await expect(startValidator(given)).rejects.toThrow(/could not use the identity key .*identity\.key: .*; restore/);
});

it('says which state folder cannot be opened', async () => {
  const given = await options();
  await writeFile(given.stateDir, 'a file is in the way');
  await expect(startValidator(given)).rejects.toThrow(/could not open the state folder .*state: EEXIST/);
});

it('says that a backend does not exist, and which do, instead of never learning', async () => {
  const given = await options({ env: { MURMURATION_BACKEND: 'cuda' } });
  await expect(startValidator(given)).rejects.toThrow(/MURMURATION_BACKEND: "cuda" is no backend, it can be .*wasm/);
});

it('says which port is busy, and leaves nothing open behind it', async () => {
  const busy = (await listening()).port;
  const probe = await listening();
  await new Promise((resolve) => probe.server.close(resolve));
  const listen = `/ip4/127.0.0.1/tcp/${probe.port}`;
  const given = await options({ listen });
  await expect(startValidator({ ...given, listen: `/ip4/127.0.0.1/tcp/${busy}` })).rejects.toThrow(
    new RegExp(`could not start the overlay on /ip4/127.0.0.1/tcp/${busy}: .*EADDRINUSE.*; stop what uses the port`),
  );
  const http = `127.0.0.1:${busy}`;
  await expect(startValidator({ ...given, http })).rejects.toThrow(
    new RegExp(`could not serve HTTP on ${http}: .*EADDRINUSE.*; stop what uses the port`),
  );
  const stop = new AbortController();
  const running = await startValidator({ ...given, signal: stop.signal });
  stop.abort();
  await running.stopped;
});

it('stops at once when it was told to before it ran, and is ready only with a charter', async () => {
  const stop = new AbortController();
  const running = await startValidator(await options({ signal: stop.signal }));
  const ready = await fetch(`${running.url}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([503, 'no charter yet: waits for the operator\n']);
  stop.abort();
  await running.stopped;
  await expect(fetch(`${running.url}/healthz`)).rejects.toThrow();
  const late = await startValidator(await options({ signal: AbortSignal.abort() }));
  await late.stopped;
});
