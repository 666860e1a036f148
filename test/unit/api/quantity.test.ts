import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isQuantity, parseQuantity, toDecimal } from '../../../src/api/index.ts';

describe('a quantity', () => {
  test.each([
    ['128Mi', 134_217_728],
    ['1Gi', 1_073_741_824],
    ['50m', 0.05],
    ['1', 1],
    ['1.5k', 1500],
    ['.5', 0.5],
    ['2e3', 2000],
    ['2E3', 2000],
    ['1E', 1e18],
    ['1e-3', 0.001],
    ['-1', -1],
    ['100u', 0.0001],
  ])('%s is %d', (text, value) => {
    expect(parseQuantity(text)).toBeCloseTo(value, 12);
  });

  test.each(['', 'Mi', '1 Gi', '1GB', '1e', '1e3m', '0x1', '1,5', 'NaN', 'Infinity', '1Ki '])(
    '"%s" is none',
    (text) => {
      expect(isQuantity(text)).toBe(false);
      expect(() => parseQuantity(text)).toThrow('is no quantity. Write a number and a unit');
    },
  );

  test('that is a number already stays that number', () => {
    expect(parseQuantity(2)).toBe(2);
  });

  test('in Ki, Mi and Gi is that many powers of two', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1 << 20 }),
        fc.constantFrom(...(['Ki', 'Mi', 'Gi'] as const)),
        (n, unit) => {
          expect(parseQuantity(`${n}${unit}`)).toBe(n * 2 ** { Ki: 10, Mi: 20, Gi: 30 }[unit]);
        },
      ),
    );
  });
});

test('a measured number is told with three digits after the point', () => {
  expect(toDecimal(0.95714)).toBe('0.957');
  expect(toDecimal(12, 1)).toBe('12.0');
});
