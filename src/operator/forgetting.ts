import type { Caches, Existing, Kind, KubeObject } from '../kube/index.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from './kinds.ts';
import type { OperatorMetrics } from './metrics.ts';

/** Takes away the series of objects that are gone, while this process leads. */
export async function forgetting(caches: Caches, metrics: OperatorMetrics, term: AbortSignal): Promise<void> {
  const undo: (() => void)[] = [];
  const whenGone = <T extends KubeObject>(kind: Kind<T>, forget: (object: Existing<T>) => void): void => {
    const stop = caches.of(kind).subscribe((change) => {
      if (change.type === 'deleted') forget(change.object);
    });
    undo.push(stop);
  };
  whenGone(ValidatorNode, ({ metadata, spec }) => {
    metrics.forgetNode(metadata.namespace ?? '', spec.network, metadata.name);
  });
  whenGone(Model, (model) => metrics.forgetModel(model));
  whenGone(ModelShard, (shard) => metrics.forgetShard(shard));
  whenGone(ValidatorFleet, (fleet) => metrics.forgetFleet(fleet));
  if (!term.aborted) {
    await new Promise<void>((resolve) => term.addEventListener('abort', () => resolve(), { once: true }));
  }
  for (const stop of undo) stop();
}
