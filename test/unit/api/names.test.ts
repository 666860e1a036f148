import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  maxUnavailableOf,
  nodeName,
  ordinalOf,
  parseQuorum,
  reservationName,
  shortCid,
} from '../../../src/api/index.ts';

describe('the name of a validator in a fleet', () => {
  test('tells its ordinal', () => {
    fc.assert(
      fc.property(fc.nat({ max: 9999 }), (n) => {
        expect(ordinalOf('flock', nodeName('flock', n))).toBe(n);
      }),
    );
  });

  test.each(['flock', 'flock-', 'flock-x', 'flock-01', 'flock--1', 'other-1', 'flock-1-2'])('%s has none', (name) => {
    expect(ordinalOf('flock', name)).toBeUndefined();
  });

  test('of a fleet whose name begins like another one is not taken for it', () => {
    expect(ordinalOf('flock', 'flock-by-label-0')).toBeUndefined();
    expect(ordinalOf('flock-by-label', 'flock-by-label-0')).toBe(0);
  });
});

test('a reservation is named by the sha2-256 of the bytes of the key', () => {
  expect(reservationName('616263')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('a CID is shortened to its ends', () => {
  expect(shortCid('bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi')).toBe('bafy…zdi');
  expect(shortCid('bafy')).toBe('bafy');
});

test('a quorum is read as two whole numbers', () => {
  expect(parseQuorum('2/3')).toEqual({ over: 2, under: 3 });
});

test.each([
  [1, 4, 1],
  [3, 4, 3],
  ['25%', 4, 1],
  ['50%', 5, 2],
  ['1%', 4, 1],
  ['100%', 4, 4],
])('maxUnavailable %s of %d validators is %d', (maxUnavailable, replicas, expected) => {
  expect(maxUnavailableOf({ replicas, updateStrategy: { maxUnavailable, onRegression: 'Pause' } })).toBe(expected);
});
