import { round } from '../operator/figures.ts';

/** One measured figure, as it is written to a file: libtorrent's number beside ours where there is one. */
export interface Figure {
  readonly name: FigureName;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  readonly peerValue?: number;
  /** value / peerValue; of a figure that is a ratio itself, the figure. */
  readonly ratio?: number;
}

/** A figure and what a person wants to know beside it. */
export interface Row extends Figure {
  /** Spread, rounds, what was counted: free text. */
  readonly detail: string;
}

/** What is to be reached: at least, or at most. */
interface Goal {
  readonly least?: number;
  readonly most?: number;
}

export const GOALS = {
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
} as const satisfies Readonly<Record<string, Goal>>;

export type FigureName = keyof typeof GOALS;

/** A row, with libtorrent's number beside it if there is one. */
export function row(
  name: FigureName,
  value: number,
  unit: string,
  detail: string,
  peer?: { readonly name: string; readonly value: number },
): Row {
  const beside = peer && { peer: peer.name, peerValue: round(peer.value), ratio: round(value / peer.value) };
  return { name, value: round(value), unit, ...beside, detail };
}

/** Rows as a table for a terminal, which is Markdown too. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, value, unit, peer, peerValue, detail }) => {
    const { least, most }: Goal = GOALS[name];
    const goal = least === undefined ? (most === undefined ? '' : `<= ${most}`) : `>= ${least}`;
    const reached = least === undefined ? (most === undefined ? undefined : value <= most) : value >= least;
    const verdict = reached === undefined ? '' : reached ? 'yes' : 'NO';
    const beside = peer === undefined ? '' : `${peerValue} (${peer})`;
    return [name, `${value} ${unit}`.trim(), goal, verdict, beside, detail];
  });
  const head = ['figure', 'measured', 'goal', 'reached', 'others', 'detail'];
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(' | ')} |`;
  return [line(head), line(head.map((title) => '-'.repeat(title.length))), ...cells.map(line)].join('\n');
}
