import { describe, expect, it } from 'vitest';
import { Client, type EventNote, EventSeriesRecorder, silent, type Transport } from '../../../src/kube/index.ts';
import { StillClock, settle } from './clock.ts';
import { widget } from './objects.ts';

function recorder(answers: (method: string) => number = () => 200, takesMs = 0) {
  const clock = new StillClock();
  const asked: { method: string; path: string; body: Record<string, unknown> }[] = [];
  const transport: Transport = {
    host: 'memory',
    refreshCredentials() {},
    close: async () => undefined,
    request: async ({ method, path, body = '{}' }) => {
      asked.push({ method, path, body: JSON.parse(body) });
      if (takesMs > 0) await new Promise<void>((resolve) => void clock.after(takesMs, resolve));
      const status = answers(method);
      const text =
        status < 300
          ? body
          : JSON.stringify({ kind: 'Status', code: status, reason: status === 404 ? 'NotFound' : 'Forbidden' });
      return {
        status,
        retryAfter: undefined,
        body: (async function* () {
          yield Buffer.from(text);
        })(),
      };
    },
  };
  const client = new Client({ transport, clock, random: () => 0 });
  let turn = 0;
  const warned: unknown[] = [];
  const events = new EventSeriesRecorder({
    client,
    clock,
    random: () => (turn++ % 1000) / 1000,
    log: { ...silent, warn: (fields) => warned.push(fields) },
    controller: 'test.dev/c',
    instance: 'me',
  });
  return { clock, asked, events, warned };
}

const note: EventNote = { type: 'Warning', reason: 'Broken', action: 'Fix', note: 'it is broken' };

describe('the event recorder', () => {
  it('writes an event as events.k8s.io/v1 wants it', async () => {
    const { asked, events } = recorder();
    events.record(widget('a', 5), { ...note, related: widget('b', 6) });
    await settle();
    expect(asked).toHaveLength(1);
    expect(asked[0]?.path).toBe('/apis/events.k8s.io/v1/namespaces/ns/events');
    expect(asked[0]?.body).toMatchObject({
      ...note,
      reportingController: 'test.dev/c',
      reportingInstance: 'me',
      eventTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      regarding: { kind: 'Widget', namespace: 'ns', name: 'a', uid: 'uid-a' },
      related: { name: 'b' },
    });
  });

  it('counts repeats in a series: the first at once, the others every 30 s, the rest at the end', async () => {
    const { clock, asked, events } = recorder();
    for (let times = 0; times < 4; times += 1) {
      events.record(widget('a', 5), note);
      await clock.pass(1000);
    }
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'PATCH']);
    expect(asked[1]?.body).toMatchObject({ series: { count: 2 } });
    await clock.pass(30_000);
    expect(asked[2]?.body).toMatchObject({ series: { count: 4 } });
    events.record(widget('a', 5), note);
    await events.stop();
    expect(asked[3]?.body).toMatchObject({ series: { count: 5 } });
    expect(asked).toHaveLength(4);
  });

  it('begins a new series for another note, and after six quiet minutes', async () => {
    const { clock, asked, events } = recorder();
    events.record(widget('a', 5), note);
    events.record(widget('a', 5), { ...note, note: 'differently broken' });
    await clock.pass(6 * 60_000 + 1);
    events.record(widget('a', 5), note);
    await clock.pass(0);
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'POST', 'POST']);
  });

  it('tells anew what the server has forgotten', async () => {
    const { clock, asked, events } = recorder((method) => (method === 'PATCH' ? 404 : 200));
    events.record(widget('a', 5), note);
    await clock.pass(1000);
    events.record(widget('a', 5), note);
    await clock.pass(1000);
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'PATCH', 'POST']);
  });

  it('drops what is too much, says so once, and does not make who stops wait for it', async () => {
    const { clock, asked, events, warned } = recorder(() => 200, 100);
    for (let at = 0; at < 1_100; at += 1) events.record(widget(`w${at}`, 5), note);
    await clock.pass(500);
    expect(asked).toHaveLength(6);
    const stopped = events.stop(1_000);
    await clock.pass(1_100);
    await stopped;
    expect(asked.length).toBeLessThan(20);
    expect(warned).toEqual([{ events: 1_100 - asked.length }]);
  });

  it('does not fail who records when it cannot write, and cuts a note that is too long', async () => {
    const { clock, asked, events } = recorder(() => 403);
    events.record(widget('a', 5), { ...note, note: '\u20ac'.repeat(1000) });
    await clock.pass(1000);
    const written = String(asked[0]?.body.note);
    expect(Buffer.byteLength(written)).toBeLessThanOrEqual(1024);
    expect(written.endsWith('\u20ac\u2026')).toBe(true);
    await events.stop();
  });
});
