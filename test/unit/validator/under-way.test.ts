import { expect, it } from 'vitest';
import { UnderWay } from '../../../src/validator/under-way.ts';

it('keeps the blocks of a height until a version of that age or above is certified', () => {
  const underWay = new UnderWay();
  underWay.protect('m', 200, ['a']);
  underWay.protect('m', 200, ['b']);
  underWay.protect('m', 400, ['c']);
  underWay.decided('m', 200);
  expect([...underWay.blocks()]).toEqual(['c']);
  underWay.decided('m', 600);
  expect(underWay.blocks().size).toBe(0);
});

it('does not grow when heights are skipped for ever: those begun last stay', () => {
  const underWay = new UnderWay();
  for (let age = 1; age <= 1000; age++) underWay.protect('m', age, [`block ${age}`]);
  expect(underWay.blocks().size).toBe(8);
  expect(underWay.blocks()).toContain('block 1000');
});

it('keeps a young height though older ones were begun before, as after a start from scratch', () => {
  const underWay = new UnderWay();
  for (let age = 101; age <= 108; age++) underWay.protect('m', age, [`block ${age}`]);
  underWay.protect('m', 1, ['young']);
  expect(underWay.blocks()).toContain('young');
});

it('keeps a height that blocks still come to, though others were begun since', () => {
  const underWay = new UnderWay();
  for (let age = 1; age <= 8; age++) underWay.protect('m', age, [`block ${age}`]);
  underWay.protect('m', 1, ['another']);
  underWay.protect('m', 9, ['block 9']);
  expect(underWay.blocks()).toContain('block 1');
  expect(underWay.blocks()).not.toContain('block 2');
});

it('decides each model on its own, and forgets models that the charter no longer has', () => {
  const underWay = new UnderWay();
  underWay.protect('m', 1, ['a']);
  underWay.protect('n', 1, ['b']);
  underWay.decided('m', 1);
  expect([...underWay.blocks()]).toEqual(['b']);
  underWay.keepOnly(new Set(['m']));
  expect(underWay.blocks().size).toBe(0);
});
