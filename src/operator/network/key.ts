import { LABELS } from '../../api/index.ts';
import type { KubeObject, ObjectKey } from '../../kube/index.ts';
import { names } from '../labels.ts';

/** A network has no object of its own: its key is that of the ConfigMap in which its charter is recorded. */
export const networkKey = (namespace: string | undefined, network: string): ObjectKey => ({
  namespace: namespace ?? '',
  name: names.charter(network),
});

/** The network named in an object's labels. */
export function labelledNetwork({ metadata }: KubeObject): readonly ObjectKey[] {
  const network = metadata.labels?.[LABELS.network];
  return network === undefined ? [] : [networkKey(metadata.namespace, network)];
}

/** The network's name in its key. */
export const networkOfKey = ({ name }: ObjectKey): string => name.replace(/-charter$/, '');
