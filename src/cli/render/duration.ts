/** Durations in the reader's form, and the way back from what a reader types. Pure. Durations are milliseconds. */
import { unknown } from './numbers.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** `0.4 s`, `58 s`, `4 min 12 s`, `3 h 5 min`, `2 d 4 h`: two units at most, the smaller one left out when zero. */
export function duration(milliseconds: number | undefined): string {
  if (milliseconds === undefined || !Number.isFinite(milliseconds)) return unknown;
  const span = Math.max(0, milliseconds);
  if (span < 0.95 * second) return `${(span / second).toFixed(1)} s`;
  if (span < 59.5 * second) return `${Math.round(span / second)} s`;
  if (span < hour - 0.5 * second) return two(span, minute, 'min', second, 's');
  if (span < day - 0.5 * minute) return two(span, hour, 'h', minute, 'min');
  return two(span, day, 'd', hour, 'h');
}

function two(span: number, large: number, largeName: string, small: number, smallName: string): string {
  const smalls = Math.round(span / small);
  const perLarge = large / small;
  const rest = smalls % perLarge;
  const whole = `${Math.floor(smalls / perLarge)} ${largeName}`;
  return rest === 0 ? whole : `${whole} ${rest} ${smallName}`;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: second, m: minute, min: minute, h: hour, d: day };

/** What a person types for a limit: `90s`, `15m`, `1h30m`, `250ms`, or plain seconds. Undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * second;
  if (!/^(\d+(\.\d+)?\s*(ms|min|s|m|h|d)\s*)+$/.test(trimmed)) return undefined;
  let total = 0;
  for (const match of trimmed.matchAll(/(\d+(?:\.\d+)?)\s*(ms|min|s|m|h|d)/g)) {
    total += Number(match[1]) * (units[match[2] ?? ''] ?? 0);
  }
  return total;
}
