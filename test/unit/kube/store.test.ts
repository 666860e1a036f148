import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Change, type Existing, keyOf, keyText, Store } from '../../../src/kube/index.ts';
import { type Widget, widget } from './objects.ts';

const at = (name: string, namespace = 'ns') => ({ namespace, name });

function watched(store = new Store<Widget>()) {
  const told: string[] = [];
  store.subscribe((change) => {
    const initial = change.type === 'added' && change.initial ? ' initial' : '';
    told.push(`${change.type}${initial} ${change.object.metadata.name}@${change.object.metadata.resourceVersion}`);
  });
  return { store, told };
}

function listed(objects: readonly Existing<Widget>[] = [], resourceVersion = '10') {
  const both = watched();
  both.store.feed({ type: 'replaced', objects, resourceVersion });
  both.told.length = 0;
  return both;
}

describe('the store', () => {
  it('is synced by its first picture, and calls what is in it initial', () => {
    const { store, told } = watched();
    expect(store.hasSynced).toBe(false);
    store.feed({ type: 'replaced', objects: [widget('a', 3)], resourceVersion: '10' });
    expect(store.hasSynced).toBe(true);
    store.feed({ type: 'applied', object: widget('b', 11) });
    expect(told).toEqual(['added initial a@3', 'added b@11']);
  });

  it('swaps the picture at a relist and announces what vanished as deleted', () => {
    const { store, told } = listed([widget('a', 3), widget('b', 4)]);
    store.feed({ type: 'replaced', objects: [widget('b', 4), widget('c', 12)], resourceVersion: '20' });
    expect(told.sort()).toEqual(['added c@12', 'deleted a@3']);
    expect(store.get(at('a'))).toBeUndefined();
  });

  it('announces an object made anew under its name as deleted, then added', () => {
    const { store, told } = listed([widget('a', 3, { uid: 'first' })]);
    store.feed({ type: 'applied', object: widget('a', 12, { uid: 'second' }) });
    expect(told).toEqual(['deleted a@3', 'added a@12']);
  });

  it('ignores the late deletion of a namesake', () => {
    const { store } = listed([widget('a', 9, { uid: 'second' })]);
    store.feed({ type: 'deleted', object: widget('a', 11, { uid: 'first' }) });
    expect(store.get(at('a'))?.metadata.uid).toBe('second');
  });

  it('announces each version once, also when the watch repeats itself', () => {
    const { store, told } = listed([widget('a', 3)]);
    store.feed({ type: 'applied', object: widget('a', 12) });
    store.feed({ type: 'applied', object: widget('a', 12) });
    store.feed({ type: 'applied', object: widget('a', 11) });
    expect(told).toEqual(['updated a@12']);
  });

  it('shows an own write at once, and drops older news of the object until the watch has caught up', () => {
    const { store, told } = listed([widget('a', 3)]);
    store.learn(widget('a', 15, { size: 2 }));
    expect(store.get(at('a'))?.spec?.size).toBe(2);
    store.feed({ type: 'applied', object: widget('a', 12, { size: 1 }) });
    expect(store.get(at('a'))?.spec?.size).toBe(2);
    store.feed({ type: 'applied', object: widget('a', 15, { size: 2 }) });
    store.feed({ type: 'applied', object: widget('a', 16, { size: 3 }) });
    expect(store.get(at('a'))?.spec?.size).toBe(3);
    expect(store.aheadCount).toBe(0);
    expect(told).toEqual(['updated a@15', 'updated a@16']);
  });

  it('does not bring back an object whose deletion the watch told of before our write returned', () => {
    const { store } = listed([widget('a', 3)]);
    store.feed({ type: 'applied', object: widget('a', 15) });
    store.feed({ type: 'deleted', object: widget('a', 16) });
    store.learn(widget('a', 15));
    expect(store.get(at('a'))).toBeUndefined();
    expect(store.aheadCount).toBe(0);
  });

  it('hides an object that we removed, until the watch says so, but not its namesake', () => {
    const { store, told } = listed([widget('a', 3, { uid: 'first' })]);
    store.learnRemoved(at('a'), 'first');
    store.feed({ type: 'applied', object: widget('a', 12, { uid: 'first' }) });
    expect(store.get(at('a'))).toBeUndefined();
    store.feed({ type: 'applied', object: widget('a', 14, { uid: 'second' }) });
    expect(store.get(at('a'))?.metadata.uid).toBe('second');
    expect(told).toEqual(['deleted a@3', 'added a@14']);
  });

  it('keeps an own write over a relist that is older, and gives it up to one that is newer', () => {
    const { store } = listed([widget('a', 3)]);
    store.learn(widget('a', 15, { size: 2 }));
    store.learn(widget('new', 16));
    store.feed({ type: 'replaced', objects: [widget('a', 3)], resourceVersion: '14' });
    expect(store.get(at('a'))?.spec?.size).toBe(2);
    expect(store.get(at('new'))).toBeDefined();
    store.feed({ type: 'replaced', objects: [widget('a', 17, { size: 9 })], resourceVersion: '20' });
    expect(store.get(at('a'))?.spec?.size).toBe(9);
    expect(store.get(at('new'))).toBeUndefined();
    expect(store.aheadCount).toBe(0);
  });

  it('keeps an object that we removed hidden over a relist that is older', () => {
    const { store } = listed([widget('a', 3, { uid: 'first' })]);
    store.learnRemoved(at('a'), 'first');
    store.feed({ type: 'replaced', objects: [widget('a', 3, { uid: 'first' })], resourceVersion: '14' });
    expect(store.get(at('a'))).toBeUndefined();
    store.feed({ type: 'replaced', objects: [widget('a', 19, { uid: 'second' })], resourceVersion: '20' });
    expect(store.get(at('a'))?.metadata.uid).toBe('second');
    expect(store.aheadCount).toBe(0);
  });

  it('lets own writes go when the server was set back to before them', () => {
    const { store } = listed([widget('a', 3), widget('b', 4, { uid: 'first' })]);
    store.learn(widget('a', 15, { size: 2 }));
    store.learn(widget('new', 16));
    store.learnRemoved(at('b'), 'first');
    const before = [widget('a', 3), widget('b', 4, { uid: 'first' })];
    store.feed({ type: 'replaced', objects: before, resourceVersion: '9' });
    expect(store.get(at('a'))?.spec?.size).toBeUndefined();
    expect(store.get(at('new'))).toBeUndefined();
    expect(store.get(at('b'))).toBeDefined();
    expect(store.aheadCount).toBe(0);
  });

  it('stops waiting for the watch at a bookmark that is newer than the write', () => {
    const { store } = listed([widget('a', 3)]);
    store.learn(widget('a', 15));
    store.feed({ type: 'progressed', resourceVersion: '15' });
    expect(store.aheadCount).toBe(0);
  });

  it('does not learn what its selector leaves out', () => {
    const { store } = watched(new Store<Widget>({ selector: { labels: { app: 'x' } } }));
    store.feed({ type: 'replaced', objects: [], resourceVersion: '1' });
    store.learn(widget('a', 5, { labels: { app: 'y' } }));
    store.learn(widget('b', 6, { labels: { app: 'x' } }));
    expect(store.list().map((object) => object.metadata.name)).toEqual(['b']);
  });

  it('finds by owner, by label and by an index of ones own', () => {
    const store = new Store<Widget>({ indexes: { size: (object) => [String(object.spec?.size)] } });
    store.feed({
      type: 'replaced',
      resourceVersion: '9',
      objects: [
        widget('a', 1, { owner: 'o1', labels: { app: 'x' }, size: 1 }),
        widget('b', 2, { owner: 'o1', labels: { app: 'y' }, size: 2, namespace: 'other' }),
        widget('c', 3, { owner: 'o2', labels: { app: 'x' }, size: 1, namespace: 'other' }),
      ],
    });
    const names = (found: readonly Existing<Widget>[]) => found.map((object) => object.metadata.name);
    expect(names(store.byOwner('o1'))).toEqual(['a', 'b']);
    expect(names(store.byLabel('app', 'x'))).toEqual(['a', 'c']);
    expect(names(store.byLabel('app', 'x', 'other'))).toEqual(['c']);
    expect(names(store.byIndex('size', '1'))).toEqual(['a', 'c']);
    expect(names(store.list('other'))).toEqual(['b', 'c']);
    expect(() => store.byIndex('colour', 'red')).toThrow(/no index "colour"/);
  });

  it('keeps two watched namespaces apart', () => {
    const store = new Store<Widget>({ namespaces: ['x', 'y'] });
    store.feed({ type: 'replaced', objects: [widget('a', 1, { namespace: 'x' })], resourceVersion: '5' }, 'x');
    expect(store.hasSynced).toBe(false);
    store.feed({ type: 'replaced', objects: [widget('b', 2, { namespace: 'y' })], resourceVersion: '6' }, 'y');
    expect(store.hasSynced).toBe(true);
    store.feed({ type: 'replaced', objects: [], resourceVersion: '9' }, 'x');
    expect(store.list().map((object) => object.metadata.name)).toEqual(['b']);
  });

  it('keeps no managed fields', () => {
    const { store } = listed();
    const object = widget('a', 12);
    store.feed({
      type: 'applied',
      object: { ...object, metadata: { ...object.metadata, managedFields: [{ manager: 'x' }] } },
    });
    expect(store.get(at('a'))?.metadata.managedFields).toBeUndefined();
  });

  it('ends equal to the server, with changes that lead there and indexes that agree, for every history and every interleaving of answers and news', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const deed = fc.oneof(
      fc.record({ do: fc.constant('put' as const), name, size: fc.integer({ min: 0, max: 3 }), own: fc.boolean() }),
      fc.record({ do: fc.constant('delete' as const), name, own: fc.boolean() }),
    );
    // After each deed: how many news the watch delivers, and how (one by one, repeated, or by a relist).
    const delivery = fc.record({
      news: fc.integer({ min: 0, max: 3 }),
      answerLate: fc.boolean(),
      relist: fc.nat({ max: 9 }),
      repeat: fc.nat({ max: 5 }),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(deed, delivery), { maxLength: 40 }), (history) => {
        const store = new Store<Widget>({ indexes: { size: (object) => [String(object.spec?.size)] } });
        const mirror = new Map<string, Existing<Widget>>();
        store.subscribe((change: Change<Widget>) => {
          const key = keyText(keyOf(change.object));
          if (change.type === 'added') expect(mirror.has(key)).toBe(false);
          else expect(mirror.has(key)).toBe(true);
          if (change.type === 'deleted') mirror.delete(key);
          else mirror.set(key, change.object);
        });
        const server = new Map<string, Existing<Widget>>();
        const log: { type: 'applied' | 'deleted'; object: Existing<Widget> }[] = [];
        const late: (() => void)[] = [];
        let version = 8;
        let told = 0;
        let lives = 0;
        store.feed({ type: 'replaced', objects: [], resourceVersion: String(version) });
        const tell = (count: number) => {
          for (const news of log.slice(told, told + count)) store.feed(news);
          told = Math.min(log.length, told + count);
        };
        for (const [one, how] of history) {
          version += 1;
          const before = server.get(one.name);
          if (one.do === 'put') {
            const uid = before?.metadata.uid ?? `life-${lives++}`;
            const object = widget(one.name, version, { uid, size: one.size });
            server.set(one.name, object);
            log.push({ type: 'applied', object });
            if (one.own) {
              if (how.answerLate) late.push(() => store.learn(object));
              else store.learn(object);
            }
          } else if (before !== undefined) {
            server.delete(one.name);
            log.push({
              type: 'deleted',
              object: widget(one.name, version, { uid: before.metadata.uid, size: before.spec?.size ?? 0 }),
            });
            if (one.own) {
              const learn = () => store.learnRemoved(at(one.name), before.metadata.uid);
              if (how.answerLate) late.push(learn);
              else learn();
            }
          }
          if (one.own && !how.answerLate && one.do === 'put') {
            expect(store.get(at(one.name))?.metadata.resourceVersion).toBe(String(version));
          }
          tell(how.news);
          if (how.repeat === 0) for (const news of log.slice(Math.max(0, told - 2), told)) store.feed(news);
          if (how.relist === 0) {
            store.feed({ type: 'replaced', objects: [...server.values()], resourceVersion: String(version) });
            told = log.length;
          }
          for (const answer of late.splice(0, how.news)) answer();
        }
        for (const answer of late) answer();
        tell(log.length);
        const show = (objects: Iterable<Existing<Widget>>) =>
          [...objects].map((o) => `${o.metadata.name} ${o.metadata.uid} ${o.metadata.resourceVersion}`).sort();
        expect(show(store.list())).toEqual(show(server.values()));
        expect(show(mirror.values())).toEqual(show(server.values()));
        for (let size = 0; size <= 3; size += 1) {
          expect(show(store.byIndex('size', String(size)))).toEqual(
            show([...server.values()].filter((o) => o.spec?.size === size)),
          );
        }
        expect(store.aheadCount).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });
});
