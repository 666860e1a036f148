/** One measured figure, as it is written to a file: others' number beside ours where there is one. */
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
  /** Spread, percentiles, what was counted: free text. */
  readonly detail: string;
}

/** What is to be reached. `below`: the value must be less; `most`: it may be so much. */
export interface Goal {
  readonly below?: number;
  readonly most?: number;
}

export const GOALS = {
  converge1000_vs_bare: { most: 1.15 },
  converge10000_s: {},
  rss_10000_mb: { below: 300 },
  max_wait_s_while_growing: { most: 5 },
  event_to_write_p99_ms: { below: 50 },
  cold_restart_writes: { most: 0 },
  cold_restart_s: { below: 10 },
  steady_writes_per_min: { most: 0 },
  failover_crash_s: { below: 16 },
  failover_term_s: { below: 2 },
  reports1000_cpu_pct: { below: 10 },
} as const satisfies Readonly<Record<string, Goal>>;

export type FigureName = keyof typeof GOALS;

/** Whether the value is as it should be; undefined where nothing was promised. */
export function isReached({ name, value }: Pick<Figure, 'name' | 'value'>): boolean | undefined {
  const { below, most }: Goal = GOALS[name];
  if (below !== undefined) return value < below;
  return most === undefined ? undefined : value <= most;
}

/** The value below which the part `q` of the values lies (nearest rank). */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** `p50 3.1, p95 7.0, p99 9.2` */
export const spread = (values: readonly number[], digits = 1): string =>
  [50, 95, 99].map((p) => `p${p} ${quantile(values, p / 100).toFixed(digits)}`).join(', ');

/** A number with three significant digits. */
export const round = (value: number): number => Number(value.toPrecision(3));

/** Rows as a table for a terminal, which is Markdown too. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const { below, most }: Goal = GOALS[row.name];
    const goal = below === undefined ? (most === undefined ? '' : `<= ${most}`) : `< ${below}`;
    const reached = isReached(row);
    const verdict = reached === undefined ? '' : reached ? 'yes' : 'NO';
    return [row.name, `${row.value} ${row.unit}`, goal, verdict, row.detail];
  });
  const head = ['figure', 'measured', 'goal', 'reached', 'detail'];
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(' | ')} |`;
  return [line(head), line(head.map((title) => '-'.repeat(title.length))), ...cells.map(line)].join('\n');
}
