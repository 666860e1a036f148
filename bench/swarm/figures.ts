import * as shared from '../figures.ts';

/** What is to be reached. */
const GOALS = {
  eff_median_16: { least: 0.88 },
  eff_slowest_16: { least: 0.86 },
  eff_vs_libtorrent_16: { least: 1.5 },
  seed_egress_16: { most: 1.08 },
  duplicates_pct_16: { most: 1.5 },
  cpu_ms_per_mb_16: { most: 30 },
  eff_median_8: { least: 0.88 },
  eff_median_staggered_16: {},
  eff_median_leavers_16: {},
  eff_median_slow_16: { least: 0.75 },
  slow_peers_cost_pct: {},
  liars_cost_pct: { most: 5 },
  pair_mb_s: { least: 250 },
} as const satisfies Readonly<Record<string, shared.Goal>>;

export type FigureName = keyof typeof GOALS;
export type Row = shared.Row<FigureName>;

const COLUMNS: shared.Columns<Row> = {
  ...shared.measured,
  ...shared.judged(GOALS),
  others: ({ peer, peerValue }) => (peer === undefined ? '' : `${peerValue} (${peer})`),
  detail: ({ detail }) => detail,
};

export const table = (rows: readonly Row[]): string => shared.table(rows, COLUMNS);
