import type { DataSource, Model } from '../api/index.ts';

/** What validators read for a model: its data and, where it goes on from one, the model that is its start. */
export function sourcesOf({ spec }: Pick<Model, 'spec'>): readonly DataSource[] {
  const { claim } = spec.architecture.from ?? {};
  return claim === undefined ? [spec.data.source] : [spec.data.source, { claim }];
}
