import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AlreadyExists,
  BadAnswer,
  type Client,
  ConfigMap,
  Conflict,
  ConnectionFailed,
  DeadlineExceeded,
  FencedOff,
  Gone,
  Invalid,
  LeaseFence,
  NotFound,
  Pod,
  systemClock,
  TooManyRequests,
  type Written,
} from '../../../src/kube/index.ts';
import { Widget, widget } from './objects.ts';
import { hang, json, reset, ScriptedServer, status, stream } from './scripted-server.ts';

const key = { namespace: 'ns', name: 'a' };
const config = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'a', namespace: 'ns' },
  data: { x: '1' },
} as const;

describe('the client', () => {
  let server: ScriptedServer;
  let client: Client;

  beforeEach(async () => {
    server = new ScriptedServer();
    await server.start();
    client = server.client();
  });

  afterEach(async () => {
    await client.close();
    await server.stop();
  });

  it('speaks of kinds by group, version and plural, with its token, over few connections', async () => {
    server.play(json(200, {}), json(200, {}), json(200, {}));
    await client.get(Pod, key);
    await client.get(Widget, key);
    await client.raw('/version');
    expect(server.asked.map(({ url }) => url.pathname)).toEqual([
      '/api/v1/namespaces/ns/pods/a',
      '/apis/test.dev/v1/namespaces/ns/widgets/a',
      '/version',
    ]);
    expect(server.asked[0]?.headers.authorization).toBe('Bearer secret');
    server.play(...Array.from({ length: 20 }, () => json(200, {})));
    for (let call = 0; call < 20; call += 1) await client.raw('/version');
    expect(server.connections).toBeLessThanOrEqual(2);
  });

  it('returns unknown fields as they are', async () => {
    server.play(json(200, { spec: { 'x-kubernetes-odd': true, port: '80%' } }));
    expect(await client.get(Pod, key)).toEqual({ spec: { 'x-kubernetes-odd': true, port: '80%' } });
  });

  it.each([
    [404, 'NotFound', NotFound],
    [409, 'Conflict', Conflict],
    [409, 'AlreadyExists', AlreadyExists],
    [410, 'Expired', Gone],
    [422, 'Invalid', Invalid],
  ])(
    'throws a class of its own for %i %s, which says what was tried and what the server said',
    async (code, reason, type) => {
      server.play(status(code, reason));
      const error = await client.create(ConfigMap, config).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toBe(`create ConfigMap ns/a: ${code} ${reason}: it is ${reason}`);
    },
  );

  it('finds nothing where there is nothing', async () => {
    server.play(status(404, 'NotFound'));
    expect(await client.find(ConfigMap, key)).toBeUndefined();
  });

  it('waits as Retry-After says, also for a create', async () => {
    server.play(
      status(429, 'TooManyRequests', {}, { 'retry-after': '0' }),
      status(503, 'ServiceUnavailable', {}, { 'retry-after': '0' }),
      json(201, config),
    );
    expect(await client.create(ConfigMap, config)).toEqual(config);
    expect(server.asked).toHaveLength(3);
  });

  it('gives up after its attempts', async () => {
    server.play(...Array.from({ length: 9 }, () => status(429, 'TooManyRequests', {}, { 'retry-after': '0' })));
    await expect(client.get(Pod, key)).rejects.toThrow(TooManyRequests);
    expect(server.asked).toHaveLength(5);
  });

  it('repeats what is harmless after a reset', async () => {
    server.play(reset, json(200, config));
    await client.apply(ConfigMap, config, { fieldManager: 'me' });
    expect(server.asked.map(({ url }) => url.search)).toEqual(Array(2).fill('?fieldManager=me&force=true'));
  });

  it('does not repeat a create that may have happened', async () => {
    server.play(reset, json(201, config));
    await expect(client.create(ConfigMap, config)).rejects.toThrow(ConnectionFailed);
    expect(server.asked).toHaveLength(1);
  });

  it('ends a call that hangs at its deadline', async () => {
    server.play(hang);
    await expect(client.get(Pod, key, { deadlineMs: 60 })).rejects.toThrow(DeadlineExceeded);
  });

  it('ends a call by its signal, also while it waits to repeat it', async () => {
    server.play(status(429, 'TooManyRequests', {}, { 'retry-after': '60' }));
    const stop = new AbortController();
    const call = client.get(Pod, key, { signal: stop.signal });
    await server.whenAsked(1);
    stop.abort(new Error('enough'));
    await expect(call).rejects.toThrow('enough');
  });

  it('reads a list page by page, and starts over when the token is too old', async () => {
    const page = (names: string[], next: string) =>
      json(200, {
        metadata: { resourceVersion: '7', continue: next },
        items: names.map((name) => ({ metadata: { name } })),
      });
    server.play(page(['a'], 'more'), status(410, 'Expired'), page(['a'], 'more'), page(['b'], ''));
    const list = await client.list(Pod, { namespace: 'ns', selector: { labels: { app: 'x' } } });
    expect(list.resourceVersion).toBe('7');
    expect(list.items.map((item) => [item.kind, item.metadata.name])).toEqual([
      ['Pod', 'a'],
      ['Pod', 'b'],
    ]);
    expect(server.asked[3]?.url.search).toBe('?labelSelector=app%3Dx&limit=500&continue=more');
  });

  it('locks a status patch on the version that was read', async () => {
    server.play(json(200, widget('a', 5)));
    await client.patchStatus(Widget, key, { ready: true }, { resourceVersion: '4' });
    const [asked] = server.asked;
    expect(asked?.url.pathname).toBe('/apis/test.dev/v1/namespaces/ns/widgets/a/status');
    expect(asked?.headers['content-type']).toBe('application/merge-patch+json');
    expect(JSON.parse(asked?.body ?? '')).toEqual({ status: { ready: true }, metadata: { resourceVersion: '4' } });
  });

  it('deletes only the object it means, and tells what became of it', async () => {
    const written: Written[] = [];
    const telling = client.with({ onWritten: (one) => written.push(one) });
    server.play(
      json(200, { kind: 'Status', status: 'Success', details: { uid: 'u1' } }),
      json(200, {
        ...widget('b', 6),
        metadata: { ...widget('b', 6).metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
      }),
    );
    expect(await telling.delete(Widget, key, { uid: 'u1' })).toBeUndefined();
    expect((await telling.delete(Widget, { namespace: 'ns', name: 'b' }))?.metadata.name).toBe('b');
    expect(JSON.parse(server.asked[0]?.body ?? '').preconditions).toEqual({ uid: 'u1' });
    expect(written.map(({ type }) => type)).toEqual(['removed', 'stored']);
  });

  it('sends no write through a closed fence, but reads', async () => {
    const fenced = client.with({ fence: new LeaseFence(systemClock) });
    server.play(json(200, {}));
    await expect(fenced.apply(ConfigMap, config, { fieldManager: 'me' })).rejects.toThrow(FencedOff);
    await expect(fenced.delete(ConfigMap, key)).rejects.toThrow(FencedOff);
    await expect(fenced.scale(ConfigMap, key, 3)).rejects.toThrow(FencedOff);
    await expect(fenced.create(ConfigMap, config)).rejects.toThrow(FencedOff);
    expect(server.asked).toHaveLength(0);
    await fenced.get(ConfigMap, key);
    expect(server.asked).toHaveLength(1);
  });

  it('cuts a write off when the fence closes', async () => {
    const fence = new LeaseFence(systemClock);
    fence.allowUntil(systemClock.monotonic() + 60);
    server.play(hang);
    await expect(client.with({ fence }).create(ConfigMap, config)).rejects.toThrow(/cut off/);
  });

  it('refuses an answer that is too long or no JSON', async () => {
    server.play(json(200, { long: 'x'.repeat(2000) }), (_, response) => response.end('<html>'));
    await expect(client.with({ maxAnswerBytes: 1000 }).get(Pod, key)).rejects.toThrow(BadAnswer);
    await expect(client.get(Pod, key)).rejects.toThrow(/no JSON: <html>/);
  });

  it('needs a namespace for a namespaced kind, before it asks anyone', async () => {
    await expect(client.get(Pod, { namespace: '', name: 'a' })).rejects.toThrow(/needs a namespace/);
    await expect(
      client.create(ConfigMap, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }),
    ).rejects.toThrow(/needs metadata.namespace/);
    expect(server.asked).toHaveLength(0);
  });

  describe('watching', () => {
    const options = { timeoutSeconds: 300, idleMs: 5000, signal: new AbortController().signal };
    const event = (name: string, version: number) => ({ type: 'ADDED', object: widget(name, version) });
    const read = async (events: AsyncIterable<readonly { object: unknown }[]>) => {
      const names: string[] = [];
      for await (const batch of events)
        for (const { object } of batch) names.push((object as { metadata: { name: string } }).metadata.name);
      return names;
    };

    it('yields events also when they come in pieces', async () => {
      const text = `${JSON.stringify(event('a', 1))}\n${JSON.stringify(event('\u00e4\u20ac', 2))}\n`;
      server.play((_, response) => {
        const bytes = Buffer.from(text);
        let at = 0;
        const next = () => {
          if (at >= bytes.length) return void response.end();
          response.write(bytes.subarray(at, at + 40), () => setImmediate(next));
          at += 40;
        };
        next();
      });
      expect(await read(await client.watch(Widget, options))).toEqual(['a', '\u00e4\u20ac']);
    });

    it('takes a stream cut inside an event for broken', async () => {
      server.play(stream([event('a', 1), '{"type":"ADDED","obj'], 'end'));
      await expect(client.watch(Widget, options).then(read)).rejects.toThrow(/ended inside an event/);
    });

    it('gives up a silent connection', async () => {
      server.play(stream([event('a', 1)]));
      await expect(client.watch(Widget, { ...options, idleMs: 60 }).then(read)).rejects.toThrow(/taken for dead/);
    });

    it('gives up a server that never answers', async () => {
      server.play(hang);
      await expect(client.watch(Widget, { ...options, idleMs: 60 })).rejects.toThrow(/no answer within 60 ms/);
    });

    it('can be ended before it is answered', async () => {
      server.play(hang);
      const stop = new AbortController();
      const opening = client.watch(Widget, { ...options, signal: stop.signal });
      await server.whenAsked(1);
      stop.abort(new Error('enough'));
      await expect(opening).rejects.toThrow('enough');
    });

    it('leaves nothing open when it is ended before anyone reads it', async () => {
      server.play(stream([event('a', 1)]));
      const events = await client.watch(Widget, options);
      await events[Symbol.asyncIterator]().return?.();
      await expect.poll(() => server.connections, { timeout: 20_000 }).toBe(0);
    });

    it('refuses an event that is too long', async () => {
      server.play(stream([{ type: 'ADDED', object: { long: 'x'.repeat(5000) } }]));
      await expect(client.with({ maxEventBytes: 1000 }).watch(Widget, options).then(read)).rejects.toThrow(
        /more than 1000 bytes/,
      );
    });
  });
});
