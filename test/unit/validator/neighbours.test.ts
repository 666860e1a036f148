import { expect, it } from 'vitest';
import { Neighbours } from '../../../src/validator/neighbours.ts';
import { heldOf, report, version } from './fixtures.ts';

function heard() {
  let now = 0;
  const neighbours = new Neighbours(() => now);
  const pass = (milliseconds: number) => {
    now += milliseconds;
  };
  return { neighbours, pass };
}

it('believes a report for twenty seconds and then no longer', () => {
  const { neighbours, pass } = heard();
  neighbours.hear('anna', report({ node: 'anna' }));
  pass(20_000);
  expect(neighbours.report('anna')?.node).toBe('anna');
  pass(1);
  expect(neighbours.report('anna')).toBeUndefined();
});

it('does not let an old report that comes again replace a newer one', () => {
  const { neighbours } = heard();
  neighbours.hear('anna', report({ at: 2, peers: 2 }));
  neighbours.hear('anna', report({ at: 1, peers: 1 }));
  expect(neighbours.report('anna')?.peers).toBe(2);
});

it('believes a neighbour again whose clock was set back, after a silence', () => {
  const { neighbours, pass } = heard();
  neighbours.hear('anna', report({ at: 1000, peers: 2 }));
  pass(20_001);
  neighbours.hear('anna', report({ at: 5, peers: 1 }));
  expect(neighbours.report('anna')?.peers).toBe(1);
});

it('forgets who is no member any more', () => {
  const { neighbours } = heard();
  neighbours.hear('anna', report());
  neighbours.hear('bert', report());
  neighbours.keepOnly(new Set(['bert']));
  expect(neighbours.report('anna')).toBeUndefined();
  expect(neighbours.report('bert')).toBeDefined();
});

it('gives what a neighbour holds of a version as a map', () => {
  const { neighbours } = heard();
  const built = version(5);
  neighbours.hear('anna', report({ held: [heldOf(built, [0, 4])] }));
  expect([...(neighbours.map('anna', built.cid.toString(), 5)?.indexes() ?? [])]).toEqual([0, 4]);
  expect(neighbours.map('anna', version(5, 101).cid.toString(), 5)).toBeUndefined();
});

it('takes a map of another length, or with bits beyond its end, for no word at all', () => {
  const { neighbours } = heard();
  const built = version(5);
  neighbours.hear('anna', report({ held: [{ ...heldOf(built, [0]), bitmap: Uint8Array.of(0xff) }] }));
  expect(neighbours.map('anna', built.cid.toString(), 5)).toBeUndefined();
  expect(neighbours.map('anna', built.cid.toString(), 6)).toBeUndefined();
});
