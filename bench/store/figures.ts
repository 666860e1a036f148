import { median, round } from '../operator/figures.ts';

/** One measured figure, as it is written to a file, with the bare loop's beside it. */
export interface Figure {
  readonly name: FigureName;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  readonly peerValue?: number;
  /** value / peerValue. */
  readonly ratio?: number;
}

/** A figure and what a person wants to know beside it. */
export interface Row extends Figure {
  /** Rounds: free text. */
  readonly detail: string;
}

/** What is to be reached, of the ratio where there is one: at least, or at most. */
interface Goal {
  readonly least?: number;
  readonly most?: number;
}

export const GOALS = {
  put_mb_s: { least: 0.8 },
  put_durable_mb_s: { least: 0.8 },
  flush_ms: { most: 1.25 },
  get_disk_mb_s: { least: 0.8 },
  get_cached_mb_s: { least: 10 },
  verify_mb_s: { least: 0.8 },
  open_ms: { most: 1.5 },
  entry_bytes: { most: 300 },
} as const satisfies Readonly<Record<string, Goal>>;

export type FigureName = keyof typeof GOALS;

/** What one side measured, a number a round. */
export interface Rounds {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

/** The medians of both sides. */
export function row(name: FigureName, unit: string, peer: string, { ours, bare }: Rounds): Row {
  const [value, peerValue] = [median(ours), median(bare)];
  const all = (of: readonly number[]): string => of.map((one) => round(one)).join(' ');
  return {
    name,
    value: round(value),
    unit,
    peer,
    peerValue: round(peerValue),
    ratio: round(value / peerValue),
    detail: `ours ${all(ours)}; bare ${all(bare)}`,
  };
}

export function isReached({ name, value, ratio = value }: Figure): boolean {
  const { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }: Goal = GOALS[name];
  return ratio >= least && ratio <= most;
}

/** Rows as a table for a terminal, which is Markdown too. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const { least, most }: Goal = GOALS[row.name];
    const goal = least === undefined ? `<= ${most}` : `>= ${least}`;
    const bare = row.peer === undefined ? '' : `${row.peerValue} ${row.unit}, ${row.peer}`;
    const verdict = isReached(row) ? 'yes' : 'NO';
    return [row.name, `${row.value} ${row.unit}`, bare, String(row.ratio ?? ''), goal, verdict, row.detail];
  });
  const head = ['figure', 'measured', 'bare loop', 'ratio', 'goal', 'reached', 'rounds'];
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(' | ')} |`;
  return [line(head), line(head.map((title) => '-'.repeat(title.length))), ...cells.map(line)].join('\n');
}
