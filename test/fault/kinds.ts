import { type AnyKind, ConfigMap, PersistentVolumeClaim, Pod, Secret, Service } from '../../src/kube/index.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../src/operator/kinds.ts';

/** Kinds in a namespace that the operator makes or writes, owners before what they own. */
export const NAMESPACED: readonly AnyKind[] = [
  ValidatorFleet,
  ValidatorNode,
  Model,
  ModelShard,
  Pod,
  Service,
  Secret,
  PersistentVolumeClaim,
  ConfigMap,
];
