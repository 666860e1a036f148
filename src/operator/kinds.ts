import {
  GROUP,
  KINDS,
  type KindName,
  type Model as ModelObject,
  type ModelShard as ModelShardObject,
  type StakeKeyReservation as StakeKeyReservationObject,
  type ValidatorFleet as ValidatorFleetObject,
  type ValidatorNode as ValidatorNodeObject,
  VERSION,
} from '../api/index.ts';
import { defineKind, type Kind, type KubeObject } from '../kube/index.ts';

/** Our kinds as the controller runtime wants them. Objects come from an API server that has filled in the defaults. */
const ours = <T extends KubeObject>(name: KindName): Kind<T> =>
  defineKind<T>({
    group: GROUP,
    version: VERSION,
    kind: name,
    plural: KINDS[name].plural,
    namespaced: KINDS[name].namespaced,
  });

export type ValidatorNode = ValidatorNodeObject;
export type ValidatorFleet = ValidatorFleetObject;
export type Model = ModelObject;
export type ModelShard = ModelShardObject;
export type StakeKeyReservation = StakeKeyReservationObject;

export const ValidatorNode = ours<ValidatorNode>('ValidatorNode');
export const ValidatorFleet = ours<ValidatorFleet>('ValidatorFleet');
export const Model = ours<Model>('Model');
export const ModelShard = ours<ModelShard>('ModelShard');
export const StakeKeyReservation = ours<StakeKeyReservation>('StakeKeyReservation');
