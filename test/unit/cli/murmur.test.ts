import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const commands = [
  ...['up', 'down', 'status', 'top', 'predict', 'search', 'pull', 'user join', 'user leave', 'key export'],
  ...['operator', 'validator', 'signer'],
];

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'murmur-test-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

interface End {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `murmur` as a person does, in a home of its own. */
function murmur(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<End> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...words], {
      env: { PATH: process.env.PATH, HOME: home, ...env },
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes) => {
      out += bytes;
    });
    child.stderr.on('data', (bytes) => {
      err += bytes;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

async function kubeconfig(server: string): Promise<string> {
  const file = join(home, `kubeconfig-${Math.random()}`);
  const config = {
    'current-context': 'there',
    contexts: [{ name: 'there', context: { cluster: 'there', user: 'me' } }],
    clusters: [{ name: 'there', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'me', user: {} }],
  };
  await writeFile(file, JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...config }));
  return file;
}

describe('murmur --help', () => {
  it('answers with examples first, on stdout, and code 0', async () => {
    const end = await murmur(['--help']);
    expect(end).toMatchObject({ code: 0, err: '' });
    expect(end.out).toMatch(/^Examples:\n {2}murmur up /);
    for (const command of commands) expect(end.out).toContain(command.split(' ')[0]);
  });

  it.each(commands)('shows examples of `%s` before anything else', async (command) => {
    const end = await murmur([...command.split(' '), '--help']);
    expect(end.code).toBe(0);
    expect(end.out).toMatch(/^Examples:(\n {2}\S.*){2,}\n\nUsage: murmur/);
  });

  it('loads no room but its own', async () => {
    const end = await murmur(['--help'], { NODE_DEBUG: 'esm' });
    expect(end.err).toContain('src/cli/program.ts');
    for (const room of ['kube', 'operator', 'validator', 'trust', 'overlay']) {
      expect(end.err).not.toContain(`src/${room}/`);
    }
  });

  it('tells its version', async () => {
    expect((await murmur(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('misuse ends with code 2 and a way out', () => {
  it.each([
    ['an unknown command', ['fly'], "unknown command 'fly'"],
    ['no command', [], 'Usage: murmur'],
    ['an unknown flag', ['status', '--fast'], "unknown option '--fast'"],
    ['a duration that is none', ['up', '--timeout', 'soon'], 'Write a duration such as'],
    ['a format that is none', ['status', '-o', 'xml'], 'Allowed choices are json'],
    [
      'a network without a namespace',
      ['validator', '--name', 'a', '--authority', 'x', '--network', 'n'],
      'namespace/network',
    ],
    ['an address that is none', ['operator', '--image', 'i', '--metrics-address', '8080'], ':8080'],
    ['a validator without a name', ['validator'], "'--name <name>'"],
    ['a model that is not named', ['predict', '--file', 'x.json'], "'model'"],
    ['a search in a format that is none', ['search', '-o', 'xml'], 'Allowed choices are json, wide'],
    ['a search for a novel', ['search', 'word '.repeat(60)], 'at most 256'],
    ['a pull of nothing', ['pull'], "'model'"],
    ['a pull of a version that is none', ['pull', 'digits', '--version', '7'], '"7" is no CID of a version'],
    ['a pull over something else', ['pull', 'digits', '--out', '/'], '/ is there and is no pulled model'],
    ['a key without a place', ['key', 'export'], "'--out <file>'"],
    ['an operator that knows no namespace', ['operator', '--image', 'i'], 'POD_NAMESPACE'],
    ['a manifest that is not there', ['up', '--manifest', 'no.yaml'], 'no.yaml cannot be read'],
    ['a context for a cluster of its own', ['up', '--context', 'prod'], 'CLUSTER=current'],
    ['a kubeconfig that is not there', ['status', '--kubeconfig', '/nowhere/config'], 'no kubeconfig /nowhere/config'],
    ['a live table without a terminal', ['top'], 'murmur status'],
    ['rows that are not there', ['predict', 'digits', '--file', 'no.json'], 'no.json cannot be read'],
  ])('%s', async (_what, words, says) => {
    const end = await murmur(words);
    expect(end.err).toContain(says);
    expect(end.err).not.toMatch(/^ +at /m);
    expect(end).toMatchObject({ code: 2, out: '' });
  });

  it('CLUSTER with another value', async () => {
    expect(await murmur(['up'], { CLUSTER: 'mine' })).toMatchObject({ code: 2 });
  });

  it('a log level that is none', async () => {
    const end = await murmur(['signer'], { LOG_LEVEL: 'loud' });
    expect(end).toMatchObject({ code: 2 });
    expect(end.err).toContain('Fix: Set it to one of trace, debug');
  });
});

describe('failure ends with code 1, in words', () => {
  it('where no cluster is known', async () => {
    const end = await murmur(['status']);
    expect(end.code).toBe(1);
    expect(end.err).toMatch(/^murmur: No cluster is known.*\nFix: .*murmur up/);
  });

  it('where the API server does not answer', async () => {
    const end = await murmur(['status', '--kubeconfig', await kubeconfig('http://127.0.0.1:9')]);
    expect(end.code).toBe(1);
    expect(end.err).toMatch(/The API server http:\/\/127\.0\.0\.1:9 does not answer/);
    expect(end.err).not.toMatch(/^ +at /m);
  });

  it('with a stack where --debug asks for it', async () => {
    const end = await murmur(['status', '--debug', '--kubeconfig', await kubeconfig('http://127.0.0.1:9')]);
    expect(end.err).toMatch(/^ +at /m);
  });

  it('where the cluster does not know the kinds', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ kind: 'Status', reason: 'NotFound', code: 404, message: 'no such page' }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const end = await murmur(['status', '--kubeconfig', await kubeconfig(`http://127.0.0.1:${port}`)]);
      expect(end.code).toBe(1);
      expect(end.err).toContain('does not know the kinds of Murmuration');
    } finally {
      server.close();
    }
  });
});
