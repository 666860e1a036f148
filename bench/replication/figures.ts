import { type Goal, judged, measured, type Row as TypedRow, table as tableOf } from '../figures.ts';

/** What was done to the fleet, by the name of its part. */
export const PARTS = {
  volume: ['volume_least_copies', 'volume_repair_s', 'volume_moved_vs_lost'],
  rot: ['rot_least_copies', 'rot_repair_s', 'rot_moved_vs_lost'],
  both: ['both_least_copies', 'both_repair_s', 'both_moved_vs_lost'],
  drain: ['drain_least_copies', 'drain_repair_s', 'drain_moved_vs_lost'],
  machine: ['machine_least_copies', 'machine_repair_s', 'machine_moved_vs_lost'],
  disk: ['disk_least_copies', 'disk_repair_s'],
  shrink: ['shrink_least_copies', 'shrink_repair_s', 'shrink_moved_vs_lost'],
} as const;

export type PartName = keyof typeof PARTS;
export type FigureName = (typeof PARTS)[PartName][number];
export type Row = TypedRow<FigureName>;

/** No chunk is ever without a live copy. Times and bytes are told, not promised. */
const GOALS = Object.fromEntries(
  Object.values(PARTS)
    .flat()
    .map((name) => [name, name.endsWith('_least_copies') ? { least: 1 } : {}]),
) as unknown as Readonly<Record<FigureName, Goal>>;

/** Rows as a table for a terminal, which is Markdown too. */
export const table = (rows: readonly Row[]): string =>
  tableOf(rows, { ...measured, ...judged(GOALS), detail: ({ detail }) => detail });
