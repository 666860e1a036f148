import { LABELS } from '../../../api/index.ts';
import { ownerReference, type PodDisruptionBudget } from '../../../kube/index.ts';
import type { ValidatorFleet } from '../../kinds.ts';
import { managed } from '../../labels.ts';

/**
 * How many validators of the fleet must stay up while machines are drained. In whole numbers: the disruption controller can
 * count the pods of a ValidatorNode, and not how many there should be.
 */
export function buildBudget(fleet: ValidatorFleet, minAvailable: number): PodDisruptionBudget {
  const { name, namespace } = fleet.metadata;
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...managed, [LABELS.fleet]: name },
      ownerReferences: [ownerReference(fleet)],
    },
    spec: {
      minAvailable,
      selector: { matchLabels: { [LABELS.fleet]: name } },
      // One that does not work keeps nothing up, and its volume stays.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  } as PodDisruptionBudget;
}
