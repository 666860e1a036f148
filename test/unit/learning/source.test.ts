import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelData } from '../../../src/api/index.ts';
import { diskSource } from '../../../src/learning/byte-source.ts';
import type { DataFile } from '../../../src/learning/contract.ts';
import { DataError } from '../../../src/learning/errors.ts';
import { type FetchLike, loadData, type SourceContext } from '../../../src/learning/source.ts';
import { DIGITS, digitsSpec } from './fleet.ts';

const dataDir = fileURLToPath(new URL('../../../data', import.meta.url));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const noFetch: FetchLike = () => Promise.reject(new Error('no network here'));
const data = (changes: object): ModelData => ({ ...digitsSpec().data, ...changes }) as ModelData;
const url = 'https://example.test/data/train.csv';

/** All bytes of what was loaded, and whether they stayed on disk. */
async function contentOf(...given: Parameters<typeof loadData>): Promise<Buffer> {
  const loaded = await loadData(...given);
  try {
    return bytesOf(loaded.file);
  } finally {
    await loaded.release();
  }
}

function bytesOf(file: DataFile): Buffer {
  if (file instanceof Uint8Array) return Buffer.from(file);
  if ('descriptor' in file) return diskSource('spooled', file.descriptor, file.size).read(0, file.size);
  throw new Error('expected one file');
}

async function problemOf(spec: ModelData, context: Partial<SourceContext> = {}): Promise<DataError> {
  const problem = await loadData(spec, { dataDir, fetch: noFetch, ...context }).catch((error: unknown) => error);
  if (problem instanceof DataError) return problem;
  throw new Error(`expected a DataError, got ${String(problem)}`);
}

function answering(status: number, ...parts: string[]): FetchLike {
  return async () => ({
    ok: status === 200,
    status,
    body: (async function* () {
      for (const part of parts) yield new TextEncoder().encode(part);
    })(),
  });
}

let mount: string;
beforeAll(async () => {
  mount = await mkdtemp(path.join(tmpdir(), 'mount-'));
  await writeFile(path.join(mount, 'data.csv'), '1,0\n');
});
afterAll(() => rm(mount, { recursive: true }));

describe('loadData', () => {
  it('gives the bundled digits as stored, and checks their digest', async () => {
    const bytes = await contentOf(data({ sha256: sha256(DIGITS) }), { dataDir, fetch: noFetch });
    expect(Buffer.compare(bytes, DIGITS)).toBe(0);
  });

  it('says which digest it found when it is another one', async () => {
    const problem = await problemOf(data({ sha256: '0'.repeat(64) }));
    expect(problem.reason).toBe('DataDigestMismatch');
    expect(problem.message).toContain(sha256(DIGITS));
  });

  it('reads a ConfigMap and a claim where they are mounted', async () => {
    const configMap = data({ source: { configMap: { name: 'table', key: 'data.csv' } } });
    const claim = data({ source: { claim: { claimName: 'table', path: 'data.csv' } } });
    for (const [spec, mounts] of [
      [configMap, { configMap: mount }],
      [claim, { claim: mount }],
    ] as const) {
      const bytes = await contentOf(spec, { dataDir, mounts, fetch: noFetch });
      expect(Buffer.from(bytes).toString()).toBe('1,0\n');
    }
  });

  it('says where a missing file should be', async () => {
    const spec = data({ source: { configMap: { name: 'table', key: 'other.csv' } } });
    const problem = await problemOf(spec, { mounts: { configMap: mount } });
    expect(problem.reason).toBe('DataUnreachable');
    expect(problem.message).toContain('Put the file into ConfigMap table under key other.csv');
    expect((await problemOf(spec)).message).toContain('not mounted');
  });

  it('follows links within the volume, as ConfigMaps are mounted, and none that lead out', async () => {
    const folder = await mkdtemp(path.join(mount, 'links-'));
    await mkdir(path.join(folder, '..data'));
    await writeFile(path.join(folder, '..data/in.csv'), '1,0\n');
    await symlink('..data/in.csv', path.join(folder, 'in.csv'));
    await symlink('/etc/hostname', path.join(folder, 'out.csv'));
    const from = (key: string) => data({ source: { configMap: { name: 'table', key } } });
    const context = { dataDir, mounts: { configMap: folder }, fetch: noFetch };
    expect((await contentOf(from('in.csv'), context)).toString()).toBe('1,0\n');
    expect((await problemOf(from('out.csv'), context)).message).toContain('leads out of the volume');
  });

  it('does not wait for a pipe', async () => {
    const folder = await mkdtemp(path.join(mount, 'pipe-'));
    execFileSync('mkfifo', [path.join(folder, 'data.csv')]);
    const spec = data({ source: { claim: { claimName: 'table', path: 'data.csv' } } });
    expect((await problemOf(spec, { mounts: { claim: folder } })).message).toContain('neither a file nor a folder');
  });

  it.each(['../etc/passwd', 'a/../../x', '..'])('does not leave the volume by %s', async (outside) => {
    const spec = data({ source: { claim: { claimName: 'table', path: outside } } });
    expect((await problemOf(spec, { mounts: { claim: mount } })).message).toContain('not inside the volume');
  });

  it('downloads in pieces', async () => {
    const bytes = await contentOf(data({ source: { url } }), { dataDir, fetch: answering(200, '1,', '0\n') });
    expect(Buffer.from(bytes).toString()).toBe('1,0\n');
  });

  it.each<[string, FetchLike, string, string]>([
    ['a 404', answering(404), 'DataUnreachable', 'answered with status 404'],
    ['a refused connection', noFetch, 'DataUnreachable', 'no network here'],
    ['more bytes than allowed', answering(200, 'x'.repeat(600), 'x'.repeat(600)), 'DataTooLarge', 'more than 1000'],
  ])('tells of %s', async (_, fetch, reason, says) => {
    const problem = await problemOf(data({ source: { url } }), { fetch, maxBytes: 1000 });
    expect(problem.reason).toBe(reason);
    expect(problem.message).toContain(says);
  });

  it('gives up after its deadline', async () => {
    const silent: FetchLike = (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const problem = await problemOf(data({ source: { url } }), { fetch: silent, deadlineMilliseconds: 20 });
    expect(problem.reason).toBe('DataUnreachable');
    expect(problem.message).toContain('it took longer than 0.02 s');
  });

  it('refuses a file larger than allowed without reading it', async () => {
    expect((await problemOf(data({}), { maxBytes: 1000 })).reason).toBe('DataTooLarge');
  });

  it('keeps a large download on disk, without a name, and a small one in memory', async () => {
    const spec = data({ source: { url }, sha256: sha256(Buffer.from('1,0\n'.repeat(100))) });
    const fetch = answering(200, ...new Array<string>(100).fill('1,0\n'));
    const scratch = await mkdtemp(path.join(mount, 'scratch-'));
    const { file, release } = await loadData(spec, { dataDir, fetch, memoryBytes: 50, scratch });
    expect(file).toMatchObject({ size: 400 });
    expect(bytesOf(file).toString()).toBe('1,0\n'.repeat(100));
    expect(await readdir(scratch)).toEqual([]);
    await release();
    expect(() => bytesOf(file)).toThrow('EBADF');
    expect((await loadData(spec, { dataDir, fetch, memoryBytes: 400 })).file).toBeInstanceOf(Uint8Array);
  });

  it('checks the digest of a large file, and lets go of it when it is another one', async () => {
    const descriptors = () => readdirSync('/proc/self/fd').length;
    const fetch = answering(200, '1,0\n'.repeat(100));
    const before = descriptors();
    const spec = data({ source: { url }, sha256: '0'.repeat(64) });
    expect((await problemOf(spec, { fetch, memoryBytes: 50 })).reason).toBe('DataDigestMismatch');
    expect(descriptors()).toBe(before);
  });

  it('reads a large file of a claim where it lies; with a digest, what was checked is what is read', async () => {
    const folder = await mkdtemp(path.join(mount, 'claim-'));
    const file = path.join(folder, 'large.csv');
    await writeFile(file, '1,0\n');
    const source = { claim: { claimName: 'table', path: 'large.csv' } };
    const context = { dataDir, mounts: { claim: folder }, fetch: noFetch, memoryBytes: 1 };
    const [inPlace, copied] = [
      await loadData(data({ source }), context),
      await loadData(data({ source, sha256: sha256(Buffer.from('1,0\n')) }), context),
    ];
    await writeFile(file, '2,1\n');
    expect(bytesOf(inPlace.file).toString()).toBe('2,1\n');
    expect(bytesOf(copied.file).toString()).toBe('1,0\n');
    await Promise.all([inPlace.release(), copied.release()]);
  });

  it('gives a folder of a claim, which has no digest', async () => {
    const folder = await mkdtemp(path.join(mount, 'claim-'));
    await mkdir(path.join(folder, 'images'));
    const spec = data({ source: { claim: { claimName: 'table', path: 'images' } } });
    const context = { dataDir, mounts: { claim: folder }, fetch: noFetch };
    expect((await loadData(spec, context)).file).toEqual({ folder: path.join(folder, 'images') });
    const problem = await problemOf({ ...spec, sha256: '0'.repeat(64) }, context);
    expect(problem.reason).toBe('DataDigestMismatch');
    expect(problem.message).toContain('images is a folder, which has no sha256. Remove data.sha256');
  });

  it.each([
    [{ url }, 'https://example.test/data/labels.gz'],
    [{ configMap: { name: 'table', key: 'rows' } }, 'labels.gz'],
    [{ claim: { claimName: 'table', path: 'mnist/rows' } }, 'mnist/labels.gz'],
  ])('looks for labels beside the records: %j', async (source, place) => {
    const folder = await mkdtemp(path.join(mount, 'labels-'));
    await mkdir(path.join(folder, 'mnist'));
    for (const name of ['rows', 'mnist/rows']) await writeFile(path.join(folder, name), 'rows');
    for (const name of ['labels.gz', 'mnist/labels.gz']) await writeFile(path.join(folder, name), name);
    const fetch: FetchLike = (which, init) => answering(200, which === url ? 'rows' : which)(which, init);
    const mounts = { configMap: folder, claim: folder };
    const spec = data({ source, labels: { file: 'labels.gz' } });
    const { file } = await loadData(spec, { dataDir, mounts, fetch });
    if (!('labels' in file)) throw new Error('there are no labels');
    expect([bytesOf(file.records).toString(), bytesOf(file.labels).toString()]).toEqual(['rows', place]);
    const wrong = { ...spec, labels: { file: 'labels.gz', sha256: '0'.repeat(64) } };
    expect((await problemOf(wrong, { mounts, fetch })).message).toContain('data.labels.sha256 is 000');
  });

  it('takes a file that comes slowly, but comes', async () => {
    const part = Buffer.alloc(64 * 1024);
    const slow: FetchLike = async () => ({
      ok: true,
      status: 200,
      body: (async function* () {
        for (let i = 0; i < 8; i++) {
          await new Promise((resolve) => setTimeout(resolve, 10));
          yield part;
        }
      })(),
    });
    const content = await contentOf(data({ source: { url } }), { dataDir, fetch: slow, deadlineMilliseconds: 30 });
    expect(content.length).toBe(8 * part.length);
  });
});
