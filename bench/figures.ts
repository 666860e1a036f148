import { writeFile } from 'node:fs/promises';

/** One measured figure, as it is written to a file: others' number beside ours where there is one. */
export interface Figure<Name extends string> {
  readonly name: Name;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  readonly peerValue?: number;
  /** value / peerValue; of a figure that is a ratio itself, the figure. */
  readonly ratio?: number;
}

/** A figure and what a person wants to know beside it. */
export interface Row<Name extends string> extends Figure<Name> {
  /** Spread, percentiles, rounds, what was counted: free text. */
  readonly detail: string;
}

/** What is to be reached; empty: nothing was promised. `below`: it must be less; `least` and `most` may be reached themselves. */
export interface Goal {
  readonly least?: number;
  readonly below?: number;
  readonly most?: number;
}

/** A row, with others' number beside it if there is one. */
export function row<Name extends string>(
  name: Name,
  value: number,
  unit: string,
  detail: string,
  peer?: { readonly name: string; readonly value: number },
): Row<Name> {
  const beside = peer && { peer: peer.name, peerValue: round(peer.value), ratio: round(value / peer.value) };
  return { name, value: round(value), unit, ...beside, detail };
}

/** Whether a value is as it should be; undefined where nothing was promised. */
function isReached({ least, below, most }: Goal, value: number): boolean | undefined {
  if (least !== undefined) return value >= least;
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

/** Columns of a table, from left to right: the title, and what stands below it. */
export type Columns<R> = Readonly<Record<string, (row: R) => string>>;

/** The columns that every bench begins with. */
export const measured = {
  figure: ({ name }) => name,
  measured: ({ value, unit }) => `${value} ${unit}`,
} as const satisfies Columns<Figure<string>>;

/** What was to be reached, and whether it was. @param of the number that was promised */
export const judged = <Name extends string>(
  goals: Readonly<Record<Name, Goal>>,
  of: (row: Row<Name>) => number = ({ value }) => value,
): Columns<Row<Name>> => ({
  goal: ({ name }) => inWords(goals[name]),
  reached: (row) => {
    const reached = isReached(goals[row.name], of(row));
    return reached === undefined ? '' : reached ? 'yes' : 'NO';
  },
});

function inWords({ least, below, most }: Goal): string {
  if (least !== undefined) return `>= ${least}`;
  if (below !== undefined) return `< ${below}`;
  return most === undefined ? '' : `<= ${most}`;
}

/** Rows as a table for a terminal, which is Markdown too. */
export function table<R>(rows: readonly R[], columns: Columns<R>): string {
  const head = Object.keys(columns);
  const cells = rows.map((row) => Object.values(columns).map((cell) => cell(row)));
  const widths = head.map((title, at) => Math.max(title.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd(widths[at] ?? 0))).join(' | ')} |`;
  return [line(head), line(head.map((title) => '-'.repeat(title.length))), ...cells.map(line)].join('\n');
}

/** Writes figures as a JSON array, without what is for a person only. */
export async function writeFigures(file: string, rows: readonly Row<string>[]): Promise<void> {
  const figures = rows.map(({ detail: _, ...figure }): Figure<string> => figure);
  await writeFile(file, `${JSON.stringify(figures, null, 2)}\n`);
}
