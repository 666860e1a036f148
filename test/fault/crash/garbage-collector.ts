import { type AnyKind, type Client, Conflict, keyOf, NotFound, Pod, Service } from '../../../src/kube/index.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';

const OWNERS: readonly AnyKind[] = [ValidatorFleet, Model, ValidatorNode];
const OWNED: readonly AnyKind[] = [ValidatorNode, ModelShard, Pod, Service];

/** One round of the garbage collector of a whole cluster: what was owned by something that is gone goes as well. */
export async function collectGarbage(client: Client, namespace: string): Promise<void> {
  // Owned ones first: an owner that is made in between must not be taken for gone.
  const owned = await Promise.all(OWNED.map(async (kind) => ({ kind, ...(await client.list(kind, { namespace })) })));
  const owners = await Promise.all(OWNERS.map((kind) => client.list(kind, { namespace })));
  const alive = new Set(owners.flatMap(({ items }) => items.map(({ metadata }) => metadata.uid)));
  for (const { kind, items } of owned) {
    for (const object of items) {
      const { ownerReferences = [], uid, deletionTimestamp } = object.metadata;
      const isOrphan = ownerReferences.length > 0 && ownerReferences.every((owner) => !alive.has(owner.uid));
      if (!isOrphan || deletionTimestamp !== undefined) continue;
      await client.delete(kind, keyOf(object), { uid }).catch((error: unknown) => {
        if (!(error instanceof NotFound || error instanceof Conflict)) throw error;
      });
    }
  }
}
