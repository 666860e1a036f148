import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelData } from '../../../src/api/index.ts';
import { DataError } from '../../../src/learning/errors.ts';
import { type FetchLike, loadData, type SourceContext } from '../../../src/learning/source.ts';
import { DIGITS, digitsSpec } from './fleet.ts';

const dataDir = fileURLToPath(new URL('../../../data', import.meta.url));
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const noFetch: FetchLike = () => Promise.reject(new Error('no network here'));
const data = (changes: object): ModelData => ({ ...digitsSpec().data, ...changes }) as ModelData;
const url = 'https://example.test/data/train.csv';

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
    const bytes = await loadData(data({ sha256: sha256(DIGITS) }), { dataDir, fetch: noFetch });
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
      const bytes = await loadData(spec, { dataDir, mounts, fetch: noFetch });
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

  it.each(['../etc/passwd', 'a/../../x', '..'])('does not leave the volume by %s', async (outside) => {
    const spec = data({ source: { claim: { claimName: 'table', path: outside } } });
    expect((await problemOf(spec, { mounts: { claim: mount } })).message).toContain('not inside the volume');
  });

  it('downloads in pieces', async () => {
    const bytes = await loadData(data({ source: { url } }), { dataDir, fetch: answering(200, '1,', '0\n') });
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
    expect(problem.message).toMatch(/timeout/);
  });

  it('refuses a file larger than allowed without reading it', async () => {
    expect((await problemOf(data({}), { maxBytes: 1000 })).reason).toBe('DataTooLarge');
  });
});
