import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duration, parseDuration } from '../../../../src/cli/render/duration.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

describe('durations in the form of the reader', () => {
  it.each([
    [undefined, '-'],
    [-5, '0.0 s'],
    [400, '0.4 s'],
    [990, '1 s'],
    [58 * second, '58 s'],
    [59.6 * second, '1 min'],
    [4 * minute + 12 * second, '4 min 12 s'],
    [15 * minute, '15 min'],
    [59 * minute + 59.7 * second, '1 h'],
    [3 * hour + 5 * minute, '3 h 5 min'],
    [52 * hour, '2 d 4 h'],
  ])('shows %s ms as %s', (milliseconds, text) => expect(duration(milliseconds)).toBe(text));

  it.each([
    ['90', 90 * second],
    ['90s', 90 * second],
    ['15m', 15 * minute],
    ['15min', 15 * minute],
    ['1h30m', 90 * minute],
    ['4 min 12 s', 4 * minute + 12 * second],
    ['1.5s', 1500],
    ['250ms', 250],
  ])('reads %s', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds));

  it.each(['', 'soon', '5 parsecs', 's', '-5s', '1h30'])('does not read "%s"', (text) =>
    expect(parseDuration(text)).toBeUndefined(),
  );

  it('reads what it shows, to within the last unit shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 100 * hour }), (milliseconds) => {
        const back = parseDuration(duration(milliseconds)) ?? Number.NaN;
        expect(Math.abs(back - milliseconds)).toBeLessThanOrEqual(milliseconds < hour ? second : hour / 2);
      }),
    );
  });
});
