import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  availableReplicas,
  type Copy,
  type Holder,
  type HoldersInput,
  nextHolders,
  progressOf,
} from '../../../src/operator/shard/holders.ts';

const NODES = ['a', 'b', 'c', 'd', 'e'];
const CHUNKS = 6;

const input = (change: Partial<HoldersInput>): HoldersInput => ({
  before: [],
  wanted: ['a', 'b', 'c'],
  isPlaced: true,
  replicas: 3,
  chunks: CHUNKS,
  copies: new Map(),
  existing: new Set(NODES),
  failed: new Map(),
  listening: true,
  locations: new Map(),
  ...change,
});

const full: Copy = { chunks: CHUNKS, live: true, sound: true };
const names = (holders: readonly Holder[]): readonly string[] => holders.map(({ node }) => node);

describe('the holders of a shard', () => {
  it('are Assigned, Fetching, then Verified as their maps fill', () => {
    const copies = new Map([
      ['b', { ...full, chunks: 2 }],
      ['c', full],
    ]);
    const holders = nextHolders(input({ copies }));
    expect(holders).toEqual([
      { node: 'a', state: 'Assigned', chunks: 0 },
      { node: 'b', state: 'Fetching', chunks: 2 },
      { node: 'c', state: 'Verified', chunks: 6 },
    ]);
    expect(progressOf(holders, input({}))).toEqual({ held: 8, wanted: 18 });
  });

  it('are Stale while they do not report, with what was known of them, and Verified again when they do', () => {
    const before: Holder[] = [{ node: 'a', state: 'Verified', chunks: CHUNKS }];
    const silent = (copies: HoldersInput['copies'], listening = true): unknown =>
      nextHolders(input({ before, wanted: ['a'], copies, listening }))[0];
    expect(silent(new Map([['a', { ...full, live: false }]]))).toEqual({ node: 'a', state: 'Stale', chunks: CHUNKS });
    expect(silent(new Map())).toMatchObject({ state: 'Stale', chunks: CHUNKS });
    expect(silent(new Map(), false)).toMatchObject({ state: 'Verified', chunks: CHUNKS });
    expect(silent(new Map([['a', full]]))).toMatchObject({ state: 'Verified' });
  });

  it('stay listed as Lost or Corrupt until the others have every chunk, and do not count meanwhile', () => {
    const before: Holder[] = ['a', 'b', 'd', 'e'].map((node) => ({ node, state: 'Verified', chunks: CHUNKS }));
    const failed = new Map([
      ['d', 'Lost' as const],
      ['e', 'Corrupt' as const],
    ]);
    const copies = new Map([
      ['a', full],
      ['b', full],
      ['d', { ...full, live: false }],
      ['e', { ...full, sound: false }],
    ]);
    const now = input({ before, failed, copies });
    const holders = nextHolders(now);
    expect(holders.map(({ node, state }) => [node, state])).toEqual([
      ['a', 'Verified'],
      ['b', 'Verified'],
      ['c', 'Assigned'],
      ['d', 'Lost'],
      ['e', 'Corrupt'],
    ]);
    expect(availableReplicas(holders, now)).toBe(2);
    const repaired = nextHolders(input({ before: holders, failed, copies: new Map([...copies, ['c', full]]) }));
    expect(names(repaired)).toEqual(['a', 'b', 'c']);
  });

  it('are nobody where the shard is placed nowhere: then validators keep what they have', () => {
    const before: Holder[] = [{ node: 'a', state: 'Fetching', chunks: 1 }];
    expect(nextHolders(input({ before, wanted: [], isPlaced: false }))).toEqual([]);
  });

  it('tell where they are, and where they were while their pod is on no machine', () => {
    const locations = new Map([
      ['a', { machine: 'm-1', zone: 'z' }],
      ['b', { machine: 'm-2', zone: undefined }],
    ]);
    const first = nextHolders(input({ locations }));
    expect(first[0]).toEqual({ node: 'a', state: 'Assigned', chunks: 0, machine: 'm-1', zone: 'z' });
    expect(nextHolders(input({ before: first }))).toEqual(first);
    expect(first[1]).toEqual({ node: 'b', state: 'Assigned', chunks: 0, machine: 'm-2' });
  });

  it('keep one that is not wanted any more until the others have every chunk', () => {
    const before: Holder[] = ['a', 'b', 'd'].map((node) => ({ node, state: 'Verified', chunks: CHUNKS }));
    const copies = new Map([
      ['a', full],
      ['b', full],
      ['d', full],
    ]);
    const copying = nextHolders(input({ before, copies }));
    expect(copying.find(({ node }) => node === 'd')?.state).toBe('Draining');
    const done = nextHolders(input({ before: copying, copies: new Map([...copies, ['c', full]]) }));
    expect(names(done)).toEqual(['a', 'b', 'c']);
  });

  it('do not take the copy of a silent validator for a live one', () => {
    const before: Holder[] = ['a', 'b', 'd'].map((node) => ({ node, state: 'Verified', chunks: CHUNKS }));
    const copies = new Map([
      ['a', full],
      ['b', full],
      ['c', { ...full, live: false }],
      ['d', full],
    ]);
    expect(names(nextHolders(input({ before, copies })))).toContain('d');
  });

  it('change at once while there is no version: nothing can be lost', () => {
    const before: Holder[] = [{ node: 'd', state: 'Assigned', chunks: 0 }];
    expect(names(nextHolders(input({ before, chunks: undefined })))).toEqual(['a', 'b', 'c']);
  });

  it('are never left with fewer live copies than before by anything the operator does (invariant 4)', () => {
    const world = fc.record({
      wanted: fc.shuffledSubarray(NODES),
      copies: fc.array(
        fc.record({
          node: fc.constantFrom(...NODES),
          chunks: fc.constantFrom(0, CHUNKS - 1, CHUNKS),
          live: fc.boolean(),
          sound: fc.boolean(),
        }),
      ),
      replicas: fc.integer({ min: 1, max: 4 }),
    });
    fc.assert(
      fc.property(fc.array(world, { minLength: 2, maxLength: 8 }), (worlds) => {
        let holders: readonly Holder[] = [];
        for (const { wanted, copies, replicas } of worlds) {
          const next = input({
            before: holders,
            wanted: wanted.slice(0, replicas),
            replicas,
            copies: new Map(copies.map(({ node, ...copy }) => [node, copy])),
            failed: new Map(copies.filter(({ sound }) => !sound).map(({ node }) => [node, 'Corrupt' as const])),
          });
          const stayed = availableReplicas(
            holders.map((holder) => ({ ...holder, chunks: next.copies.get(holder.node)?.chunks ?? holder.chunks })),
            next,
          );
          holders = nextHolders(next);
          expect(availableReplicas(holders, next)).toBeGreaterThanOrEqual(Math.min(stayed, replicas));
        }
      }),
      { numRuns: 500 },
    );
  });
});
