import type { CID } from 'multiformats/cid';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cidOf, DAG_CBOR } from '../../../src/chunks/index.ts';
import { createGateway } from '../../../src/validator/gateway.ts';

describe('a block, as from an IPFS gateway', () => {
  const bytes = Buffer.from('weights');
  const cid = cidOf(bytes);
  const blocks = (block: (cid: CID) => Promise<Uint8Array | undefined>) => {
    const http = createGateway(block);
    onTestFinished(() => http.close());
    return { http, get: (url: string) => http.inject({ url }) };
  };
  const store = () => blocks(async (wanted) => (wanted.equals(cid) ? bytes : undefined));
  const raw = { accept: 'application/vnd.ipld.raw' };

  it.each([
    ['format=raw', `/ipfs/${cid}?format=raw`, {}],
    ['Accept', `/ipfs/${cid}`, raw],
  ])('is asked for by %s and may be kept for ever', async (_how, url, headers) => {
    const one = store();
    const answer = await one.http.inject({ url, headers });
    expect(answer.statusCode).toBe(200);
    expect(answer.rawPayload.equals(bytes)).toBe(true);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/vnd.ipld.raw',
      'content-length': '7',
      'cache-control': 'public, max-age=29030400, immutable',
      etag: `"${cid}.raw"`,
      'x-ipfs-path': `/ipfs/${cid}`,
      'x-content-type-options': 'nosniff',
      'content-disposition': `attachment; filename="${cid}.bin"`,
    });
  });

  it('is the same block whatever base its CID is written in', async () => {
    const one = store();
    const { base58btc } = await import('multiformats/bases/base58');
    const answer = await one.get(`/ipfs/${cid.toString(base58btc)}?format=raw`);
    expect([answer.statusCode, answer.headers['x-ipfs-path']]).toEqual([200, `/ipfs/${cid}`]);
  });

  it('is not sent again to who has it, and HEAD sends its size alone', async () => {
    const one = store();
    const url = `/ipfs/${cid}?format=raw`;
    const again = await one.http.inject({ url, headers: { 'if-none-match': `W/"x", "${cid}.raw"` } });
    expect([again.statusCode, again.body]).toEqual([304, '']);
    const head = await one.http.inject({ method: 'HEAD', url });
    expect([head.statusCode, head.headers['content-length'], head.body]).toEqual([200, '7', '']);
  });

  it.each([
    [404, 'a block that is not here', `/ipfs/${cidOf(Buffer.from('other'))}?format=raw`],
    [404, 'a CID of another kind', '/ipfs/QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n?format=raw'],
    [404, 'the same bytes under another codec', `/ipfs/${cidOf(bytes, DAG_CBOR)}?format=raw`],
    [400, 'no CID', '/ipfs/..%2f..%2fetc%2fpasswd?format=raw'],
    [400, 'a CID without end', `/ipfs/b${'a'.repeat(90)}?format=raw`],
    [406, 'another format', `/ipfs/${cid}?format=car`],
    [406, 'no format', `/ipfs/${cid}`],
  ])('says %i for %s, and lets nobody keep that', async (code, _what, url) => {
    const one = store();
    const answer = await one.get(url);
    expect([answer.statusCode, Object.keys(answer.json())]).toEqual([code, ['error']]);
    expect(answer.headers['cache-control'] ?? 'no-store').toBe('no-store');
    expect(answer.headers.etag).toBeUndefined();
  });

  it('is put off while too many are read', async () => {
    const open = Promise.withResolvers<void>();
    const slow = blocks(async () => {
      await open.promise;
      return bytes;
    });
    const url = `/ipfs/${cid}?format=raw`;
    const asked = Array.from({ length: 17 }, () => slow.get(url));
    const first = await Promise.race(asked);
    expect(first.statusCode).toBe(503);
    open.resolve();
    const codes = (await Promise.all(asked)).map(({ statusCode }) => statusCode);
    expect(codes.filter((code) => code === 200)).toHaveLength(16);
    expect((await slow.get(url)).statusCode).toBe(200);
  });
});
