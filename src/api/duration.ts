const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/**
 * A span of time as people read it: `0.4 s`, `58 s`, `4 min 12 s`, `3 h 5 min`, `2 d 4 h`: two units at most, the smaller
 * one left out when zero.
 */
export function durationText(milliseconds: number): string {
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
