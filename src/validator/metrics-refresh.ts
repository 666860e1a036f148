import type { ChunkStore, Swarm } from '../chunks/index.ts';
import type { Member } from '../overlay/index.ts';
import type { ValidatorMetrics } from './metrics.ts';
import type { Replicas } from './replicas.ts';
import type { ReportParts } from './report.ts';
import type { UserRows } from './users/index.ts';

/** Brings the gauges up to date; called when somebody reads them. */
export function refreshMetrics(
  metrics: ValidatorMetrics,
  parts: ReportParts & { readonly userRows: Pick<UserRows, 'count'> },
  replicas: Replicas,
  { store, swarm }: { readonly store: Pick<ChunkStore, 'scrubbed'>; readonly swarm: Pick<Swarm, 'traffic'> },
  others: readonly Member[],
): void {
  metrics.peers.set(parts.peers().length);
  metrics.storedBytes.set(parts.usedBytes());
  const { assigned, held } = replicas.standing();
  metrics.chunks.set({ state: 'assigned' }, assigned);
  metrics.chunks.set({ state: 'held' }, held);
  const { checked, corrupt, sinceRoundMs } = store.scrubbed;
  for (const [counter, total] of [
    [metrics.scrubbedChunks, checked],
    [metrics.corruptChunks, corrupt],
  ] as const) {
    counter.reset(); // the store counts
    counter.inc(total);
  }
  metrics.swarmBytes.reset(); // the swarm counts
  const { sentBytes, receivedBytes, duplicateBytes, wrongBytes } = swarm.traffic;
  metrics.swarmBytes.inc({ kind: 'sent' }, sentBytes);
  metrics.swarmBytes.inc({ kind: 'received' }, receivedBytes);
  metrics.swarmBytes.inc({ kind: 'duplicate' }, duplicateBytes);
  metrics.swarmBytes.inc({ kind: 'wrong' }, wrongBytes);
  if (sinceRoundMs === undefined) metrics.scrubAgeSeconds.remove();
  else metrics.scrubAgeSeconds.set(sinceRoundMs / 1000);
  const { updates, loss, accuracy, divergence, certifiedUpdates, userRows } = metrics;
  for (const gauge of [updates, loss, accuracy, divergence, certifiedUpdates, userRows]) gauge.reset(); // models that are learned here no longer have no line
  for (const { model, progress } of parts.tasks()) {
    const label = { model: model.name };
    metrics.updates.set(label, progress.age);
    if (progress.loss !== undefined) metrics.loss.set(label, progress.loss);
    if (progress.accuracy !== undefined) metrics.accuracy.set(label, progress.accuracy);
    if (progress.divergence !== undefined) metrics.divergence.set(label, progress.divergence);
    if (model.spec.data.users !== undefined) userRows.set(label, parts.userRows.count(model.uid));
    metrics.certifiedUpdates.set(label, parts.latest(model.uid)?.age ?? 0);
  }
  metrics.reputation.reset();
  for (const { peerId, name } of others) {
    for (const [part, value] of Object.entries(parts.reputation.of(peerId)))
      metrics.reputation.set({ peer: name, part }, value);
  }
  metrics.problems.reset();
  for (const { reason } of parts.problems.list()) metrics.problems.inc({ reason });
}
