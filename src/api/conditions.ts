import { z } from 'zod';

/** A condition in Kubernetes' standard shape (metav1.Condition). */
export const Condition = z.object({
  type: z.string().min(1).max(64).describe('What is judged: Ready, PodReady, ...'),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().min(1).max(64).describe('One word in CamelCase, stable across releases.'),
  message: z.string().max(4096).describe('A sentence for a person: what is wrong, on what, and what to do.'),
  observedGeneration: z.int().min(0).optional().describe('Generation of the spec that was judged.'),
  lastTransitionTime: z.string().max(64).meta({ format: 'date-time' }).describe('When status last changed.'),
});
export type Condition = z.output<typeof Condition>;

/** `status.conditions`: a map by type, so that writers of different conditions do not overwrite each other. */
export const conditions = z
  .array(Condition)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
  .describe('What is fine and what is not; Ready comes first.');

/** Condition types of every kind (kstatus: `kubectl wait`, Helm and Argo understand them). */
export const COMMON_CONDITIONS = {
  /** All is as the spec asks; the one to wait for. */
  Ready: 'Ready',
  /** The operator is at work on it and expects to get there. */
  Reconciling: 'Reconciling',
  /** Nothing will change until a person acts; reason and message say how. */
  Stalled: 'Stalled',
} as const;

/** Condition types of a ValidatorNode. */
export const NODE_CONDITIONS = {
  ...COMMON_CONDITIONS,
  /** Identity key and stake key exist, have the right shape, and the stake key is reserved for this node. */
  KeysReady: 'KeysReady',
  /** The pod runs and its readiness probe passes. */
  PodReady: 'PodReady',
  /** The validator is connected to others of its network (alone in a network counts). */
  Connected: 'Connected',
  /** Every chunk assigned to it is on its disk, checked. */
  ShardsHeld: 'ShardsHeld',
  /** Its model's age grows. */
  Learning: 'Learning',
  /** Cordoned or being deleted, and nothing it held is missing elsewhere. */
  Drained: 'Drained',
} as const;
export type NodeConditionType = (typeof NODE_CONDITIONS)[keyof typeof NODE_CONDITIONS];

/** Condition types of a ValidatorFleet. */
export const FLEET_CONDITIONS = {
  ...COMMON_CONDITIONS,
  /** An update or a change of size is under way and moves. */
  Progressing: 'Progressing',
  /** Every validator runs the present template. */
  Converged: 'Converged',
} as const;
export type FleetConditionType = (typeof FLEET_CONDITIONS)[keyof typeof FLEET_CONDITIONS];

/** Condition types of a Model. */
export const MODEL_CONDITIONS = {
  ...COMMON_CONDITIONS,
  /** At least one validator reports a growing age. */
  Learning: 'Learning',
  /** Every validator reached learning.target. */
  Converged: 'Converged',
  /** Every shard of the certified version has its replicas. */
  Replicated: 'Replicated',
} as const;
export type ModelConditionType = (typeof MODEL_CONDITIONS)[keyof typeof MODEL_CONDITIONS];

/** Condition types of a ModelShard. */
export const SHARD_CONDITIONS = {
  ...COMMON_CONDITIONS,
  /** At least one live validator holds every chunk. */
  Available: 'Available',
  /** As many validators as spec.replicas hold every chunk. */
  FullyReplicated: 'FullyReplicated',
} as const;
export type ShardConditionType = (typeof SHARD_CONDITIONS)[keyof typeof SHARD_CONDITIONS];

/** Condition types of a StakeKeyReservation. */
export const RESERVATION_CONDITIONS = { ...COMMON_CONDITIONS } as const;

/** Reasons, a stable part of the API. People search for them; docs/ has a page a reason. */
export const REASONS = {
  /** All is as asked. */
  Reconciled: 'Reconciled',
  /** Not yet judged, or waiting for something ordinary (a pod that starts). */
  Pending: 'Pending',
  /** The operator is creating, changing or moving things. */
  InProgress: 'InProgress',
  /** spec.paused is set; nothing is changed until it is cleared. */
  Paused: 'Paused',
  /** The object is being deleted; chunks are copied away first. */
  Deleting: 'Deleting',
  /** spec.cordon is set and what it held is being copied away. */
  Draining: 'Draining',
  /** Everything that it held is held elsewhere. */
  Drained: 'Drained',
  /** The spec contradicts itself in a way the schema cannot see; the message says where. */
  SpecInvalid: 'SpecInvalid',
  /** An object of the name that is needed exists and belongs to someone else. */
  NameTaken: 'NameTaken',
  /** The API server refuses the operator a right that it needs. */
  Forbidden: 'Forbidden',

  /** The image cannot be pulled: name, tag or pull secret. */
  ImagePullFailed: 'ImagePullFailed',
  /** The scheduler finds no node for the pod. */
  Unschedulable: 'Unschedulable',
  /** No node has a free GPU of the kind asked for. */
  NoGpuFree: 'NoGpuFree',
  /** The container ends again and again; the message has its last words. */
  CrashLooping: 'CrashLooping',
  /** The container was killed for using more memory than its limit. */
  OutOfMemory: 'OutOfMemory',
  /** The pod runs but does not answer its readiness probe. */
  PodNotReady: 'PodNotReady',
  /** The node that the pod is on is lost; the pod is not replaced until it is proven gone. */
  NodeLost: 'NodeLost',
  /** The volume claim is not bound. */
  VolumePending: 'VolumePending',
  /** The volume has no room left; nothing more is written. */
  VolumeFull: 'VolumeFull',
  /** A model's checkpoint cannot be written, for another reason than room; it learns on, and a restart costs more. */
  CheckpointFailed: 'CheckpointFailed',
  /** No checkpoint of a model can be read; it goes on from what the network knows. */
  CheckpointUnusable: 'CheckpointUnusable',

  /** A Secret that the spec names, or that was recorded before, is not there. Keys are never made anew. */
  KeyMissing: 'KeyMissing',
  /** A Secret is there, but not in the shape of a key. */
  KeyMalformed: 'KeyMalformed',
  /** Another ValidatorNode holds the reservation of this stake key. */
  KeyInUse: 'KeyInUse',

  /** The file of the model's data cannot be read: missing file, claim, ConfigMap, or no answer from the URL. */
  DataUnreachable: 'DataUnreachable',
  /** The file's sha256 is not data.sha256. */
  DataDigestMismatch: 'DataDigestMismatch',
  /** The file is no table: ragged rows, cells that are no numbers, no such label column. */
  DataMalformed: 'DataMalformed',
  /** The file ends too early: it was not written or copied whole. */
  DataTruncated: 'DataTruncated',
  /** Records, labels, images or data.shape do not fit each other. */
  DataShapeMismatch: 'DataShapeMismatch',
  /** The file is of no format that is known, or not of the one in data.format. */
  DataFormatUnknown: 'DataFormatUnknown',
  /** The file, what it unpacks to, or the table is larger than the limit. */
  DataTooLarge: 'DataTooLarge',
  /** A label is not a whole number from 0 to classes - 1. */
  LabelOutOfRange: 'LabelOutOfRange',
  /** The architecture cannot be built, or does not fit the data. */
  ArchitectureInvalid: 'ArchitectureInvalid',

  /** Nobody has reported yet. */
  NoReports: 'NoReports',
  /** The validator reports, but is connected to no other. */
  NoPeers: 'NoPeers',
  /** Ages do not grow any more. */
  Stuck: 'Stuck',
  /** The model learns and has not reached its target. */
  BelowTarget: 'BelowTarget',
  /** learning.target is reached on every validator. */
  TargetReached: 'TargetReached',
  /** Fewer validators in the network than versions.minimumVoters, or none. */
  TooFewValidators: 'TooFewValidators',
  /** Too little voting weight is alive to certify a version. */
  QuorumLost: 'QuorumLost',
  /** No version has been certified yet. */
  NoVersion: 'NoVersion',
  /** Fewer checked copies than asked for. */
  UnderReplicated: 'UnderReplicated',
  /** Copies were lost and are being made anew elsewhere. */
  Repairing: 'Repairing',
  /** The fleet's volumes cannot hold what is asked of them. */
  CapacityExceeded: 'CapacityExceeded',
  /** An upgrade made things worse and waits for a person. */
  UpgradePaused: 'UpgradePaused',
  /** Some validators are not ready. */
  ValidatorsNotReady: 'ValidatorsNotReady',
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** Anything that has conditions in its status. */
export interface Conditioned {
  readonly status?: { readonly conditions?: readonly Condition[] | undefined } | undefined;
}

/** The condition of this type, if it was ever judged. */
export const findCondition = (of: Conditioned, type: string): Condition | undefined =>
  of.status?.conditions?.find((condition) => condition.type === type);

/** True only where the condition is there and its status is "True". */
export const isTrue = (of: Conditioned, type: string): boolean => findCondition(of, type)?.status === 'True';

/** A judgement, before it is known whether it is news. */
export type Verdict = Omit<Condition, 'lastTransitionTime'>;

/**
 * The list with the verdict in it. lastTransitionTime moves only where status changed; Ready stays first, others keep
 * their place, none is removed.
 * @param now RFC 3339 time
 */
export function withCondition(list: readonly Condition[], verdict: Verdict, now: string): readonly Condition[] {
  const before = list.find((condition) => condition.type === verdict.type);
  const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : now;
  const next: Condition = { ...verdict, lastTransitionTime };
  if (before !== undefined) return list.map((condition) => (condition === before ? next : condition));
  return verdict.type === COMMON_CONDITIONS.Ready ? [next, ...list] : [...list, next];
}

/** Text of the READY column: `yes`, or `no: VolumeFull`. */
export function readyText(ready: Pick<Condition, 'status' | 'reason'> | undefined): string {
  if (ready === undefined) return 'unknown';
  if (ready.status === 'True') return 'yes';
  return `${ready.status === 'False' ? 'no' : 'unknown'}: ${ready.reason}`;
}

/** Fields that the status of every kind has. */
export const statusBase = {
  observedGeneration: z.int().min(0).optional().describe('Generation of the spec that this status is about.'),
  conditions: conditions.optional(),
};
/** `status.ready`, for the READY column. */
export const ready = z.string().max(128).optional().describe('"yes", or "no: " and the reason.');
