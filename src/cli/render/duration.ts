/** Durations in the reader's form, and the way back from what a reader types. Pure. Durations are milliseconds. */
import { durationText } from '../../api/index.ts';
import { unknown } from './numbers.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** As in statuses; `-` for what is not known. */
export const duration = (milliseconds: number | undefined): string =>
  milliseconds === undefined || !Number.isFinite(milliseconds) ? unknown : durationText(milliseconds);

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
