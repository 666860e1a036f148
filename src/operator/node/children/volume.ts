import type { PersistentVolumeClaim } from '../../../kube/index.ts';
import type { ValidatorNode } from '../../kinds.ts';
import { names, validatorLabels } from '../../labels.ts';

/**
 * The validator's volume. It has no owner reference, so that no garbage collector ever takes it: the finalizer deletes
 * it where `storage.retain` says Delete, and only then.
 */
export function buildVolume(node: ValidatorNode): PersistentVolumeClaim {
  const { name, namespace } = node.metadata;
  const { size, storageClassName } = node.spec.storage;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: names.volume(name),
      ...(namespace === undefined ? {} : { namespace }),
      labels: validatorLabels(node),
    },
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
      ...(storageClassName === undefined ? {} : { storageClassName }),
    },
  };
}
