import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Interaction, Refusal, type RequestError } from '../../../src/overlay/index.ts';
import { eventually, Fleet, type TestPeer } from './fleet.ts';

const protocol = '/murmuration/echo/1.0.0';
const kib = 1024;
const options = { timeoutMs: 3000, maxReplyBytes: 300 * kib };

let fleet: Fleet;
let asker: TestPeer;
let server: TestPeer;
let seen: [string, Interaction][];
beforeEach(async () => {
  fleet = await Fleet.create();
  [asker, server] = (await fleet.flock(2)) as [TestPeer, TestPeer];
  seen = [];
  for (const { overlay } of [asker, server]) overlay.onInteraction((peer, event) => seen.push([peer, event]));
});
afterEach(async () => {
  await fleet.stop();
});

const ask = (bytes: Uint8Array, more: Partial<typeof options> & { signal?: AbortSignal } = {}) =>
  asker.overlay.request(server.key.peerId, protocol, bytes, { ...options, ...more });

const failure = (promise: Promise<unknown>): Promise<RequestError> =>
  promise.then(
    () => {
      throw new Error('it was answered');
    },
    (error: RequestError) => error,
  );

describe('a request', () => {
  it('is answered, with the asker known by its verified peer id', async () => {
    let from = '';
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 1000 }, async (bytes, peer) => {
      from = peer;
      return bytes.toReversed();
    });
    await expect(ask(Uint8Array.of(1, 2, 3))).resolves.toEqual(Uint8Array.of(3, 2, 1));
    expect(from).toBe(asker.key.peerId);
    expect(seen).toContainEqual([server.key.peerId, 'ok']);
  });

  it('carries frames of many packets both ways, 32 at once', async () => {
    server.overlay.handle(
      protocol,
      { maxRequestBytes: 300 * kib, timeoutMs: 5000, maxConcurrentPerPeer: 32 },
      async (bytes) => bytes,
    );
    const bodies = Array.from({ length: 32 }, (_, i) => new Uint8Array(256 * kib).fill(i));
    const replies = await Promise.all(bodies.map((b) => ask(b, { timeoutMs: 10_000 })));
    for (const [i, reply] of replies.entries()) expect(Buffer.compare(reply, bodies[i]!)).toBe(0);
  });

  it('may be empty, and so may the reply', async () => {
    server.overlay.handle(protocol, { maxRequestBytes: 0, timeoutMs: 1000 }, async () => new Uint8Array());
    await expect(ask(new Uint8Array())).resolves.toEqual(new Uint8Array());
  });

  it('that is refused says so with code and words', async () => {
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 1000 }, async () => {
      throw new Refusal('not-here', 'chunk 7 is at flock-2');
    });
    const error = await failure(ask(new Uint8Array(1)));
    expect(error).toMatchObject({ name: 'RequestError', kind: 'refused', code: 'not-here' });
    expect(error.message).toContain('chunk 7 is at flock-2');
    expect(seen).toContainEqual([server.key.peerId, 'refused']);
  });

  it('whose handler breaks fails as remote and tells nothing of the inside', async () => {
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 1000 }, async () => {
      throw new Error('secret path /data/key');
    });
    const error = await failure(ask(new Uint8Array(1)));
    expect(error.kind).toBe('remote');
    expect(error.message).not.toContain('secret');
  });

  it('that is over the limit is refused without being read', async () => {
    let called = false;
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 1000 }, async (bytes) => {
      called = true;
      return bytes;
    });
    expect((await failure(ask(new Uint8Array(200 * kib)))).kind).toBe('too-large');
    expect(called).toBe(false);
    expect(seen).toContainEqual([asker.key.peerId, 'oversize']);
  });

  it('does not take a reply over the limit', async () => {
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 1000 }, async () => new Uint8Array(100 * kib));
    expect((await failure(ask(new Uint8Array(1), { maxReplyBytes: 10 * kib }))).kind).toBe('too-large');
    expect(seen).toContainEqual([server.key.peerId, 'oversize']);
  });

  it('that is not answered in time ends, and the handler hears of it', async () => {
    let aborted = false;
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 20_000 }, (_bytes, _from, signal) => {
      signal.addEventListener('abort', () => {
        aborted = true;
      });
      return new Promise(() => undefined);
    });
    const error = await failure(ask(new Uint8Array(1), { timeoutMs: 300 }));
    expect(error.kind).toBe('timeout');
    expect(seen).toContainEqual([server.key.peerId, 'timeout']);
    await eventually('the handler was told to stop', 2000, () => aborted);
  });

  it('that the asker gives up is not held against the peer', async () => {
    server.overlay.handle(protocol, { maxRequestBytes: kib, timeoutMs: 20_000 }, () => new Promise(() => undefined));
    const giveUp = new AbortController();
    const asked = failure(ask(new Uint8Array(1), { signal: giveUp.signal }));
    giveUp.abort(new Error('no longer needed'));
    expect((await asked).kind).toBe('timeout');
    expect(seen.filter(([peer]) => peer === server.key.peerId)).toEqual([]);
  });

  it('beyond what one peer may ask at a time is refused as busy', async () => {
    const release = Promise.withResolvers<void>();
    let running = 0;
    server.overlay.handle(
      protocol,
      { maxRequestBytes: kib, timeoutMs: 5000, maxConcurrentPerPeer: 2 },
      async (bytes) => {
        running += 1;
        await release.promise;
        return bytes;
      },
    );
    const served = [ask(Uint8Array.of(1)), ask(Uint8Array.of(2))];
    await eventually('two are being served', 2000, () => running === 2);
    const error = await failure(ask(Uint8Array.of(3)));
    expect(error).toMatchObject({ kind: 'refused', code: 'busy' });
    release.resolve();
    await expect(Promise.all(served)).resolves.toEqual([Uint8Array.of(1), Uint8Array.of(2)]);
  });

  it('to a protocol that nobody serves, or to no member, is unreachable', async () => {
    expect((await failure(ask(new Uint8Array(1)))).kind).toBe('unreachable');
    const nobody = (await Fleet.create()).authority.peerId;
    const error = await failure(asker.overlay.request(nobody, protocol, new Uint8Array(), options));
    expect(error.kind).toBe('unreachable');
    expect(error.message).toContain('no member');
  });
});

describe('gossip', () => {
  it('of 16 KiB or more is refused where it is said', async () => {
    await expect(asker.overlay.publish('votes', new Uint8Array(16 * kib))).rejects.toThrow('16384');
    await expect(asker.overlay.publish('votes', new Uint8Array(16 * kib - 1))).resolves.toBeUndefined();
  });
});

describe('the DHT', () => {
  it('finds who provides a version', async () => {
    await server.overlay.provide('version:bafy');
    const find = () => asker.overlay.findProviders('version:bafy', AbortSignal.timeout(5000));
    await expect.poll(find, { timeout: 15_000, interval: 50 }).toEqual([server.key.peerId]);
    await expect(asker.overlay.findProviders('version:other', AbortSignal.timeout(5000))).resolves.toEqual([]);
  });
});
