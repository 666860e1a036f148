import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, type Clock, Store, silent, systemClock, Watcher } from '../../../src/kube/index.ts';
import { Widget, type Widget as WidgetObject, widget } from './objects.ts';
import { type Act, hang, json, reset, ScriptedServer, status, stream } from './scripted-server.ts';

/** Delays of 0.8..30 s are passed over, but remembered. */
class HastyClock implements Clock {
  readonly delays: number[] = [];
  now = systemClock.now;
  monotonic = systemClock.monotonic;
  after(ms: number, run: () => void): () => void {
    if (ms < 300 || ms >= 59_000) return systemClock.after(ms, run);
    this.delays.push(ms);
    return systemClock.after(1, run);
  }
}

const added = (name: string, version: number, more: Parameters<typeof widget>[2] = {}) => ({
  type: 'ADDED',
  object: widget(name, version, more),
});
const modified = (name: string, version: number) => ({ type: 'MODIFIED', object: widget(name, version) });
const deleted = (name: string, version: number) => ({ type: 'DELETED', object: widget(name, version) });
const bookmark = (version: number) => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: String(version) } },
});
const end = (version: number) => ({
  type: 'BOOKMARK',
  object: { metadata: { resourceVersion: String(version), annotations: { 'k8s.io/initial-events-end': 'true' } } },
});
const failure = (code: number, reason: string) => ({
  type: 'ERROR',
  object: { kind: 'Status', code, reason, message: reason },
});
const list = (version: number, names: readonly string[], next = ''): Act =>
  json(200, {
    metadata: { resourceVersion: String(version), continue: next },
    items: names.map((name) => widget(name, version - 1)),
  });
const unserved = status(422, 'Invalid', { message: 'sendInitialEvents is forbidden' });

describe('the watcher', () => {
  let server: ScriptedServer;
  let client: Client;
  let store: Store<WidgetObject>;
  let clock: HastyClock;
  let watcher: Watcher<WidgetObject>;
  let running: Promise<void>;
  let stop: AbortController;
  let told: string[];

  beforeEach(async () => {
    server = new ScriptedServer();
    await server.start();
    client = server.client();
    clock = new HastyClock();
    store = new Store<WidgetObject>();
    told = [];
    store.subscribe(({ type, object }) =>
      told.push(`${type} ${object.metadata.name}@${object.metadata.resourceVersion}`),
    );
    stop = new AbortController();
    watch(5000);
  });

  /** The watcher under test: `idleMs` after which a silent connection is dead, `behindMs` after which an old state is new. */
  function watch(idleMs: number, behindMs?: number): void {
    watcher = new Watcher({
      client,
      kind: Widget,
      namespace: '',
      clock,
      random: () => 0.5,
      log: silent,
      idleMs,
      behindMs,
      onNews: (news) => store.feed(news),
    });
  }

  afterEach(async () => {
    stop.abort(new Error('the test is over'));
    await running;
    await client.close();
    await server.stop();
  });

  /** Runs until `names` is what the store holds and `requests` requests have come. */
  async function follow(names: readonly string[], requests: number) {
    running = watcher.run(stop.signal);
    await server.whenAsked(requests);
    const now = () =>
      store
        .list()
        .map((object) => object.metadata.name)
        .sort()
        .join();
    const wanted = [...names].sort().join();
    const until = Date.now() + 20_000;
    while (now() !== wanted) {
      if (Date.now() > until) throw new Error(`waited 20 s for ${wanted}, the store holds ${now()}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  const asked = (at: number) => Object.fromEntries(server.asked[at]?.url.searchParams ?? []);

  it('takes the list from the watch where it is served', async () => {
    server.play(stream([added('a', 3), added('b', 4), end(9), modified('a', 11)]));
    await follow(['a', 'b'], 1);
    expect(told).toEqual(['added a@3', 'added b@4', 'updated a@11']);
    expect(asked(0)).toMatchObject({
      watch: '1',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
    expect(watcher.state).toBe('watching');
  });

  it('lists page by page where it is not, then watches from there', async () => {
    server.play(unserved, list(9, ['a'], 'more'), list(9, ['b']), stream([added('c', 12)]));
    await follow(['a', 'b', 'c'], 4);
    expect(asked(2)).toMatchObject({ continue: 'more' });
    expect(asked(3)).toMatchObject({ resourceVersion: '9' });
  });

  it('shows nothing of a list that broke off', async () => {
    server.play(stream([added('a', 3)], 'end'), stream([added('b', 4), end(9)]));
    await follow(['b'], 2);
    expect(told).toEqual(['added b@4']);
  });

  it('goes on from the last version when the server ends the watch, without delay', async () => {
    server.play(stream([end(9), added('a', 11), bookmark(15)], 'end'), stream([added('b', 16)]));
    await follow(['a', 'b'], 2);
    expect(asked(1)).toMatchObject({ resourceVersion: '15' });
    expect(clock.delays).toEqual([]);
  });

  it.each([
    ['a reset', stream([end(9), added('a', 11)], 'reset')],
    ['a cut inside an event', stream([end(9), added('a', 11), '{"type":"AD'], 'end')],
    ['silence', stream([end(9), added('a', 11)])],
    ['an ERROR 500', stream([end(9), added('a', 11), failure(500, 'InternalError')])],
    ['an event without a version', stream([end(9), added('a', 11), { type: 'ADDED', object: {} }])],
  ])('goes on from the last version after %s', async (what, broken) => {
    if (what === 'silence') watch(200);
    const refused = status(429, 'TooManyRequests', {}, { 'retry-after': '1' });
    server.play(broken, list(11, ['a']), reset, list(12, ['a']), refused, list(15, ['a']), stream([added('b', 16)]));
    await follow(['a', 'b'], 7);
    expect(asked(5)).toMatchObject({ limit: '1' });
    expect(asked(6)).toMatchObject({ resourceVersion: expect.stringMatching(/^(11|9)$/) });
    expect(told).toEqual(['added a@11', 'added b@16']);
  });

  it.each([
    ['the stream says so', stream([end(9), added('a', 11), failure(410, 'Expired')])],
    ['the request is refused', stream([end(9), added('a', 11)], 'end')],
  ])('lists anew after 410 (%s), and announces what vanished meanwhile', async (_, first) => {
    server.play(first);
    if (_.startsWith('the request')) server.play(status(410, 'Expired'));
    server.play(stream([added('b', 20), end(30)]));
    await follow(['b'], _.startsWith('the request') ? 3 : 2);
    expect(told).toEqual(['added a@11', 'added b@20', 'deleted a@11']);
  });

  it('lists anew when the server was set back to an older state', async () => {
    server.play(
      stream([end(900), added('a', 911)], 'end'),
      status(504, 'Timeout', {
        details: { causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }] },
      }),
      stream([added('b', 20), end(30)]),
    );
    watch(5000, 0);
    await follow(['b'], 3);
    expect(told).toEqual(['added a@911', 'added b@20', 'deleted a@911']);
  });

  it('finds by its silence that the server was set back', async () => {
    server.play(stream([end(900), added('a', 911)], 'end'), stream([], 'end'), list(30, ['b']));
    server.play(stream([added('b', 29), end(31)]));
    watch(5000, 0);
    await follow(['b'], 4);
    expect(told).toEqual(['added a@911', 'added b@29', 'deleted a@911']);
  });

  it.each([
    ['streamed', [stream([added('old', 5), end(8)])], [stream([added('b', 12), end(20)])]],
    ['paged', [unserved, list(8, ['old'])], [list(20, ['b']), hang]],
  ])('goes back to no older list (%s), and on once the server has caught up', async (_, behind, caughtUp) => {
    const first = stream([end(9), added('a', 11), failure(410, 'Expired')]);
    server.play(first, ...behind, ...behind.slice(-1), ...caughtUp);
    running = watcher.run(stop.signal);
    await server.whenAsked(behind.length + 2);
    expect(watcher.problem).toMatch(/the server is at version 8, older than 11/);
    expect(told).toEqual(['added a@11']);
    await server.whenAsked(behind.length + 3);
    await expect.poll(() => told).toEqual(['added a@11', expect.stringMatching(/^added b/), 'deleted a@11']);
    expect(watcher.problem).toBeUndefined();
  });

  it('hands nothing on twice, so that what is gone does not come back', async () => {
    const before = [added('a', 11), deleted('a', 12), added('b', 13)];
    server.play(stream([end(9), ...before, ...before, added('c', 14), bookmark(10), ...before]));
    await follow(['b', 'c'], 1);
    expect(told).toEqual(['added a@11', 'deleted a@11', 'added b@13', 'added c@14']);
  });

  it('does not take a watch that opens and says nothing for a sign of life, twice', async () => {
    watch(200);
    server.play(stream([end(9)]), list(9, []), stream([]), list(9, []), stream([]), list(9, []), stream([]));
    server.play(list(9, []), stream([added('a', 11)]));
    running = watcher.run(stop.signal);
    await server.whenAsked(4);
    const { heard } = watcher;
    await server.whenAsked(7);
    expect(watcher.heard).toBe(heard);
    expect(watcher.problem).toMatch(/nothing came for 200 ms/);
    await server.whenAsked(9);
    await expect.poll(() => watcher.problem).toBeUndefined();
    expect(watcher.heard).toBeGreaterThan(heard);
  });

  it('starts the list over when it grows too old between pages', async () => {
    server.play(unserved, list(9, ['a'], 'more'), status(410, 'Expired'), list(12, ['b']), hang);
    await follow(['b'], 5);
  });

  it('waits longer and longer while the server is away, up to 30 s', async () => {
    server.play(...Array.from({ length: 8 }, () => status(500, 'InternalError')), stream([added('a', 3), end(9)]));
    await follow(['a'], 9);
    expect(clock.delays).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  it('does not wait longer each time a watch breaks that has worked for a while', async () => {
    let ahead = 0;
    clock.monotonic = () => systemClock.monotonic() + ahead;
    const works: Act = (request, response) => {
      stream([bookmark(12)])(request, response, '');
      setTimeout(() => {
        ahead += 6_000;
        request.socket.destroy();
      }, 20);
    };
    const again = [works, list(12, [])];
    server.play(stream([end(9)], 'end'), ...again, ...again, ...again, stream([added('a', 13)]));
    await follow(['a'], 8);
    expect(clock.delays).toEqual([800, 800, 800]);
  });

  it('finds that a quiet kind was set back by versions which the server has shown in passing', async () => {
    server.play(stream([end(9), added('a', 11)], 'reset'), list(900, ['a']), stream([], 'end'), list(500, []));
    server.play(stream([end(501)]));
    watch(5000, 0);
    await follow([], 5);
    await expect.poll(() => told).toEqual(['added a@11', 'deleted a@11']);
  });

  it('says why it makes no progress, and until when it did', async () => {
    server.play(...Array.from({ length: 30 }, () => status(403, 'Forbidden')));
    running = watcher.run(stop.signal);
    const before = watcher.heard;
    await server.whenAsked(3);
    expect(watcher.problem).toMatch(/watch widgets: 403 Forbidden/);
    expect(watcher.heard).toBe(before);
  });

  it('does not hurry when the server ends every watch at once', async () => {
    server.play(stream([end(9)], 'end'), stream([], 'end'), list(9, []), stream([], 'end'), list(9, []));
    server.play(stream([added('a', 11)]));
    await follow(['a'], 6);
    expect(clock.delays).toEqual([800, 1600]);
  });

  it('does not wait either when there was no news for the whole time of a watch', async () => {
    const quiet: Act = (request, response) => {
      stream([])(request, response, '');
      setTimeout(() => response.end(), 2_100);
    };
    server.play(stream([end(9)], 'end'), quiet, list(9, []), quiet, list(12, []), stream([added('a', 13)]));
    await follow(['a'], 6);
    expect(clock.delays).toEqual([]);
  });

  it('hands on deletions', async () => {
    server.play(stream([added('a', 3), added('b', 4), end(9), deleted('a', 12)]));
    await follow(['b'], 1);
    expect(told.at(-1)).toBe('deleted a@3');
  });
});
