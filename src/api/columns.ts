import type { KindName } from './kinds.ts';

/** A column of `kubectl get`; priority 1 shows with `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly description?: string;
  readonly priority?: 0 | 1;
}

const text = (name: string, jsonPath: string, description?: string): Column => ({
  name,
  type: 'string',
  jsonPath,
  ...(description === undefined ? {} : { description }),
});
const number = (name: string, jsonPath: string, description?: string): Column => ({
  ...text(name, jsonPath, description),
  type: 'integer',
});
const wide = (column: Column): Column => ({ ...column, priority: 1 });
const AGE: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** Columns that answer "is it fine?". A model's age is called Updates, since Age is when the object was made. */
export const COLUMNS: Readonly<Record<KindName, readonly Column[]>> = {
  ValidatorNode: [
    text('Network', '.spec.network'),
    text('Ready', '.status.ready', 'yes, or no and the reason; kubectl describe has the fix'),
    number('Peers', '.status.peers', 'validators that it is connected to'),
    text('Chunks', '.status.chunks.summary', 'chunks held of chunks assigned'),
    number('Updates', '.status.updates', 'local updates that its model has seen'),
    text('Accuracy', '.status.models[0].accuracy', 'share of held-out rows that its model tells right'),
    text('Reputation', '.status.reputation.score', '0 to 1, as its neighbours judge it'),
    text('Version', '.status.version', 'release of the software'),
    AGE,
    wide(text('Node', '.status.nodeName', 'machine that the pod runs on')),
    wide(text('Peer-ID', '.status.peerId')),
    wide(text('Backend', '.status.backend', 'what it computes with')),
    wide(number('Stake', '.spec.stake.amount')),
  ],
  ValidatorFleet: [
    number('Desired', '.spec.replicas'),
    number('Ready', '.status.readyReplicas'),
    number('Updated', '.status.updatedReplicas', 'validators made from the present template'),
    text('Version', '.status.currentVersion', 'template that the last complete update brought'),
    AGE,
    wide(text('Network', '.spec.template.spec.network')),
    wide(text('State', '.status.ready', 'yes, or no and the reason')),
  ],
  Model: [
    text('Network', '.spec.network'),
    text('Ready', '.status.ready', 'yes, or no and the reason; kubectl describe has the fix'),
    text('Accuracy', '.status.accuracy', 'least among validators, on held-out rows'),
    text('Loss', '.status.loss', 'mean over validators, on held-out rows'),
    text('Divergence', '.status.divergence', "distance of validators' weights from each other"),
    number('Updates', '.status.updates', 'local updates that the model has seen'),
    text('Version', '.status.version.short', 'newest certified version'),
    text('Replicated', '.status.shards.summary', 'shards with all their replicas, of all'),
    AGE,
    wide(
      text('To-Target', '.status.target.summary', 'time until it was Converged first, or an estimate of what is left'),
    ),
  ],
  ModelShard: [
    text('Model', '.spec.modelRef.name'),
    number('Shard', '.spec.index'),
    text('Ready', '.status.ready', 'yes, or no and the reason; kubectl describe has the fix'),
    number('Replicas', '.spec.replicas'),
    number('Available', '.status.availableReplicas', 'validators that hold every chunk'),
    text('Copied', '.status.copied', 'chunks on disks of all that should be there'),
    number('Bytes', '.status.bytes', 'of one replica'),
    AGE,
    wide(number('Chunks', '.status.chunks', 'of one replica')),
    wide(text('Version', '.status.versionCid')),
  ],
  StakeKeyReservation: [
    text('Namespace', '.spec.nodeRef.namespace'),
    text('Validator', '.spec.nodeRef.name'),
    AGE,
    wide(text('Public-Key', '.spec.publicKey')),
  ],
};
