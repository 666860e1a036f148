import * as shared from '../figures.ts';

/** What is to be reached, of the ratio where there is one. */
const GOALS = {
  put_mb_s: { least: 0.8 },
  put_durable_mb_s: { least: 0.8 },
  flush_ms: { most: 1.25 },
  get_disk_mb_s: { least: 0.8 },
  get_cached_mb_s: { least: 10 },
  verify_mb_s: { least: 0.8 },
  open_ms: { most: 1.5 },
  entry_bytes: { most: 300 },
} as const satisfies Readonly<Record<string, shared.Goal>>;

export type FigureName = keyof typeof GOALS;
export type Row = shared.Row<FigureName>;

/** What one side measured, a number a round. */
export interface Rounds {
  readonly ours: readonly number[];
  readonly bare: readonly number[];
}

/** The medians of both sides. */
export function row(name: FigureName, unit: string, peer: string, { ours, bare }: Rounds): Row {
  const all = (of: readonly number[]): string => of.map((one) => shared.round(one)).join(' ');
  const detail = `ours ${all(ours)}; bare ${all(bare)}`;
  return shared.row(name, shared.median(ours), unit, detail, { name: peer, value: shared.median(bare) });
}

const COLUMNS: shared.Columns<Row> = {
  ...shared.measured,
  'bare loop': ({ peer, peerValue, unit }) => (peer === undefined ? '' : `${peerValue} ${unit}, ${peer}`),
  ratio: ({ ratio }) => String(ratio ?? ''),
  ...shared.judged(GOALS, ({ value, ratio = value }) => ratio),
  rounds: ({ detail }) => detail,
};

export const table = (rows: readonly Row[]): string => shared.table(rows, COLUMNS);
