import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  availableReplicas,
  type Copy,
  type Holder,
  type HoldersInput,
  nextHolders,
} from '../../../src/operator/shard/holders.ts';

const NODES = ['a', 'b', 'c', 'd', 'e'];
const CHUNKS = 6;

const input = (change: Partial<HoldersInput>): HoldersInput => ({
  before: [],
  wanted: ['a', 'b', 'c'],
  replicas: 3,
  chunks: CHUNKS,
  copies: new Map(),
  existing: new Set(NODES),
  ...change,
});

const full: Copy = { chunks: CHUNKS, live: true };
const names = (holders: readonly Holder[]): readonly string[] => holders.map(({ node }) => node);

describe('the holders of a shard', () => {
  it('are Assigned, Fetching, then Verified as their maps fill', () => {
    const copies = new Map([
      ['b', { chunks: 2, live: true }],
      ['c', full],
    ]);
    expect(nextHolders(input({ copies }))).toEqual([
      { node: 'a', state: 'Assigned', chunks: 0 },
      { node: 'b', state: 'Fetching', chunks: 2 },
      { node: 'c', state: 'Verified', chunks: 6 },
    ]);
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
        fc.record({ node: fc.constantFrom(...NODES), chunks: fc.nat({ max: CHUNKS }), live: fc.boolean() }),
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
            copies: new Map(copies.map(({ node, chunks, live }) => [node, { chunks, live }])),
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
