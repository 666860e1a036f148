import { spawnSync } from 'node:child_process';
import { chmod, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import { Client } from 'undici';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  generateStakeKey,
  ProtectionStore,
  publicKeyOf,
  type Signer,
  SignerClient,
  SignerRefusedError,
  SignerUnavailableError,
  SocketInUseError,
  startSigner,
  type Vote,
  verifyVote,
} from '../../../src/trust/index.ts';
import { folder, versionCid } from './fixtures.ts';

interface Setup {
  readonly dir: string;
  readonly socket: string;
  readonly keyFile: string;
  readonly lines: string[];
  readonly client: SignerClient;
  start(): Promise<Signer>;
}

async function setup(): Promise<Setup> {
  const dir = await folder();
  const socket = join(dir, 'run', 'signer.sock');
  const keyFile = join(dir, 'stake.key');
  const lines: string[] = [];
  const log: Logger = pino(
    { level: 'debug' },
    new Writable({ write: (chunk, _encoding, done) => done(lines.push(String(chunk)) > 0 ? null : undefined) }),
  );
  const client = new SignerClient({ socket, timeoutMs: 3_000 });
  onTestFinished(() => client.close());
  const start = async (): Promise<Signer> => {
    const signer = await startSigner({ keyFile, socket, protectionDir: join(dir, 'protection'), log, retryMs: 20 });
    onTestFinished(() => signer.close());
    return signer;
  };
  return { dir, socket, keyFile, lines, client, start };
}

const vote = (voter: string, age = 100, version = 1): Vote => ({
  v: 1,
  network: 'n',
  model: 'm',
  age,
  version: versionCid(version),
  voter,
});

/** An untyped request, as somebody else in the pod could make it. */
async function raw(
  socket: string,
  method: 'GET' | 'POST',
  path: string,
  body?: string,
): Promise<{ status: number; json: unknown }> {
  const client = new Client('http://signer', { socketPath: socket });
  onTestFinished(() => client.close());
  const answer = await client.request({
    method,
    path,
    ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
  });
  return { status: answer.statusCode, json: await answer.body.json() };
}

describe('a signer on its socket', () => {
  it('says who it is and signs votes that verify', async () => {
    const { keyFile, client, start } = await setup();
    const secret = generateStakeKey();
    await writeFile(keyFile, secret);
    const publicKey = await (await start()).ready;
    expect(publicKey).toBe(publicKeyOf(secret));
    expect(await client.identity()).toBe(publicKey);
    const wanted = vote(publicKey);
    expect(verifyVote({ vote: wanted, signature: await client.sign(wanted) })).toBe(true);
  });

  it('refuses a second, different vote for one height with 409 and the reason, and repeats the first', async () => {
    const { keyFile, client, socket, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    const publicKey = await (await start()).ready;
    const first = await client.sign(vote(publicKey));
    expect(await client.sign(vote(publicKey))).toEqual(first);
    await expect(client.sign(vote(publicKey, 100, 2))).rejects.toMatchObject({
      name: 'SignerRefusedError',
      code: 'DoubleVote',
    });
    const { network, model, age, version } = vote(publicKey, 100, 2);
    const answer = await raw(socket, 'POST', '/v1/votes', JSON.stringify({ network, model, age, version }));
    expect(answer).toMatchObject({
      status: 409,
      json: { reason: 'DoubleVote', message: expect.stringContaining('was signed for that age') },
    });
  });

  it('refuses it after a restart too', async () => {
    const { keyFile, client, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    const signer = await start();
    const publicKey = await signer.ready;
    await client.sign(vote(publicKey));
    await signer.close();
    await (await start()).ready;
    await expect(client.sign(vote(publicKey, 100, 2))).rejects.toThrow(SignerRefusedError);
    await expect(client.sign(vote(publicKey, 200, 2))).resolves.toBeInstanceOf(Uint8Array);
  });

  it('signs one of many different votes that come at once', async () => {
    const { keyFile, client, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    const publicKey = await (await start()).ready;
    const results = await Promise.allSettled(
      [1, 2, 3, 4, 5].map((version) => client.sign(vote(publicKey, 100, version))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('may be spoken to by its owner and group only', async () => {
    const { keyFile, socket, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    await start();
    expect(((await stat(socket)).mode & 0o777).toString(8)).toBe('660');
  });

  it('waits, unready and saying why, while the key is missing or malformed, and goes on once it is repaired', async () => {
    const { keyFile, client, socket, lines, start } = await setup();
    const signer = await start();
    const expectWaiting = async (why: string): Promise<void> => {
      await waitFor(() => lines.some((line) => line.includes(why)));
      const message = expect.stringContaining(why);
      expect(await raw(socket, 'GET', '/healthz')).toMatchObject({
        status: 503,
        json: { reason: 'NotReady', message },
      });
    };
    await expectWaiting('there is no stake key file');
    await expect(client.identity()).rejects.toMatchObject({ code: 'NotReady' });
    const shards = 'c0ffee'.repeat(8);
    await writeFile(keyFile, shards);
    await expectWaiting('neither 32 raw bytes nor 64 hex digits');
    const waitingLines = lines.length;
    const secret = generateStakeKey();
    await writeFile(keyFile, `${Buffer.from(secret).toString('hex')}\n`);
    expect(await signer.ready).toBe(publicKeyOf(secret));
    expect(await raw(socket, 'GET', '/healthz')).toMatchObject({ status: 200 });
    expect(waitingLines).toBeLessThan(10);
    expect(lines.join('')).not.toContain(shards);
    expect(lines.join('')).not.toContain(Buffer.from(secret).toString('hex'));
  });

  it('signs nothing when its protection store cannot be opened, and says so', async () => {
    const { dir, keyFile, client, lines, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    await writeFile(join(dir, 'protection'), 'a file where the folder should be');
    await start();
    await waitFor(() => lines.some((line) => line.includes('EEXIST') || line.includes('ENOTDIR')));
    await expect(client.identity()).rejects.toMatchObject({ code: 'NotReady' });
  });

  it('takes over the socket file of one that crashed, and not that of one that runs', async () => {
    const { dir, keyFile, client, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    await (await start()).ready;
    await expect(start()).rejects.toThrow(SocketInUseError);
    await expect(client.identity()).resolves.toMatch(/^0/);
    const dead = join(dir, 'dead.sock');
    const other = new SignerClient({ socket: dead });
    onTestFinished(() => other.close());
    await leaveSocketBehind(dead);
    const log = pino({ level: 'silent' });
    const signer = await startSigner({ keyFile, socket: dead, protectionDir: join(dir, 'other'), log });
    onTestFinished(() => signer.close());
    await signer.ready;
    await expect(other.identity()).resolves.toMatch(/^0/);
  });

  it('is unready once another signer has its protection store', async () => {
    const { dir, keyFile, socket, client, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    const publicKey = await (await start()).ready;
    await ProtectionStore.open(join(dir, 'protection'), publicKey);
    await expect(client.sign(vote(publicKey))).rejects.toMatchObject({ code: 'ProtectionTaken' });
    expect(await raw(socket, 'GET', '/healthz')).toMatchObject({ status: 503, json: { reason: 'ProtectionTaken' } });
  });

  it.each<[string, string, string, string | undefined, number]>([
    ['a body that is no vote', 'POST', '/v1/votes', '{"model":1}', 400],
    ['a body that is no JSON', 'POST', '/v1/votes', '{', 400],
    [
      'a body with more in it',
      'POST',
      '/v1/votes',
      '{"network":"n","model":"m","age":1,"version":"x","digest":"00"}',
      400,
    ],
    ['an endless body', 'POST', '/v1/votes', `"${'x'.repeat(100_000)}"`, 400],
    ['a path that is none', 'GET', '/v1/key', undefined, 404],
  ])('answers %s with an error and signs nothing', async (_what, method, path, body, status) => {
    const { keyFile, socket, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    await (await start()).ready;
    expect((await raw(socket, method as 'GET', path, body)).status).toBe(status);
  });

  it('stops cleanly when it is told to, and its socket is gone', async () => {
    const { keyFile, socket, dir, client } = await setup();
    await writeFile(keyFile, generateStakeKey());
    const stop = new AbortController();
    const log = pino({ level: 'silent' });
    const signer = await startSigner({ keyFile, socket, protectionDir: join(dir, 'p'), log, signal: stop.signal });
    await signer.ready;
    stop.abort();
    await signer.closed;
    await expect(stat(socket)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(client.identity()).rejects.toThrow(SignerUnavailableError);
  });
});

describe('a signer client', () => {
  it('says what is wrong when nobody listens', async () => {
    const { client } = await setup();
    await expect(client.identity()).rejects.toThrow(/signer\.sock did not answer as it should/);
  });

  it('gives up on something that listens and never answers', async () => {
    const dir = await folder();
    const socket = join(dir, 'silent.sock');
    const server = createServer(() => undefined).listen(socket);
    onTestFinished(() => void server.close());
    const client = new SignerClient({ socket, timeoutMs: 100 });
    onTestFinished(() => client.close());
    await expect(client.identity()).rejects.toThrow(SignerUnavailableError);
  });

  it('does not pass on a signature by another key', async () => {
    const { keyFile, client, start } = await setup();
    await writeFile(keyFile, generateStakeKey());
    await (await start()).ready;
    await expect(client.sign(vote(publicKeyOf(generateStakeKey())))).rejects.toThrow(/not by the key/);
  });
});

/** Wait at most five seconds for something to become so. */
async function waitFor(holds: () => boolean): Promise<void> {
  await vi.waitFor(() => {
    if (!holds()) throw new Error('not yet');
  }, 5_000);
}

/** A socket file whose owner is gone. */
async function leaveSocketBehind(path: string): Promise<void> {
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  await chmod(path, 0o660);
}
