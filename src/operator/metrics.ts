import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { ModelShardStatus, ModelStatus, ValidatorFleetStatus, ValidatorNodeStatus } from '../api/index.ts';
import type { Model, ModelShard, ValidatorFleet, ValidatorNode } from './kinds.ts';
import type { ModelWorld } from './model/status.ts';
import { convergence } from './model/status.ts';
import { type Heard, isFresh, modelReport } from './network/heard.ts';
import { progressOf } from './shard/holders.ts';

/** Every metric of the operator, besides those of the controller runtime. Names: `murmuration_<noun>_<unit>`. */
export type OperatorMetrics = ReturnType<typeof operatorMetrics>;

/** Parts of a reputation, as label values. */
const PARTS = ['score', 'storage', 'learning', 'interactions'] as const;

/** States of a shard's replicas and chunks, as label values. */
const REPLICAS = ['wanted', 'available'] as const;
const CHUNKS = ['wanted', 'missing'] as const;
/** From a shard of a few chunks, which takes a second, to one of many GiB on a slow link. */
const REPAIR_SECONDS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600];

/** Declares the metrics on a registry, and how they follow from what is observed. Gauges, but for repairs, which are counted. */
export function operatorMetrics(registry: Registry = new Registry()) {
  collectDefaultMetrics({ register: registry });
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  const ofNode = ['namespace', 'network', 'validator'] as const;
  const ofModel = ['namespace', 'network', 'model'] as const;
  const reputation = gauge(
    'murmuration_validator_reputation_ratio',
    'Reputation of a validator by part (score, storage, learning, interactions), 0 to 1: median of what the others report.',
    [...ofNode, 'part'],
  );
  const ready = gauge('murmuration_validator_ready_bool', '1 where the validator is Ready.', ofNode);
  const peers = gauge('murmuration_validator_peers_count', 'Members that the validator is connected to.', ofNode);
  const chunks = gauge('murmuration_validator_chunks_count', 'Chunks by state: assigned, or held and checked.', [
    ...ofNode,
    'state',
  ]);
  const disk = gauge('murmuration_validator_disk_bytes', "The validator's volume by state: used or free.", [
    ...ofNode,
    'state',
  ]);
  const reportAge = gauge(
    'murmuration_validator_report_timestamp_seconds',
    'Unix time at which the operator last heard the validator.',
    ofNode,
  );
  const validatorAccuracy = gauge(
    'murmuration_validator_accuracy_ratio',
    'Accuracy of one model on one validator, on the held-out rows, 0 to 1.',
    [...ofModel, 'validator'],
  );
  const accuracy = gauge(
    'murmuration_model_accuracy_ratio',
    'Least accuracy among validators on the held-out rows, 0 to 1.',
    ofModel,
  );
  const loss = gauge(
    'murmuration_model_loss_ratio',
    'Mean loss over validators on the held-out rows, in nats.',
    ofModel,
  );
  const divergence = gauge(
    'murmuration_model_divergence_ratio',
    "Mean distance of validators' weights from each other, relative to their length.",
    ofModel,
  );
  const updates = gauge('murmuration_model_updates_count', 'Greatest age among validators, in local updates.', ofModel);
  const converged = gauge(
    'murmuration_model_converged_bool',
    '1 where the target is reached on every validator.',
    ofModel,
  );
  const timeToTarget = gauge(
    'murmuration_model_time_to_target_seconds',
    'Time from the first update until the target was reached first.',
    ofModel,
  );
  const timeLeft = gauge(
    'murmuration_model_time_left_seconds',
    'Estimate of the time until the target is reached; absent where there is no trend.',
    ofModel,
  );
  const versionUpdates = gauge(
    'murmuration_version_updates_count',
    'Age of the newest certified version, in local updates.',
    ofModel,
  );
  const versionTime = gauge(
    'murmuration_version_timestamp_seconds',
    'Unix time at which the newest version was certified.',
    ofModel,
  );
  const replicas = gauge('murmuration_shard_replicas_count', 'Replicas of a shard by state: wanted or available.', [
    'namespace',
    'shard',
    'state',
  ]);
  const shardChunks = gauge(
    'murmuration_shard_chunks_count',
    'Chunks of all replicas of a shard by state: wanted, or missing on the disks of those that should hold them.',
    ['namespace', 'shard', 'state'],
  );
  const repairs = new Counter({
    name: 'murmuration_shard_repairs_total',
    help: 'Repairs of shards that lost copies, by phase: begun or done.',
    labelNames: ['namespace', 'phase'],
    registers: [registry],
  });
  const repairSeconds = new Histogram({
    name: 'murmuration_shard_repair_seconds',
    help: 'Time from the loss of a copy being known to all replicas being there again.',
    labelNames: ['namespace'],
    buckets: REPAIR_SECONDS,
    registers: [registry],
  });
  const fleet = gauge(
    'murmuration_fleet_replicas_count',
    'Validators of a fleet by state: wanted, present, ready, updated.',
    ['namespace', 'fleet', 'state'],
  );
  const charterSeq = gauge('murmuration_charter_seq', 'Number of the charter in force.', ['namespace', 'network']);
  const members = gauge('murmuration_charter_members_count', 'Members of the charter in force.', [
    'namespace',
    'network',
  ]);
  const set = <L extends string>(to: Gauge<L>, labels: Record<L, string>, value: number | undefined): void => {
    if (value !== undefined) to.set(labels, value);
  };
  const isTrue = (conditions: ModelStatus['conditions'], type: string): number =>
    conditions?.some((condition) => condition.type === type && condition.status === 'True') ? 1 : 0;

  return {
    registry,
    /** One validator, after each look at it. */
    observeNode({ metadata, spec }: ValidatorNode, status: ValidatorNodeStatus): void {
      const { namespace = '', name, deletionTimestamp } = metadata;
      const labels = { namespace, network: spec.network, validator: name };
      if (deletionTimestamp !== undefined) {
        this.forgetNode(namespace, spec.network, name);
        return;
      }
      ready.set(labels, isTrue(status.conditions, 'Ready'));
      set(chunks, { ...labels, state: 'assigned' }, status.chunks?.assigned);
      set(chunks, { ...labels, state: 'held' }, status.chunks?.held);
    },
    /** What was last heard of a validator, when somebody asks for the metrics. @param now unix ms */
    observeHeard({ metadata, spec }: ValidatorNode, heard: Heard, now: number): void {
      if (metadata.deletionTimestamp !== undefined) return;
      const labels = { namespace: metadata.namespace ?? '', network: spec.network, validator: metadata.name };
      peers.set(labels, isFresh(heard, now) ? heard.report.peers : 0);
      reportAge.set(labels, heard.at / 1000);
      disk.set({ ...labels, state: 'used' }, heard.report.disk.usedBytes);
      disk.set({ ...labels, state: 'free' }, heard.report.disk.freeBytes);
      for (const part of PARTS) set(reputation, { ...labels, part }, heard.reputation?.[part]);
    },
    /** A validator that goes takes its series with it. */
    forgetNode(namespace: string, network: string, validator: string): void {
      const labels = { namespace, network, validator };
      for (const one of [ready, peers, reportAge]) one.remove(labels);
      for (const state of ['assigned', 'held']) chunks.remove({ ...labels, state });
      for (const state of ['used', 'free']) disk.remove({ ...labels, state });
      for (const part of PARTS) reputation.remove({ ...labels, part });
    },
    /** One model, after each look at it. */
    observeModel({ model, learners, now }: ModelWorld, status: ModelStatus): void {
      const { namespace = '', name, uid = '' } = model.metadata;
      const labels = { namespace, network: model.spec.network, model: name };
      const reports = learners.flatMap(({ node, heard }) => {
        const report = isFresh(heard, now) ? modelReport(heard, uid) : undefined;
        return report === undefined ? [] : [{ node, report }];
      });
      const all = convergence(reports.map(({ report }) => report));
      set(accuracy, labels, all.accuracy);
      set(loss, labels, all.loss);
      set(divergence, labels, all.divergence);
      set(updates, labels, all.updates);
      for (const { node, report } of reports) {
        set(validatorAccuracy, { ...labels, validator: node }, report.accuracy ?? undefined);
      }
      converged.set(labels, isTrue(status.conditions, 'Converged'));
      const { secondsTaken, secondsLeft } = status.target ?? {};
      for (const [to, value] of [[timeToTarget, secondsTaken] as const, [timeLeft, secondsLeft] as const]) {
        if (value === undefined) to.remove(labels);
        else to.set(labels, value);
      }
      set(versionUpdates, labels, status.version?.age);
      set(
        versionTime,
        labels,
        status.version === undefined ? undefined : Date.parse(status.version.certifiedAt) / 1000,
      );
    },
    /** A model that is gone takes its series with it. */
    forgetModel({ metadata, spec }: Model): void {
      const labels = { namespace: metadata.namespace ?? '', network: spec.network, model: metadata.name };
      const all = [accuracy, loss, divergence, updates, converged, timeToTarget, timeLeft, versionUpdates, versionTime];
      for (const one of all) one.remove(labels);
    },
    observeShard({ metadata, spec }: ModelShard, status: ModelShardStatus): void {
      const labels = { namespace: metadata.namespace ?? '', shard: metadata.name };
      replicas.set({ ...labels, state: 'wanted' }, spec.replicas);
      set(replicas, { ...labels, state: 'available' }, status.availableReplicas);
      const { held, wanted } = progressOf(status.holders ?? [], { replicas: spec.replicas, chunks: status.chunks });
      shardChunks.set({ ...labels, state: 'wanted' }, wanted);
      shardChunks.set({ ...labels, state: 'missing' }, wanted - held);
    },
    /** What a status that was just written says of the repair of a shard. @param now unix ms */
    observeRepair(
      { metadata: { namespace = '' } }: ModelShard,
      before: ModelShardStatus['repair'],
      after: ModelShardStatus['repair'],
      now: number,
    ): void {
      if (before === undefined && after !== undefined) repairs.inc({ namespace, phase: 'begun' });
      if (before === undefined || after !== undefined) return;
      repairs.inc({ namespace, phase: 'done' });
      repairSeconds.observe({ namespace }, Math.max(0, now - Date.parse(before.since)) / 1000);
    },
    forgetShard({ metadata }: ModelShard): void {
      const labels = { namespace: metadata.namespace ?? '', shard: metadata.name };
      for (const state of REPLICAS) replicas.remove({ ...labels, state });
      for (const state of CHUNKS) shardChunks.remove({ ...labels, state });
    },
    observeFleet({ metadata, spec }: ValidatorFleet, status: ValidatorFleetStatus): void {
      const labels = { namespace: metadata.namespace ?? '', fleet: metadata.name };
      fleet.set({ ...labels, state: 'wanted' }, spec.replicas);
      set(fleet, { ...labels, state: 'present' }, status.replicas);
      set(fleet, { ...labels, state: 'ready' }, status.readyReplicas);
      set(fleet, { ...labels, state: 'updated' }, status.updatedReplicas);
    },
    forgetFleet({ metadata }: ValidatorFleet): void {
      const labels = { namespace: metadata.namespace ?? '', fleet: metadata.name };
      for (const state of ['wanted', 'present', 'ready', 'updated']) fleet.remove({ ...labels, state });
    },
    observeNetwork(namespace: string, network: string, seq: number, count: number): void {
      charterSeq.set({ namespace, network }, seq);
      members.set({ namespace, network }, count);
    },
    forgetNetwork(namespace: string, network: string): void {
      charterSeq.remove({ namespace, network });
      members.remove({ namespace, network });
    },
  };
}
