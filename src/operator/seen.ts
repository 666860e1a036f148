import { Conflict, type Existing, type Kind, type KubeObject, keyOf, type ReconcileContext } from '../kube/index.ts';

/**
 * Goes on only where the API server still has the object in the version that was seen. Watches of different kinds lag
 * apart: a new pod may be known while the spec that it was made from is not. So whatever takes something away from a
 * validator asks first.
 * @throws Conflict where it has changed or is gone; what it is now will wake the key
 */
export async function proveSeen<T extends KubeObject>(
  { client }: Pick<ReconcileContext, 'client'>,
  kind: Kind<T>,
  seen: Existing<T>,
): Promise<void> {
  const now = await client.find(kind, keyOf(seen));
  if (now?.metadata.resourceVersion === seen.metadata.resourceVersion) return;
  throw new Conflict(
    { attempt: `look at ${kind.kind} ${seen.metadata.name} again`, code: 0 },
    `it is not as it was last seen, so nothing is taken away by that`,
  );
}
