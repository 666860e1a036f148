/** Numbers as people read them: three significant digits, groups of three, units always. Pure. */

/** What stands where nothing is known yet. */
export const unknown = '-';

const groupSeparator = ' ';

/** A whole number in groups of three: `1204` -> `1 204`. Not finite or missing gives `-`. */
export function count(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return unknown;
  return group(Math.round(value).toFixed(0));
}

/** Any measure with three significant digits: `0.14127` -> `0.141`, `12345` -> `12 300`. */
export function measure(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return unknown;
  if (value === 0) return '0';
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  if (size >= 1e15 || size < 1e-6) return value.toPrecision(3);
  if (size >= 100) return group(rounded.toFixed(0));
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(size)));
  return rounded.toFixed(decimals);
}

/**
 * A share of one (accuracy, reputation) with three decimals, rounded down: `0.9499` is `0.949`, so that what reads
 * as the target has reached the target, and `1.000` means all.
 */
export function share(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return unknown;
  return (Math.floor(value * 1000 + 1e-9) / 1000).toFixed(3);
}

/** Part of a whole: `6/6`, `-/6` while the part is unknown, `-` when both are. */
export function part(held: number | undefined, whole: number | undefined): string {
  if (held === undefined && whole === undefined) return unknown;
  return `${count(held)}/${count(whole)}`;
}

/** Bytes in the unit that people compare: MiB from 0.1 MiB on, KiB and B below, GiB never (`1 536 MiB`). */
export function bytes(value: number | undefined): string {
  if (value === undefined || !Number.isFinite(value)) return unknown;
  if (value < 1024) return `${count(value)} B`;
  if (value < 0.1 * 1024 * 1024) return `${measure(value / 1024)} KiB`;
  return `${measure(value / 1024 / 1024)} MiB`;
}

/** `1 pod`, `2 pods`. */
export function plural(value: number, singular: string, many: string = `${singular}s`): string {
  return `${count(value)} ${value === 1 ? singular : many}`;
}

function group(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, groupSeparator);
}
