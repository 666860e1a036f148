import { expect, it } from 'vitest';
import { slotOf, validatorsOf } from '../../../src/validator/roster.ts';
import { charterOf, member, peer } from './fixtures.ts';

it('orders validators by name, numbers counted as numbers', () => {
  const charter = charterOf([], [member(1, { name: 'flock-10' }), member(2, { name: 'flock-9' }), member(3)]);
  expect(validatorsOf(charter, 0).map(({ name }) => name)).toEqual(['flock-3', 'flock-9', 'flock-10']);
});

it('leaves out observers, users and those whose time is over', () => {
  const charter = charterOf(
    [],
    [member(1), member(2, { role: 'observer' }), member(3, { role: 'user' }), member(4, { notAfter: 99 })],
  );
  expect(validatorsOf(charter, 100).map(({ name }) => name)).toEqual(['flock-1']);
  expect(validatorsOf(charter, 99)).toHaveLength(2);
  expect(validatorsOf(undefined, 0)).toEqual([]);
});

it('gives each validator the part of the data of its rank', () => {
  const validators = [member(1), member(2), member(3)];
  expect(slotOf(validators, peer(3))).toEqual({ index: 2, of: 3 });
  expect(slotOf(validators, peer(9))).toEqual({ index: 0, of: 1 });
});
