import { Model, ModelShard, reservationName, ValidatorFleet, ValidatorNode } from '../../../src/api/index.ts';
import {
  controllerOf,
  deepEqual,
  type Existing,
  type KubeObject,
  type PersistentVolumeClaim,
  type Pod,
  type PodDisruptionBudget,
  type Service,
} from '../../../src/kube/index.ts';
import type { Action } from '../../../src/operator/action.ts';
import type { FleetWorld } from '../../../src/operator/fleet/plan.ts';
import { fleetStatus } from '../../../src/operator/fleet/status.ts';
import type { StakeKeyReservation } from '../../../src/operator/kinds.ts';
import { type PodSetting, plannedPodHash } from '../../../src/operator/node/children/pod.ts';
import type { KeySecret } from '../../../src/operator/node/keys.ts';
import { nodeStatus } from '../../../src/operator/node/status.ts';
import type { NodeWorld } from '../../../src/operator/node/world.ts';
import type { Report } from '../../../src/overlay/index.ts';

export const NAMESPACE = 'garden';
export const NOW = Date.parse('2026-11-21T12:00:00Z');
export const SETTING: PodSetting = {
  image: 'murmuration:0.1.0',
  authority: '12D3Authority',
  sources: [],
  claims: new Set(),
};

/** Any object as a test looks at it. */
// biome-ignore lint/suspicious/noExplicitAny: objects of every kind
export type Loose = Existing<KubeObject> & { spec?: any; status?: any };

/**
 * The API server, kubelet and network as far as planners see them: objects in memory, actions that change them, pods
 * that become ready when the test says so.
 */
export class Cluster {
  readonly objects = new Map<string, Loose>();
  /** Every key that was ever made, by Secret name. */
  readonly keysMade: string[] = [];
  namespaceTerminating = false;
  setting: PodSetting | undefined = SETTING;
  now = NOW;
  #version = 0;

  get<T extends KubeObject>(kind: string, name: string): Existing<T> | undefined {
    return this.objects.get(`${kind} ${name}`) as Existing<T> | undefined;
  }

  list<T extends KubeObject>(kind: string): readonly Existing<T>[] {
    return [...this.objects.entries()].filter(([id]) => id.startsWith(`${kind} `)).map(([, one]) => one as never);
  }

  /** Begins as a copy of another one. */
  protected copy(from: Cluster): void {
    for (const [id, object] of from.objects) this.objects.set(id, object);
    this.keysMade.push(...from.keysMade);
    this.namespaceTerminating = from.namespaceTerminating;
    this.setting = from.setting;
    this.now = from.now;
    this.#version = from.#version;
  }

  /** Counts the changes of all objects, as etcd does. */
  get revision(): number {
    return this.#version;
  }

  /** Keeps this state of an object; one that is as before is no change. */
  protected store(id: string, object: Loose): Loose {
    const before = this.objects.get(id);
    if (before !== undefined && deepEqual(before, versioned(object, before.metadata.resourceVersion))) return before;
    this.#version += 1;
    const stored = versioned(object, String(this.#version));
    this.objects.set(id, stored);
    return stored;
  }

  protected remove(id: string): void {
    if (this.objects.delete(id)) this.#version += 1;
  }

  /** Stores the object as the API server would: uid, generation, defaults of our kinds. */
  put(object: KubeObject): Loose {
    const id = `${object.kind} ${object.metadata.name}`;
    const before = this.objects.get(id);
    const { spec, status, ...rest } = completed(object) as Loose;
    const generation =
      (before?.metadata.generation ?? 0) + (before !== undefined && deepEqual(before.spec, spec) ? 0 : 1);
    return this.store(id, {
      ...rest,
      ...(spec === undefined ? {} : { spec }),
      ...((status ?? before?.status) === undefined ? {} : { status: status ?? before?.status }),
      metadata: {
        ...before?.metadata,
        ...object.metadata,
        labels: { ...before?.metadata.labels, ...object.metadata.labels },
        annotations: { ...object.metadata.annotations },
        uid: before?.metadata.uid ?? `uid-${this.#version + 1}`,
        generation,
        creationTimestamp: before?.metadata.creationTimestamp ?? new Date(this.now).toISOString(),
      },
    } as Loose);
  }

  /** As `kubectl delete`: stays while it has a finalizer; a pod stays until the kubelet lets go of it. */
  delete(kind: string, name: string): void {
    const id = `${kind} ${name}`;
    const object = this.objects.get(id);
    if (object === undefined) return;
    const stays =
      (object.metadata.finalizers?.length ?? 0) > 0 || (kind === 'Pod' && object.spec.nodeName !== undefined);
    if (!stays) {
      this.remove(id);
      return;
    }
    const deletionTimestamp = object.metadata.deletionTimestamp ?? new Date(this.now).toISOString();
    this.store(id, { ...object, metadata: { ...object.metadata, deletionTimestamp } });
  }

  perform(action: Action, record?: () => void): void {
    switch (action.do) {
      case 'apply':
        this.put(action.object);
        return;
      case 'create':
        if (!this.objects.has(`${action.object.kind} ${action.object.metadata.name}`)) this.put(action.object);
        return;
      case 'makeKey': {
        const { name } = action.secret.metadata;
        if (this.objects.has(`Secret ${name}`)) return;
        this.keysMade.push(name);
        const key = publicName(action.which, this.keysMade.length);
        this.put({ ...action.secret, spec: { name: key }, data: { key } } as KubeObject);
        return;
      }
      case 'delete': {
        const there = this.objects.get(`${action.kind.kind} ${action.key.name}`);
        if (there?.metadata.uid !== action.uid) return;
        if (action.graceSeconds === 0) this.remove(`${action.kind.kind} ${action.key.name}`);
        else this.delete(action.kind.kind, action.key.name);
        return;
      }
      case 'record':
        record?.();
        return;
      case 'finalizer': {
        const id = `${action.kind.kind} ${action.object.metadata.name}`;
        const there = this.objects.get(id);
        if (there === undefined) return;
        const finalizers = action.present ? ['murmuration.dev/validator'] : [];
        if (!action.present && there.metadata.deletionTimestamp !== undefined) this.remove(id);
        else this.store(id, { ...there, metadata: { ...there.metadata, finalizers } });
        return;
      }
    }
  }

  /** The kubelet gets hold of this pod, or lets go of it. */
  kubelet(name: string, fate: 'runs' | 'fails' = 'runs'): void {
    const id = `Pod ${name}`;
    const pod = this.objects.get(id);
    if (pod === undefined) return;
    if (pod.metadata.deletionTimestamp !== undefined) {
      this.remove(id);
      return;
    }
    const ready = fate === 'runs' ? 'True' : 'False';
    const status = { phase: 'Running', podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: ready }] };
    this.store(id, { ...pod, spec: { ...pod.spec, nodeName: 'machine-0' }, status });
  }

  secret(name: string): KeySecret {
    const found = this.objects.get(`Secret ${name}`);
    if (found === undefined) return { is: 'absent' };
    const { uid, labels } = found.metadata;
    return { is: 'key', name: found.spec.name, uid, node: labels?.['murmuration.dev/node'] };
  }

  nodeWorld(name: string, change: Partial<NodeWorld> = {}): NodeWorld | undefined {
    const node = this.get<ValidatorNode>('ValidatorNode', name);
    if (node === undefined) return undefined;
    const stake = this.secret(node.spec.stake.keySecretRef?.name ?? `${name}-stake`);
    const publicKey = stake.is === 'key' ? stake.name : node.status?.stake?.publicKey;
    const pod = this.get<Pod>('Pod', name);
    const up = pod?.status?.conditions?.some(({ status }) => status === 'True');
    return {
      node,
      now: this.now,
      namespaceTerminating: this.namespaceTerminating,
      identity: this.secret(`${name}-identity`),
      stake,
      reservation:
        publicKey === undefined
          ? undefined
          : this.get<StakeKeyReservation>('StakeKeyReservation', reservationName(publicKey)),
      volume: this.get<PersistentVolumeClaim>('PersistentVolumeClaim', `${name}-data`),
      service: this.get<Service>('Service', name),
      pod,
      machine: undefined,
      setting: this.setting,
      chartered: node.status?.peerId !== undefined,
      twin: undefined,
      holding: [],
      others: this.list('ValidatorNode').length - 1,
      heard: up ? heard(name, this.now) : undefined,
      listening: true,
      refused: [],
      ...change,
    };
  }

  /** What the node controller does after a plan is empty, or at `record`. */
  writeNodeStatus(name: string, change: Partial<NodeWorld> = {}): void {
    const world = this.nodeWorld(name, change);
    if (world === undefined) return;
    const id = `ValidatorNode ${name}`;
    const present = this.objects.get(id);
    if (present !== undefined) this.store(id, { ...present, status: nodeStatus(world, new Map()) });
  }

  fleetWorld(name: string): FleetWorld {
    const fleet = this.get<ValidatorFleet>('ValidatorFleet', name);
    if (fleet === undefined) throw new Error(`there is no fleet ${name}`);
    const nodes = this.list<ValidatorNode>('ValidatorNode');
    const mine = nodes.filter((node) => controllerOf(node)?.uid === fleet.metadata.uid);
    const { setting } = this;
    const names = new Set(mine.map(({ metadata }) => metadata.name));
    return {
      fleet,
      now: this.now,
      namespaceTerminating: this.namespaceTerminating,
      members: mine.map((node) => ({ node, pod: this.get<Pod>('Pod', node.metadata.name) })),
      taken: new Set(nodes.filter((node) => !mine.includes(node)).map(({ metadata }) => metadata.name)),
      podHash: (node) => (setting === undefined ? undefined : hashOf(node, setting)),
      budget: this.get<PodDisruptionBudget>('PodDisruptionBudget', name),
      shards: this.list<ModelShard>('ModelShard').filter(({ status }) =>
        status?.holders?.some(({ node }) => names.has(node)),
      ),
      isCordoned: () => false,
      spares: () => new Set(nodes.map(({ metadata }) => metadata.name)),
    };
  }

  writeFleetStatus(name: string): void {
    const id = `ValidatorFleet ${name}`;
    const present = this.objects.get(id);
    if (present !== undefined) this.store(id, { ...present, status: fleetStatus(this.fleetWorld(name)) });
  }
}

const hashes = new WeakMap<PodSetting, Map<string, string>>();

/** A fleet asks for the hash of what it has just built, again and again. */
function hashOf(node: ValidatorNode, setting: PodSetting): string {
  const known = hashes.get(setting) ?? new Map<string, string>();
  hashes.set(setting, known);
  const id = JSON.stringify([node.metadata.name, node.metadata.labels, node.spec]);
  const hash = known.get(id) ?? plannedPodHash(node, setting);
  known.set(id, hash);
  return hash;
}

const versioned = (object: Loose, resourceVersion: string): Loose => ({
  ...object,
  metadata: { ...object.metadata, resourceVersion },
});

const publicName = (which: string, count: number): string =>
  which === 'identity'
    ? `12D3KooW${String(count).replaceAll('0', 'z').padStart(44, 'A')}`
    : `02${String(count).padStart(64, '0')}`;

/** What a validator says that is connected and has nothing to tell. */
export const reportOf = (node: string, at: number): Report => ({
  v: 1,
  node,
  at,
  charterSeq: 1,
  peers: 3,
  backend: 'wasm',
  disk: { usedBytes: 1_000_000, freeBytes: 1_000_000_000 },
  models: [],
  reputation: [],
  held: [],
  problems: [],
});

/** A fresh report of a validator that is connected. */
export const heard = (node: string, at: number): NonNullable<NodeWorld['heard']> => ({
  report: reportOf(node, at),
  at,
  reputation: undefined,
  grewAt: new Map(),
});

function completed(object: KubeObject): KubeObject {
  const schemas = { ValidatorNode, ValidatorFleet, Model, ModelShard };
  const schema = schemas[object.kind as keyof typeof schemas];
  if (schema === undefined) return object;
  const { status, ...rest } = object as Loose;
  const parsed = schema.parse(rest) as KubeObject;
  return (status === undefined ? parsed : { ...parsed, status }) as KubeObject;
}

/** A ValidatorNode as a person writes it. */
export const nodeOf = (name: string, spec: object = {}, metadata: object = {}): KubeObject =>
  ({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'ValidatorNode',
    metadata: { name, namespace: NAMESPACE, ...metadata },
    spec,
  }) as KubeObject;

/** A ValidatorFleet as a person writes it. */
export const fleetOf = (name: string, spec: object): KubeObject =>
  ({
    apiVersion: 'murmuration.dev/v1alpha1',
    kind: 'ValidatorFleet',
    metadata: { name, namespace: NAMESPACE },
    spec,
  }) as KubeObject;
