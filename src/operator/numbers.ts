/** Measured numbers are written this often at most. ms */
const NUMBERS_EVERY_MS = 5_000;
/** In a large fleet less often, so that all of them together stay within 17 writes a second. ms */
const NUMBERS_SHARE_MS = 60;

/** How often the measured numbers of one of so many objects are worth a look and a write. ms */
export const numbersEveryMs = (count: number, leastMs: number = NUMBERS_EVERY_MS): number =>
  Math.max(leastMs, count * NUMBERS_SHARE_MS);

/**
 * A measured number as statuses hold it: text with three significant digits and no exponent ("0.957", "1.24", "12000").
 * Below 0.00005 it is "0". Undefined for what was not measured.
 */
export function measured(value: number | null | undefined): string | undefined {
  if (value === null || value === undefined || !Number.isFinite(value)) return undefined;
  if (Math.abs(value) < 0.00005) return '0';
  const rounded = Number(value.toPrecision(3));
  if (Math.abs(rounded) >= 1) return String(Number(rounded.toFixed(2)));
  return rounded.toFixed(7).replace(/0+$/, '');
}

/** Arithmetic mean; undefined of nothing. */
export function mean(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0) / values.length;
}
