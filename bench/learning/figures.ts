/** One measured figure, as it is written to a file, with the one that it is held against. */
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
  /** How it came about: free text. */
  readonly detail: string;
}

/** What the value may be, at most or at least; empty: nothing was promised. */
interface Goal {
  readonly most?: number;
  readonly least?: number;
}

export const GOALS = {
  mu_err_10: { most: 0.173 },
  mu_err_50: { most: 0.094 },
  mu_err_100: { most: 0.089 },
  mu_err_200: { most: 0.087 },
  mu_af_err_200: { most: 0.106 },
  mu_af_cost_200: { most: 0.02 },
  fedavg_gap_iid_100: { most: 0.005 },
  fedavg_gap_single_100: { most: 0.02 },
  int8_cost: { most: 0.001 },
  byz33_cost_iid: { most: 0.02 },
  straggler_steps_lost: { most: 0.03 },
  straggler_error_cost: { most: 0.01 },
  utilisation_pct: { least: 95 },
  mnist_cnn_gap_to_central: {},
  mnist_mlp_gap_to_central: {},
  digits_cnn_gap_to_central: {},
  digits_mlp_gap_to_central: {},
  digits_mlp_accuracy: {},
  digits_mlp_seconds: {},
  digits_mlp_mb: {},
} as const satisfies Readonly<Record<string, Goal>>;

export type FigureName = keyof typeof GOALS;

const goalOf = (name: FigureName): Goal => GOALS[name];

export function isReached({ name, value }: Pick<Figure, 'name' | 'value'>): boolean {
  const { most = Number.POSITIVE_INFINITY, least = Number.NEGATIVE_INFINITY } = goalOf(name);
  return value <= most && value >= least;
}

function inWords({ most, least }: Goal): string {
  if (most !== undefined) return `<= ${most}`;
  return least === undefined ? '' : `>= ${least}`;
}

/** Three digits after the point, as errors are told. */
export const round = (value: number): number => Number(value.toFixed(4));

/** An error beside the design's, or another number that was measured in the same run. */
export function row(name: FigureName, value: number, peer: string, peerValue: number, detail: string): Row {
  return {
    name,
    value: round(value),
    unit: 'error',
    peer,
    peerValue: round(peerValue),
    ratio: round(value / peerValue),
    detail,
  };
}

/** A difference of two errors. */
export function difference(name: FigureName, value: number, detail: string): Row {
  return { name, value: round(value), unit: 'error', detail };
}

/** Rows as a table for a terminal, which is Markdown too. */
export function table(rows: readonly Row[]): string {
  const cells = rows.map((row) => {
    const beside = row.peer === undefined ? '' : `${row.peerValue}, ${row.peer}`;
    const goal = inWords(goalOf(row.name));
    const verdict = goal === '' ? '' : isReached(row) ? 'yes' : 'NO';
    return [row.name, `${row.value} ${row.unit}`, beside, goal, verdict, row.detail];
  });
  return grid(['figure', 'measured', 'beside', 'goal', 'reached', 'detail'], cells);
}

/** Any cells in the same form. */
export function grid(head: readonly string[], cells: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(' | ')} |`;
  return [line(head), line(head.map((title) => '-'.repeat(title.length))), ...cells.map(line)].join('\n');
}
