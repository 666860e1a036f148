import { describe, expect, it } from 'vitest';
import { RecordStore } from '../../../src/overlay/record-store.ts';

type Key = Parameters<RecordStore['put']>[0];
const named = (name: string) => ({ toString: () => name }) as unknown as Key;
const record = (hash: string, peer: string) => named(`/dht/provider/${hash}/${peer}`);
const value = Uint8Array.of(1);

async function peersOf(store: RecordStore, hash: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of store.query({ prefix: `/dht/provider/${hash}` }))
    found.push(key.toString().split('/').at(-1)!);
  return found;
}

describe('the store of others’ provider records', () => {
  it('answers for one key what was told of it, and forgets what is deleted', async () => {
    const store = new RecordStore();
    for (const [hash, peer] of [
      ['x', 'anna'],
      ['x', 'bert'],
      ['y', 'anna'],
    ] as const)
      await store.put(record(hash, peer), value);
    expect(await peersOf(store, 'x')).toEqual(['anna', 'bert']);
    await store.delete(record('x', 'anna'));
    expect(await peersOf(store, 'x')).toEqual(['bert']);
    expect(await peersOf(store, 'z')).toEqual([]);
    expect(store.records).toBe(2);
  });

  it('gives all of them to who cleans up', async () => {
    const store = new RecordStore();
    await store.put(record('x', 'anna'), value);
    await store.put(record('y', 'bert'), value);
    const all: string[] = [];
    for await (const { key } of store.query({ prefix: '/dht/provider' })) {
      all.push(key.toString());
      await store.delete(key);
    }
    expect(all).toEqual(['/dht/provider/x/anna', '/dht/provider/y/bert']);
    expect(store.records).toBe(0);
  });

  it('keeps the newest records of a peer; one that is told again is new', async () => {
    const store = new RecordStore({ perPeer: 2, total: 100 });
    for (const hash of ['a', 'b', 'a', 'c']) await store.put(record(hash, 'anna'), value);
    expect(await Promise.all(['a', 'b', 'c'].map((hash) => peersOf(store, hash)))).toEqual([['anna'], [], ['anna']]);
  });

  it('takes from who told the most, where there are too many in all', async () => {
    const store = new RecordStore({ perPeer: 100, total: 4 });
    await store.put(record('a', 'quiet'), value);
    for (let i = 0; i < 50; i++) await store.put(record(`k${i}`, 'loud'), value);
    expect(store.records).toBe(4);
    expect(await peersOf(store, 'a')).toEqual(['quiet']);
    expect(await peersOf(store, 'k49')).toEqual(['loud']);
    expect(await peersOf(store, 'k46')).toEqual([]);
    await store.put(record('b', 'quiet'), value);
    expect(store.records).toBe(4);
    expect(await Promise.all(['a', 'b', 'k47'].map((hash) => peersOf(store, hash)))).toEqual([
      ['quiet'],
      ['quiet'],
      [],
    ]);
  });

  it('keeps no values, and no record whose key is absurdly long', () => {
    const store = new RecordStore();
    expect(() => store.put(named('/dht/record/abc'), value)).toThrow('values are not kept');
    expect(() => store.put(record('x'.repeat(300), 'anna'), value)).toThrow('no provider record');
    expect(store.records).toBe(0);
  });

  it('is libp2p’s plain store for all else', async () => {
    const store = new RecordStore();
    await store.put(named('/peers/anna'), value);
    expect(await store.get(named('/peers/anna'))).toEqual(value);
    const found: string[] = [];
    for await (const { key } of store.query({ prefix: '/peers' })) found.push(key.toString());
    expect(found).toEqual(['/peers/anna']);
  });
});
