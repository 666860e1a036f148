import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytes, count, measure, part, plural, share } from '../../../../src/cli/render/numbers.ts';

describe('numbers as people read them', () => {
  it.each([
    [undefined, '-'],
    [Number.NaN, '-'],
    [0, '0'],
    [7, '7'],
    [999, '999'],
    [1204, '1 204'],
    [1234567, '1 234 567'],
    [-1204, '-1 204'],
  ])('counts %s as %s', (value, text) => expect(count(value)).toBe(text));

  it.each([
    [undefined, '-'],
    [0, '0'],
    [0.141273, '0.141'],
    [0.0141273, '0.0141'],
    [1, '1.00'],
    [1.23456, '1.23'],
    [9.999, '10.0'],
    [99.96, '100'],
    [123.4, '123'],
    [12345, '12 300'],
    [-0.5, '-0.500'],
    [1e-9, '1.00e-9'],
  ])('measures %s as %s, with three significant digits', (value, text) => expect(measure(value)).toBe(text));

  it('never shows a share as reached that is not', () => {
    expect(share(0.9499)).toBe('0.949');
    expect(share(0.95)).toBe('0.950');
    expect(share(0.9999)).toBe('0.999');
    expect(share(1)).toBe('1.000');
    expect(share(undefined)).toBe('-');
  });

  it('shows a share that was cut to three decimals as it was cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1000 }), (thousandths) => {
        expect(share(Number((thousandths / 1000).toFixed(3)))).toBe((thousandths / 1000).toFixed(3));
      }),
    );
  });

  it('shows parts of a whole, also while one of them is unknown', () => {
    expect(part(6, 6)).toBe('6/6');
    expect(part(undefined, 6)).toBe('-/6');
    expect(part(undefined, undefined)).toBe('-');
  });

  it('gives bytes in MiB, and small ones in KiB and B', () => {
    expect(bytes(512)).toBe('512 B');
    expect(bytes(2048)).toBe('2.00 KiB');
    expect(bytes(131_072)).toBe('0.125 MiB');
    expect(bytes(199_229_440)).toBe('190 MiB');
    expect(bytes(undefined)).toBe('-');
  });

  it('says one pod and two pods', () => {
    expect(plural(1, 'pod')).toBe('1 pod');
    expect(plural(2, 'pod')).toBe('2 pods');
    expect(plural(1500, 'copy', 'copies')).toBe('1 500 copies');
  });
});
