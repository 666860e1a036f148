import type { z } from 'zod';
import { Model, modelTransitions } from './model.ts';
import { ModelShard, shardTransitions } from './model-shard.ts';
import { API_VERSION } from './names.ts';
import type { Transition } from './rules.ts';
import { reservationTransitions, StakeKeyReservation } from './stake-key-reservation.ts';
import { fleetTransitions, ValidatorFleet } from './validator-fleet.ts';
import { nodeTransitions, ValidatorNode } from './validator-node.ts';

/** What a client needs to know to speak of a kind. */
export interface Kind<S extends z.ZodType = z.ZodType> {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  /** Checks and completes a whole object, defaults included. */
  readonly schema: S;
  /** Rules about changes of the spec. */
  readonly transitions: readonly Transition[];
}

const kind = <S extends z.ZodType>(
  name: string,
  shortName: string,
  namespaced: boolean,
  schema: S,
  transitions: readonly Transition[],
): Kind<S> => ({
  apiVersion: API_VERSION,
  kind: name,
  plural: `${name.toLowerCase()}s`,
  singular: name.toLowerCase(),
  shortNames: [shortName],
  namespaced,
  schema,
  transitions,
});

/** Every kind of the group. */
export const KINDS = {
  ValidatorNode: kind('ValidatorNode', 'vn', true, ValidatorNode, nodeTransitions),
  ValidatorFleet: kind('ValidatorFleet', 'vf', true, ValidatorFleet, fleetTransitions),
  Model: kind('Model', 'mdl', true, Model, modelTransitions),
  ModelShard: kind('ModelShard', 'ms', true, ModelShard, shardTransitions),
  StakeKeyReservation: kind('StakeKeyReservation', 'skr', false, StakeKeyReservation, reservationTransitions),
} as const;
export type KindName = keyof typeof KINDS;

/**
 * What the API server would say of replacing `before` by `after` (both parsed): the sentences of broken transition
 * rules, empty where the change is allowed.
 */
export const changeProblems = (
  of: Kind,
  after: { readonly spec: unknown },
  before: { readonly spec: unknown },
): readonly string[] => of.transitions.filter((rule) => !rule.holds(after.spec, before.spec)).map((rule) => rule.says);
