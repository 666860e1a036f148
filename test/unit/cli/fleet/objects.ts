import { type Condition, Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../../../src/api/index.ts';

/** The moment at which tests look. */
export const now = Date.parse('2026-11-21T12:00:00Z');
/** So many seconds before {@link now}, RFC 3339. */
export const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

export const condition = (
  type: string,
  status: Condition['status'],
  reason: string,
  since = 300,
  message = `${reason} it is.`,
): Condition => ({ type, status, reason, message, lastTransitionTime: ago(since) });

const metadata = (name: string) => ({ name, namespace: 'default', creationTimestamp: ago(120) });

export const node = (name: string, status: object = {}): ValidatorNode =>
  ValidatorNode.parse({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'ValidatorNode',
    metadata: metadata(name),
    spec: {},
    status,
  });

export const readyNode = (name: string, status: object = {}): ValidatorNode =>
  node(name, {
    conditions: [condition('Ready', 'True', 'Reconciled')],
    podName: name,
    nodeName: 'murmuration-worker',
    peers: 3,
    updates: 1204,
    chunks: { held: 6, assigned: 6, bytes: 12_000, summary: '6/6' },
    models: [{ name: 'digits', age: 1204, loss: '0.141', accuracy: '0.958' }],
    reputation: { score: '0.930' },
    ...status,
  });

export const fleet = (replicas: number, ready: number): ValidatorFleet =>
  ValidatorFleet.parse({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'ValidatorFleet',
    metadata: metadata('flock'),
    spec: { replicas },
    status: {
      conditions: [
        ready >= replicas
          ? condition('Ready', 'True', 'Reconciled')
          : condition('Ready', 'False', 'ValidatorsNotReady'),
      ],
      replicas,
      readyReplicas: ready,
      updatedReplicas: ready,
    },
  });

export const model = (status: object = {}, learning: object = { target: { value: '0.95' } }): Model =>
  Model.parse({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'Model',
    metadata: metadata('digits'),
    spec: { data: { source: { builtin: 'digits' }, classes: 10 }, learning },
    status,
  });

export const convergedModel = (): Model =>
  model({
    conditions: [condition('Ready', 'True', 'Reconciled'), condition('Converged', 'True', 'TargetReached', 62)],
    accuracy: '0.957',
    loss: '0.140',
    divergence: '0.021',
    updates: 1204,
    version: {
      cid: 'bafyreiabcdefghijklmnopq3e',
      short: 'bafy…q3e',
      age: 1000,
      certifiedAt: ago(80),
      certifiedBy: '4 of 4',
      bytes: 11_000,
      chunks: 2,
    },
    shards: { ready: 2, total: 2, summary: '2/2' },
  });

export const shard = (index: number, available: number): ModelShard =>
  ModelShard.parse({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'ModelShard',
    metadata: metadata(`digits-${index}`),
    spec: { modelRef: { name: 'digits' }, index, of: 2, replicas: 3 },
    status: { availableReplicas: available },
  });
