import * as shared from '../figures.ts';

/** What is to be reached. */
const GOALS = {
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
} as const satisfies Readonly<Record<string, shared.Goal>>;

export type FigureName = keyof typeof GOALS;
export type Row = shared.Row<FigureName>;

const COLUMNS: shared.Columns<Row> = {
  ...shared.measured,
  ...shared.judged(GOALS),
  detail: ({ detail }) => detail,
};

export const table = (rows: readonly Row[]): string => shared.table(rows, COLUMNS);
