import type { KindName } from '../../../src/api/index.ts';
import type { Spec } from './mutation.ts';

/** The small world that every run begins with: a fleet, a single validator, a model, and a shard made by hand. */
export const FLEET = 'flock';
export const SOLO = 'solo';
export const MODEL = 'digits';
export const PINNED = 'pinned';

/** Stands for the namespace of the world. */
export const HERE = 'here';

/** The spec that an object of this kind begins with. */
export function homeSpec(kind: KindName): Spec {
  switch (kind) {
    case 'ValidatorNode':
      return { stake: { amount: 3 } };
    case 'ValidatorFleet':
      return { replicas: 2, template: { spec: { resources: { requests: { cpu: '50m', memory: '64Mi' } } } } };
    case 'Model':
      return { data: { source: { builtin: 'digits' }, classes: 10 }, shards: { count: 2, replicas: 2 } };
    case 'ModelShard':
      return { modelRef: { name: MODEL }, index: 0, of: 4, replicas: 2 };
    case 'StakeKeyReservation':
      return { publicKey: '03'.padEnd(66, 'b'), nodeRef: { namespace: HERE, name: 'nobody', uid: 'no-uid' } };
  }
}
