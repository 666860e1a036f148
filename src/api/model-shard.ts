import { z } from 'zod';
import { ready, statusBase } from './conditions.ts';
import { localRef, object, plainName, selector } from './metadata.ts';
import { immutable, ruled, type Transition, text, whole } from './rules.ts';

/** A manifest's CID (CIDv1, DAG-CBOR, sha2-256) in base32: what is no CID would void the charter that names it. */
const cid = text(
  /^bafyrei[a-h][a-z2-7]{50}[aeimquy4]$/,
  59,
  'versionCid must be the whole CID of a version, "bafyrei..." with 59 characters, as `kubectl get mdl -o yaml` shows it.',
);

/** Rules about changes of a shard's spec. */
export const shardTransitions: readonly Transition[] = [
  immutable('modelRef', 'Make a ModelShard for the other model.'),
  immutable('index', 'Make a ModelShard for the other range.'),
  immutable('of', 'Make ModelShards for the other division.'),
];

/** Spec of a shard: a contiguous range of a version's chunks. */
export const ModelShardSpec = ruled(
  z.object({
    modelRef: localRef('modelRef', 'Model').describe('The model that the shard is a part of.'),
    index: whole(0, 1023).describe('Which part, from 0.'),
    of: whole(1, 1024).describe('Into how many parts the model is divided.'),
    replicas: whole(1, 100).default(3).describe('Validators that should hold it.'),
    placement: z
      .object({
        spread: text(
          /^[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?$/,
          316,
          'placement.spread must be the label of a topology such as "kubernetes.io/hostname".',
        )
          .default('kubernetes.io/hostname')
          .describe('Topology over which holders are spread.'),
        nodeSelector: selector.optional().describe('Labels that the machines of holders must have.'),
      })
      .prefault({})
      .describe('Which validators may hold it.'),
    versionCid: cid.optional().describe('Pins this version by hand; the newest certified version where absent.'),
  }),
  [
    {
      cel: 'self.index < self.of',
      says: 'index must be less than of: parts are numbered from 0 to of - 1.',
      at: '.index',
      holds: (self) => self.index < self.of,
    },
  ],
  shardTransitions,
);
export type ModelShardSpec = z.output<typeof ModelShardSpec>;

const count = z.int().min(0);
/**
 * Where a holder stands with its copy. Assigned: has nothing yet. Fetching: has a part. Verified: has every chunk, checked,
 * and answers. Stale: has stopped reporting, and is waited for. The rest are no holders any more and stay listed until
 * others have every chunk: Draining (a better place was found, or it leaves), Lost (silent for too long), Corrupt (fails
 * storage challenges).
 */
export const HOLDER_STATES = ['Assigned', 'Fetching', 'Verified', 'Stale', 'Draining', 'Lost', 'Corrupt'] as const;
export type HolderState = (typeof HOLDER_STATES)[number];

const shardStatus = z.object({
  ...statusBase,
  ready,
  versionCid: z.string().max(128).optional().describe('Manifest of the version that the shard is a part of.'),
  chunks: count.optional(),
  bytes: count.optional(),
  holders: z
    .array(
      z.object({
        node: z.string().max(253).describe('ValidatorNode.'),
        state: z.enum(HOLDER_STATES),
        chunks: count.describe('Chunks of the shard that it holds, checked.'),
        machine: z.string().max(253).optional().describe('Machine that its pod is on, or was on last.'),
        zone: z.string().max(253).optional().describe('Zone of that machine.'),
      }),
    )
    .max(128)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['node'] })
    .optional(),
  availableReplicas: count.optional().describe('Holders that have every chunk, checked, and answer.'),
  copied: z
    .string()
    .max(32)
    .optional()
    .describe('Chunks on the disks of those that should hold them, of all that should be there: "37/48".'),
  replicatedCid: z
    .string()
    .max(128)
    .optional()
    .describe('The newest version of which every replica was there at once.'),
  repair: z
    .object({
      since: z.string().max(64).meta({ format: 'date-time' }).describe('When the loss was known.'),
      lost: z.array(z.string().max(253)).max(128).describe('ValidatorNodes whose copies were lost.'),
    })
    .optional()
    .describe('Lost copies that are being made anew; absent while nothing is missing.'),
});

/** A contiguous range of a version's chunks, the unit of placement. */
export const ModelShard = object('ModelShard', ModelShardSpec, shardStatus, [plainName('ModelShard', 63)]);
export type ModelShard = z.output<typeof ModelShard>;
export type ModelShardStatus = z.output<typeof shardStatus>;
