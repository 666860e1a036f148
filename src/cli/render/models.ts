/** Models that were found, as people read them. Pure. */
import type { FoundModel } from '../search/ask.ts';
import { bytes, count, share } from './numbers.ts';
import { type Column, table } from './table.ts';

const labelsText = ({ labels }: FoundModel): string =>
  Object.entries(labels)
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
    .join(',') || '-';

const columns: readonly Column<FoundModel>[] = [
  { head: 'MODEL', cell: (model) => model.name },
  { head: 'TASK', cell: (model) => model.task },
  { head: 'LABELS', cell: labelsText },
  { head: 'ACCURACY', cell: (model) => share(model.accuracy) },
  { head: 'UPDATES', cell: (model) => count(model.updates) },
  { head: 'VERSION', cell: ({ version }) => version?.short ?? '-' },
  { head: 'SIZE', cell: ({ version }) => bytes(version?.bytes) },
  { head: 'HOLDERS', cell: ({ holders }) => count(holders.validators) },
];

const wideColumns: readonly Column<FoundModel>[] = [
  { head: 'MODEL', cell: (model) => model.name },
  { head: 'NETWORK', cell: (model) => model.network },
  { head: 'TASK', cell: (model) => model.task },
  { head: 'ARCHITECTURE', cell: (model) => model.architecture },
  { head: 'LABELS', cell: labelsText },
  { head: 'ACCURACY', cell: (model) => share(model.accuracy) },
  { head: 'UPDATES', cell: (model) => count(model.updates) },
  { head: 'SIZE', cell: ({ version }) => bytes(version?.bytes) },
  { head: 'CHUNKS', cell: ({ version }) => count(version?.chunks) },
  { head: 'COPIES', cell: ({ holders }) => count(holders.everyChunk) },
  { head: 'HOLDERS', cell: ({ holders }) => holders.names.join(',') || '-' },
  { head: 'CERTIFIED', cell: ({ version }) => (version === undefined ? '-' : `at ${count(version.updates)} updates`) },
  { head: 'SIGNATURES', cell: ({ version }) => count(version?.certifiedBy) },
  { head: 'VERSION', cell: ({ version }) => version?.cid ?? '-' },
];

/** A line a model; `wide` adds where its versions are, and names them in full. */
export function modelsText(models: readonly FoundModel[], wide: boolean, width: number): readonly string[] {
  return table(wide ? wideColumns : columns, models, wide ? Number.POSITIVE_INFINITY : width);
}
