import { describe, expect, it } from 'vitest';
import { ApplyMemory, KindTable } from '../../../src/kube/apply.ts';
import {
  Caches,
  Client,
  Conflict,
  Controller,
  defineKind,
  type KubeObject,
  type Log,
  type Reconcile,
  type Store,
  silent,
  Wakeups,
} from '../../../src/kube/index.ts';
import { Term } from '../../../src/kube/term.ts';
import { Turns } from '../../../src/kube/time.ts';
import { StillClock, settle } from './clock.ts';
import { LeaseServer } from './lease-server.ts';
import { Widget, type Widget as WidgetObject, widget } from './objects.ts';

const Owner = defineKind<KubeObject>({
  group: 'test.dev',
  version: 'v1',
  kind: 'Owner',
  plural: 'owners',
  namespaced: true,
});

function work(
  build: (controller: Controller) => Controller,
  reconcile: Reconcile,
  options: ConstructorParameters<typeof Controller>[1] = {},
) {
  const clock = new StillClock();
  const client = new Client({ transport: new LeaseServer().transport(), clock });
  const caches = new Caches({ client, clock, random: () => 0, log: silent });
  const lines: { level: string; message: string; err?: unknown }[] = [];
  const log: Log = {
    ...silent,
    debug: (fields, message) => lines.push({ level: 'debug', message, ...fields }),
    error: (fields, message) => lines.push({ level: 'error', message, ...fields }),
    child: () => log,
  };
  const controller = build(new Controller(Owner, options)).run(reconcile);
  for (const trigger of controller.triggers) trigger.declare(caches);
  const term = new Term(controller, {
    client,
    caches,
    kinds: new KindTable(),
    memory: new ApplyMemory(),
    events: { record() {} },
    fieldManager: 'test',
    clock,
    random: () => 0,
    log,
    turns: new Turns(clock),
  });
  const owners = caches.of(Owner);
  owners.feed({ type: 'replaced', objects: [], resourceVersion: '1' });
  return { clock, caches, owners, term, lines };
}

const owner = (name: string, version: number, more: Parameters<typeof widget>[2] = {}) => ({
  ...widget(name, version, more),
  kind: 'Owner',
});
const feedWidgets = (caches: Caches, ...objects: ReturnType<typeof widget>[]) => {
  const store: Store<WidgetObject> = caches.of(Widget);
  if (!store.hasSynced) store.feed({ type: 'replaced', objects: [], resourceVersion: '1' });
  for (const object of objects) store.feed({ type: 'applied', object });
};

/** Keeps each reconcile open until it is let go. */
function gate() {
  const open: { readonly key: string; readonly letGo: () => void }[] = [];
  let most = 0;
  const reconcile: Reconcile = async ({ key }) => {
    await new Promise<void>((resolve) => {
      open.push({ key: key.name, letGo: resolve });
      most = Math.max(most, open.length);
    });
    open.splice(0, 1);
  };
  return { open, reconcile, most: () => most };
}

describe('a controller at work', () => {
  it('looks at everything that is there, then at what changes', async () => {
    const keys: string[] = [];
    const { owners, term } = work(
      (c) => c,
      async ({ key }) => void keys.push(key.name),
    );
    owners.feed({ type: 'applied', object: owner('before', 2) });
    term.start();
    await settle();
    owners.feed({ type: 'applied', object: owner('after', 3) });
    owners.feed({ type: 'deleted', object: owner('before', 4) });
    await settle();
    expect(keys).toEqual(['before', 'after', 'before']);
    await term.stop(0);
  });

  it('begins with what changed while nobody led', async () => {
    const { open, reconcile } = gate();
    const { owners, term } = work((c) => c, reconcile, { concurrency: 1 });
    const told = (name: string, generation: number, observedGeneration: number | undefined, gone = false) => {
      const { metadata, ...rest } = owner(name, 2, { generation });
      const deletionTimestamp = gone ? '2026-01-01T00:00:00Z' : undefined;
      const object = { ...rest, metadata: { ...metadata, deletionTimestamp }, status: { observedGeneration } };
      owners.feed({ type: 'applied', object });
    };
    told('settled', 4, 4);
    told('changed', 5, 4);
    told('new', 1, undefined);
    told('settled-too', 1, 1);
    told('going', 3, 3, true);
    term.start();
    const keys: string[] = [];
    for (let turn = 0; turn < 5; turn++) {
      await settle();
      keys.push(open[0]?.key ?? '');
      open[0]?.letGo();
    }
    await settle();
    expect(keys).toEqual(['changed', 'new', 'going', 'settled', 'settled-too']);
    await term.stop(0);
  });

  it('lets timers and answers have their turn while keys that need nothing are looked at', async () => {
    let looks = 0;
    const { clock, owners, term } = work(
      (c) => c,
      async () => {
        looks += 1;
        clock.passAtOnce(3);
      },
    );
    for (let at = 0; at < 100; at += 1) owners.feed({ type: 'applied', object: owner(`w${at}`, 2 + at) });
    let turns = 0;
    let running = true;
    const count = () => {
      turns += 1;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    term.start();
    while (looks < 100) await settle();
    running = false;
    // 300 ms of work, 10 ms at a time.
    expect(turns).toBeGreaterThanOrEqual(20);
    await term.stop(0);
  });

  it('wakes by what of another object it reads', async () => {
    const keys: string[] = [];
    const { caches, owners, term } = work(
      (c) =>
        c.watches(Widget, (w) => [{ namespace: 'ns', name: w.metadata.name }], {
          on: (w) => (w as WidgetObject).spec?.size,
        }),
      async ({ key }) => void keys.push(key.name),
    );
    term.start();
    feedWidgets(caches, widget('a', 2, { size: 1 }));
    await settle();
    feedWidgets(caches, widget('a', 3, { size: 1, labels: { another: 'label' } }));
    await settle();
    expect(keys).toEqual(['a']);
    feedWidgets(caches, widget('a', 4, { size: 2 }));
    await settle();
    expect(keys).toEqual(['a', 'a']);
    expect(owners.list()).toEqual([]);
    await term.stop(0);
  });

  it('is not woken by a change of the status alone, unless it asks for it', async () => {
    for (const [on, looks] of [
      ['spec', 2],
      ['any', 3],
    ] as const) {
      const keys: string[] = [];
      const { owners, term } = work(
        (c) => c,
        async ({ key }) => void keys.push(key.name),
        { on },
      );
      term.start();
      owners.feed({ type: 'applied', object: owner('a', 2) });
      await settle();
      owners.feed({ type: 'applied', object: { ...owner('a', 3), status: { ready: true } } as never });
      await settle();
      owners.feed({ type: 'applied', object: owner('a', 4, { size: 9 }) });
      await settle();
      expect(keys).toHaveLength(looks);
      await term.stop(0);
    }
  });

  it('is woken by what it owns, by what it watches, and from outside', async () => {
    const keys: string[] = [];
    const wakeups = new Wakeups();
    const { caches, term } = work(
      (c) =>
        c
          .owns(Widget)
          .watches(Widget, (object) => (object.spec?.size === 7 ? [{ namespace: 'ns', name: 'lucky' }] : []))
          .on(wakeups),
      async ({ key }) => void keys.push(key.name),
    );
    term.start();
    feedWidgets(caches, widget('child', 5, { owner: 'mother' }), widget('stray', 6), widget('seven', 7, { size: 7 }));
    wakeups.wake({ namespace: 'ns', name: 'called' });
    await settle();
    expect(keys.sort()).toEqual(['called', 'lucky', 'mother']);
    keys.length = 0;
    // Of the watched, both what it was and what it is.
    feedWidgets(caches, widget('seven', 8, { size: 8 }), widget('child', 9, { owner: 'stepmother' }));
    await settle();
    expect(keys.sort()).toEqual(['lucky', 'mother', 'stepmother']);
    await term.stop(0);
  });

  it('goes on when a mapping throws', async () => {
    const keys: string[] = [];
    const { caches, owners, term, lines } = work(
      (c) =>
        c.watches(Widget, () => {
          throw new Error('bad mapping');
        }),
      async ({ key }) => void keys.push(key.name),
    );
    term.start();
    feedWidgets(caches, widget('a', 5));
    owners.feed({ type: 'applied', object: owner('b', 6) });
    await settle();
    expect(keys).toEqual(['b']);
    expect(lines[0]).toMatchObject({ level: 'error', message: 'a change could not be mapped to keys' });
    await term.stop(0);
  });

  it('runs as many keys at once as it may, and no key twice', async () => {
    const { open, reconcile, most } = gate();
    const { owners, term } = work((c) => c, reconcile, { concurrency: 2 });
    term.start();
    for (const [at, name] of ['a', 'b', 'c'].entries()) owners.feed({ type: 'applied', object: owner(name, 10 + at) });
    await settle();
    owners.feed({ type: 'applied', object: owner('a', 20, { size: 2 }) });
    await settle();
    expect(open.map(({ key }) => key)).toEqual(['a', 'b']);
    for (let turn = 0; turn < 4; turn += 1) {
      open[0]?.letGo();
      await settle();
    }
    expect(most()).toBe(2);
    await term.stop(0);
  });

  it('retries what threw after a growing delay, and says so; a conflict is no news', async () => {
    const failures: number[] = [];
    const { owners, term, clock, lines } = work(
      (c) => c,
      async (context) => {
        failures.push(context.failures);
        if (context.failures === 0) throw new Error('boom');
        if (context.failures === 1) throw new Conflict({ attempt: 'x', code: 409 });
      },
    );
    term.start();
    owners.feed({ type: 'applied', object: owner('a', 2) });
    await settle();
    await clock.pass(5);
    await clock.pass(10);
    expect(failures).toEqual([0, 1, 2]);
    expect(lines.map(({ level }) => level)).toEqual(['error', 'debug']);
    owners.feed({ type: 'applied', object: owner('a', 3, { size: 2 }) });
    await settle();
    expect(failures).toEqual([0, 1, 2, 0]);
    await term.stop(0);
  });

  it('waits a second or so at most when others were faster, however often they were', async () => {
    const failures: number[] = [];
    const { owners, term, clock } = work(
      (c) => c,
      async (context) => {
        failures.push(context.failures);
        throw new Conflict({ attempt: 'x', code: 409 });
      },
    );
    term.start();
    owners.feed({ type: 'applied', object: owner('a', 2) });
    await settle();
    for (let second = 0; second < 60; second += 1) await clock.pass(1_000);
    expect(failures.length).toBeGreaterThan(30);
    await term.stop(0);
  });

  it('comes back when asked to', async () => {
    let looks = 0;
    const { owners, term, clock } = work(
      (c) => c,
      async () => ({ requeueAfterMs: ++looks === 1 ? 1000 : undefined }),
    );
    term.start();
    owners.feed({ type: 'applied', object: owner('a', 2) });
    await clock.pass(999);
    expect(looks).toBe(1);
    await clock.pass(1);
    expect(looks).toBe(2);
    await clock.pass(100_000);
    expect(looks).toBe(2);
    await term.stop(0);
  });

  it('ends a reconcile at its time limit and retries it', async () => {
    let looks = 0;
    const { owners, term, clock, lines } = work(
      (c) => c,
      async ({ signal }) => {
        looks += 1;
        if (looks === 1)
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      { timeoutMs: 1000 },
    );
    term.start();
    owners.feed({ type: 'applied', object: owner('a', 2) });
    await clock.pass(1100);
    expect(looks).toBe(2);
    expect(String(lines[0]?.err)).toMatch(/took longer than its 1000 ms/);
    await term.stop(0);
  });

  it('stops only when what is under way has ended, and cuts it off after the grace', async () => {
    const { open, reconcile } = gate();
    const { owners, term, clock } = work((c) => c, reconcile);
    term.start();
    owners.feed({ type: 'applied', object: owner('a', 2) });
    await settle();
    let stopped = false;
    const stopping = term.stop(1000).then(() => {
      stopped = true;
    });
    owners.feed({ type: 'applied', object: owner('b', 3) });
    await clock.pass(500);
    expect([stopped, open.length]).toEqual([false, 1]);
    open[0]?.letGo();
    await stopping;
    expect(open).toHaveLength(0);

    let reason: unknown;
    const stuck = work(
      (c) => c,
      ({ signal }) =>
        new Promise((resolve) =>
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            resolve();
          }),
        ),
    );
    stuck.term.start();
    stuck.owners.feed({ type: 'applied', object: owner('a', 2) });
    await settle();
    const ending = stuck.term.stop(1000);
    await stuck.clock.pass(1000);
    await ending;
    expect(String(reason)).toMatch(/is stopping/);
  });
});
