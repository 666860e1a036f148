import { findCondition, LABELS, USER_ENTRY_LABELS } from '../api/index.ts';
import {
  ConfigMap,
  type KubeObject,
  Namespace,
  type Node,
  type ObjectKey,
  type PersistentVolumeClaim,
  Pod,
  type PodDisruptionBudget,
  type Secret,
  type Service,
  type Stores,
  type WatchDeclaration,
} from '../kube/index.ts';
import { Model, ModelShard, type StakeKeyReservation, type ValidatorFleet, ValidatorNode } from './kinds.ts';
import { managed } from './labels.ts';
import { charterLabels } from './network/record.ts';
import { isPodReady } from './node/pod-state.ts';
import { isWanted } from './shard/holders.ts';
import {
  slimBudget,
  slimFleet,
  slimMachine,
  slimNode,
  slimPod,
  slimReservation,
  slimSecret,
  slimService,
  slimUser,
  slimVolume,
} from './slim.ts';

/** What is watched of each kind, said once, so that all controllers share one watch and one store a kind. */
export const watched = {
  nodes: {
    trim: slimNode,
    indexes: {
      network: (node) => [networkIndex(node.metadata.namespace, node.spec.network)],
      peerId: (node) =>
        node.status?.peerId === undefined ? [] : [`${node.metadata.namespace ?? ''}/${node.status.peerId}`],
      publicKey: (node) => (node.status?.stake?.publicKey === undefined ? [] : [node.status.stake.publicKey]),
    },
  } satisfies WatchDeclaration<ValidatorNode>,
  fleets: { trim: slimFleet } satisfies WatchDeclaration<ValidatorFleet>,
  models: {
    indexes: { network: (model) => [networkIndex(model.metadata.namespace, model.spec.network)] },
  } satisfies WatchDeclaration<Model>,
  shards: {
    indexes: {
      model: (shard) => [objectIndex(shard.metadata.namespace, shard.spec.modelRef.name)],
      holder: (shard) => (shard.status?.holders ?? []).map(({ node }) => objectIndex(shard.metadata.namespace, node)),
    },
  } satisfies WatchDeclaration<ModelShard>,
  reservations: {
    trim: slimReservation,
    indexes: { holder: ({ spec }) => [spec.nodeRef.uid] },
  } satisfies WatchDeclaration<StakeKeyReservation>,
  pods: {
    selector: { labels: managed },
    trim: slimPod,
    indexes: { machine: (pod) => (pod.spec?.nodeName === undefined ? [] : [pod.spec.nodeName]) },
  } satisfies WatchDeclaration<Pod>,
  services: { selector: { labels: managed }, trim: slimService } satisfies WatchDeclaration<Service>,
  secrets: { selector: { labels: managed }, trim: slimSecret } satisfies WatchDeclaration<Secret>,
  /** All of them: models and validators name claims that people made. */
  volumes: { trim: slimVolume } satisfies WatchDeclaration<PersistentVolumeClaim>,
  /** All of them: a person may have made one of a fleet's name. */
  budgets: { trim: slimBudget } satisfies WatchDeclaration<PodDisruptionBudget>,
  /** What users ask to be let in with. */
  users: {
    selector: { labels: USER_ENTRY_LABELS },
    trim: slimUser,
    indexes: { network: ({ metadata }) => [networkIndex(metadata.namespace, metadata.labels?.[LABELS.network] ?? '')] },
  } satisfies WatchDeclaration<ConfigMap>,
  charters: { selector: { labels: charterLabels } } satisfies WatchDeclaration<ConfigMap>,
  machines: { trim: slimMachine } satisfies WatchDeclaration<Node>,
};

/** Measured numbers of a validator, which move all the time and on which no other kind depends. */
const NUMBERS: ReadonlySet<string> = new Set(['peers', 'updates', 'models', 'reputation', 'chunks']);

/** What of objects other kinds' controllers act on: changes of the rest need not wake them. */
export const told = {
  node: ({ metadata: { resourceVersion: _, ...metadata }, spec, status }: ValidatorNode) => {
    return [metadata, spec, Object.entries(status ?? {}).filter(([field]) => !NUMBERS.has(field))];
  },
  member: ({ metadata: { deletionTimestamp }, spec: { network, stake }, status }: ValidatorNode) => {
    return [deletionTimestamp, network, stake.amount, status?.peerId, status?.stake];
  },
  machine: (pod: Pod) => pod.spec?.nodeName,
  /** Of a machine: where it is, and whether what runs there stays. */
  standing: (machine: Node) => [machine.metadata.labels, machine.spec?.unschedulable, machine.status?.conditions],
  cordon: (machine: Node) => machine.spec?.unschedulable,
  /** Of a shard: who counts on whom. */
  copies: ({ spec, status }: ModelShard) => [
    spec.replicas,
    status?.versionCid === undefined,
    status?.availableReplicas,
    status?.holders?.map((holder) => [holder.node, isWanted(holder)]),
    findCondition({ status }, 'FullyReplicated')?.status,
  ],
  address: (pod: Pod) => [pod.metadata.deletionTimestamp, pod.status?.podIP, pod.status?.phase, isPodReady(pod)],
  version: ({ metadata, spec, status }: Model) => [metadata.deletionTimestamp, spec, status?.version],
};

const networkIndex = (namespace: string | undefined, network: string): string => `${namespace ?? ''}/${network}`;
const objectIndex = networkIndex;

/** What controllers ask the stores. */
export const look = {
  nodesOf: (stores: Stores, namespace: string, network: string) =>
    stores.of(ValidatorNode).byIndex('network', networkIndex(namespace, network)),
  nodeCount: (stores: Stores, namespace: string, network: string) =>
    stores.of(ValidatorNode).countByIndex('network', networkIndex(namespace, network)),
  modelsOf: (stores: Stores, namespace: string, network: string) =>
    stores.of(Model).byIndex('network', networkIndex(namespace, network)),
  usersOf: (stores: Stores, namespace: string, network: string) =>
    stores.of(ConfigMap, watched.users.selector).byIndex('network', networkIndex(namespace, network)),
  shardsOf: (stores: Stores, namespace: string, model: string) =>
    stores.of(ModelShard).byIndex('model', objectIndex(namespace, model)),
  heldBy: (stores: Stores, namespace: string, node: string) =>
    stores.of(ModelShard).byIndex('holder', objectIndex(namespace, node)),
  /** The machine that a validator's pod is on. */
  machineOf: (stores: Stores, namespace: string, node: string): string | undefined =>
    stores.of(Pod).get({ namespace, name: node })?.spec?.nodeName,
  podsOn: (stores: Stores, { metadata }: Node) => stores.of(Pod).byIndex('machine', metadata.name),
  /** Gone counts as terminating: a namespace that is not there holds nothing that could be kept. */
  isTerminating: (stores: Stores, namespace: string): boolean => {
    const found = stores.of(Namespace).get({ namespace: '', name: namespace });
    return found?.metadata.deletionTimestamp !== undefined || found?.status?.phase === 'Terminating';
  },
};

export const keysOf = (objects: readonly KubeObject[]): readonly ObjectKey[] =>
  objects.map(({ metadata }) => ({ namespace: metadata.namespace ?? '', name: metadata.name }));

/** The object beside it that an object's label names. */
const labelled =
  (label: string) =>
  ({ metadata }: KubeObject): readonly ObjectKey[] => {
    const name = metadata.labels?.[label];
    return name === undefined ? [] : [{ namespace: metadata.namespace ?? '', name }];
  };

/** The ValidatorNode named in an object's labels. */
export const labelledNode = labelled(LABELS.node);
/** The ValidatorFleet named in an object's labels. */
export const labelledFleet = labelled(LABELS.fleet);
