import { z } from 'zod';
import { ready, statusBase } from './conditions.ts';
import { annotations, labels, object, plainName } from './metadata.ts';
import { FLEET_NAME_MAX } from './names.ts';
import { immutable, ruled, type Transition, whole } from './rules.ts';
import { storageGrows, TemplateSpec } from './validator-node.ts';

const PERCENT = /^([1-9][0-9]?|100)%$/;

const maxUnavailable = ruled(z.union([z.int(), z.string().max(4)]).meta({ 'x-kubernetes-int-or-string': true }), [
  {
    cel: `type(self) == string ? self.matches(r'${PERCENT.source}') : int(self) >= 1 && int(self) <= 1000`,
    says: 'updateStrategy.maxUnavailable must be a number from 1 to 1000 or a percentage from "1%" to "100%".',
    holds: (self) => (typeof self === 'string' ? PERCENT.test(self) : self >= 1 && self <= 1000),
  },
]);

const canary = z.object({
  count: whole(1, 100).default(1).describe('Validators that are updated first.'),
  minutes: whole(1, 10_080).default(10).describe('How long they are watched before the rest follows.'),
});

const updateStrategy = z.object({
  maxUnavailable: maxUnavailable.default(1).describe('Validators that may be not ready during an update: 1, or "25%".'),
  canary: canary.optional().describe('Try the update on a few validators first.'),
  onRegression: z
    .enum(['Pause', 'Rollback'])
    .default('Pause')
    .describe('What to do where updated validators do worse: wait for a person, or go back.'),
});

/** Rules about changes of a fleet's spec: what a ValidatorNode cannot change, its template cannot either. */
export const fleetTransitions: readonly Transition[] = [
  immutable('template.spec.network', 'Make a new ValidatorFleet in the other network.'),
  immutable('template.spec.storage.storageClassName', 'Make a new ValidatorFleet to move to another storage class.'),
  storageGrows('template.spec.'),
  immutable('ordinals.start', 'Make a new ValidatorFleet with the other numbering.'),
];

/** Spec of a fleet. */
export const ValidatorFleetSpec = ruled(
  z.object({
    replicas: whole(0, 1000).default(1).describe('Validators wanted.'),
    template: z
      .object({
        metadata: z
          .object({
            labels: labels.default({}).describe('Labels of each ValidatorNode; those of pods are in spec.podTemplate.'),
            annotations: annotations.default({}).describe('Annotations of each ValidatorNode.'),
          })
          .prefault({})
          .describe('Labels and annotations of each ValidatorNode.'),
        spec: TemplateSpec.prefault({}).describe('Spec of each ValidatorNode.'),
      })
      .prefault({})
      .describe('What each validator is made from.'),
    updateStrategy: updateStrategy.prefault({}).describe('How a changed template reaches the validators.'),
    ordinals: z
      .object({ start: whole(0, 8999).default(0).describe('Number of the first validator.') })
      .prefault({})
      .describe('How validators are numbered.'),
  }),
  [],
  fleetTransitions,
);
export type ValidatorFleetSpec = z.output<typeof ValidatorFleetSpec>;

const count = z.int().min(0);
const fleetStatus = z.object({
  ...statusBase,
  ready,
  replicas: count.optional().describe('ValidatorNodes that exist.'),
  readyReplicas: count.optional(),
  updatedReplicas: count.optional().describe('ValidatorNodes made from the present template.'),
  selector: z.string().max(1024).optional().describe('Label selector of the pods, for kubectl scale and autoscalers.'),
  currentVersion: z
    .string()
    .max(128)
    .optional()
    .describe('Hash of the template that the last complete update brought.'),
  targetVersion: z.string().max(128).optional().describe('Hash of the present template.'),
});

/** A set of equal validators made from one template. */
export const ValidatorFleet = object('ValidatorFleet', ValidatorFleetSpec, fleetStatus, [
  plainName('ValidatorFleet', FLEET_NAME_MAX),
]);
export type ValidatorFleet = z.output<typeof ValidatorFleet>;
export type ValidatorFleetStatus = z.output<typeof fleetStatus>;

/**
 * How many validators may be not ready at once. A percentage is of `replicas`, rounded down, at least 1, so that an
 * update always moves.
 */
export function maxUnavailableOf(spec: Pick<ValidatorFleetSpec, 'replicas' | 'updateStrategy'>): number {
  const { maxUnavailable: value } = spec.updateStrategy;
  const wanted = typeof value === 'number' ? value : Math.floor((Number.parseInt(value, 10) * spec.replicas) / 100);
  return Math.max(1, wanted);
}
