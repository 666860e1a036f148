import type { ObjectKey } from '../../kube/index.ts';
import { names } from '../labels.ts';

/** A network has no object of its own: its key is that of the ConfigMap in which its charter is recorded. */
export const networkKey = (namespace: string | undefined, network: string): ObjectKey => ({
  namespace: namespace ?? '',
  name: names.charter(network),
});

/** The network's name in its key. */
export const networkOfKey = ({ name }: ObjectKey): string => name.replace(/-charter$/, '');
