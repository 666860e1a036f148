import { CHARTER_FILE } from '../../../src/api/index.ts';
import type { Existing, KubeObject, Pod } from '../../../src/kube/index.ts';
import { controllerOf } from '../../../src/kube/index.ts';
import type { Action } from '../../../src/operator/action.ts';
import { canonical } from '../../../src/operator/digest.ts';
import { planFleet } from '../../../src/operator/fleet/plan.ts';
import { fleetStatus } from '../../../src/operator/fleet/status.ts';
import type { Model, ModelShard, StakeKeyReservation, ValidatorNode } from '../../../src/operator/kinds.ts';
import { planModel } from '../../../src/operator/model/plan.ts';
import { modelStatus } from '../../../src/operator/model/status.ts';
import type { Heard } from '../../../src/operator/network/heard.ts';
import { planCharter } from '../../../src/operator/network/plan.ts';
import { CHARTER_CONTENT, CHARTER_SEQ, charterLabels, contentDigest } from '../../../src/operator/network/record.ts';
import { planNode } from '../../../src/operator/node/plan.ts';
import { nodeStatus } from '../../../src/operator/node/status.ts';
import { planReservation } from '../../../src/operator/reservation/plan.ts';
import { judgeShards } from '../../../src/operator/shard/observe.ts';
import { planShards } from '../../../src/operator/shard/plan.ts';
import { saidBy, VERSION } from '../../fault/crash/validators.ts';
import { Volumes } from '../../fault/crash/volumes.ts';
import { type Cluster, heard, NAMESPACE, NOW } from './cluster.ts';
import type { RecordedCluster } from './crash-cluster.ts';

/** The process has ended; it does nothing more. */
export class Killed extends Error {}

/** How one pass of a controller goes. */
export interface Pass {
  /** What its caches show. */
  readonly seen: Cluster;
  /** Which actions of the wave are done, in which order. */
  readonly part: (wave: readonly Action[]) => readonly Action[];
}

/** What the validators hold and say. */
export class Flock {
  volumes = new Volumes(VERSION.chunks);
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** They hear the latest charter: fetch what is new and drop what is not theirs any more. */
  look(): void {
    if (this.#cluster.list('ValidatorFleet').length === 0) this.volumes.forget();
    const nodes = this.#cluster.list('ValidatorNode').map(({ metadata }) => metadata.name);
    this.volumes.follow(this.#cluster.list('ModelShard'), nodes);
  }

  heard(node: string): Heard | undefined {
    const up = this.#cluster.get<Pod>('Pod', node)?.status?.conditions?.some(({ status }) => status === 'True');
    if (!up) return undefined;
    const { now } = this.#cluster;
    const one = heard(node, now);
    const models = this.#cluster.list<Model>('Model');
    const grewAt = new Map(models.map(({ metadata }) => [metadata.uid ?? '', now]));
    return { ...one, report: { ...one.report, ...saidBy(node, models, this.volumes, VERSION.age + 1, NOW) }, grewAt };
  }
}

/** The operator's controllers in one process, over a cluster in memory. It can be killed after any of its writes. */
export class CrashOperator {
  /** Writes so far. */
  writes = 0;
  readonly #cluster: RecordedCluster;
  readonly #flock: Flock;
  readonly #killAfter: number;
  readonly #onWrite: () => void;
  readonly #lastPlan = new Map<string, string>();
  /** Peer ids that the recorded charter lets in, as far as this process knows. */
  #chartered: ReadonlySet<string> = new Set();

  /**
   * @param killAfter the write after which it is killed, from 1
   * @param onWrite called when the cluster has done a write, before the operator hears of that
   */
  constructor(
    cluster: RecordedCluster,
    flock: Flock,
    killAfter: number = Number.POSITIVE_INFINITY,
    onWrite: () => void = () => undefined,
  ) {
    this.#cluster = cluster;
    this.#flock = flock;
    this.#killAfter = killAfter;
    this.#onWrite = onWrite;
  }

  /** Every key that there is work for. */
  keys(seen: Cluster): readonly string[] {
    const kinds = ['ValidatorFleet', 'ValidatorNode', 'Model', 'StakeKeyReservation'];
    return [
      ...kinds.flatMap((kind) => seen.list(kind).map(({ metadata }) => `${kind} ${metadata.name}`)),
      'shards default',
      'network default',
    ];
  }

  /**
   * One pass of the controller of this key.
   * @throws Killed after its last write; Stale where the API server refuses a write, as a real pass fails and is retried
   */
  pass(key: string, pass: Pass): void {
    if (this.writes >= this.#killAfter) throw new Killed();
    const [kind, name = ''] = key.split(' ');
    if (kind === 'ValidatorFleet') this.#fleet(name, pass);
    else if (kind === 'ValidatorNode') this.#node(name, pass);
    else if (kind === 'Model') this.#model(name, pass);
    else if (kind === 'shards') this.#shards(pass);
    else if (kind === 'StakeKeyReservation') this.#reservation(name, pass);
    else this.#network(pass);
  }

  /** What changes the cluster is a write; the last one is answered to nobody. */
  #write(change: () => void): void {
    const before = this.#cluster.revision;
    change();
    if (this.#cluster.revision === before) return;
    this.writes += 1;
    this.#onWrite();
    if (this.writes >= this.#killAfter) throw new Killed();
  }

  #perform(wave: readonly Action[], { seen, part }: Pass, record: () => void = () => undefined): void {
    for (const action of part(wave)) this.#write(() => this.#cluster.act(seen, action, record));
  }

  #setStatus(object: Existing<KubeObject> | undefined, status: object): void {
    if (object !== undefined) this.#write(() => this.#cluster.setStatus(object, status));
  }

  #heardAll(seen: Cluster): ReadonlyMap<string, Heard> {
    return new Map(
      seen.list<ValidatorNode>('ValidatorNode').flatMap(({ metadata, status }) => {
        const said = this.#chartered.has(status?.peerId ?? '') ? this.#flock.heard(metadata.name) : undefined;
        return said === undefined ? [] : [[metadata.name, said] as const];
      }),
    );
  }

  #fleet(name: string, pass: Pass): void {
    const { seen } = pass;
    if (seen.get('ValidatorFleet', name) === undefined) return;
    const world = seen.fleetWorld(name);
    const wave = planFleet(world);
    this.#perform(wave, pass);
    if (wave.length === 0) this.#setStatus(world.fleet, fleetStatus(world));
  }

  #node(name: string, pass: Pass): void {
    const { seen } = pass;
    const shards = seen.list<ModelShard>('ModelShard');
    const nodes = seen.list<ValidatorNode>('ValidatorNode');
    const all = this.#heardAll(seen);
    const world = seen.nodeWorld(name, {
      holding: shards.filter(({ status }) => status?.holders?.some(({ node }) => node === name)),
      heard: all.get(name),
    });
    if (world === undefined) return;
    const others = nodes.filter(({ metadata }) => metadata.name !== name).length;
    const chartered = this.#chartered.has(world.node.status?.peerId ?? '');
    const whole = { ...world, others, chartered };
    const wave = planNode(whole);
    const plan = canonical(wave.map((action) => ({ ...action, kind: undefined })));
    const status = () => nodeStatus(whole, new Map());
    // The same plan again: what was done is not seen yet. The real pass says so and waits.
    if (wave.length > 0 && plan !== this.#lastPlan.get(name)) {
      this.#lastPlan.set(name, plan);
      this.#perform(wave, pass, () => this.#cluster.setStatus(whole.node, status()));
      return;
    }
    this.#lastPlan.delete(name);
    this.#setStatus(whole.node, status());
  }

  #model(name: string, pass: Pass): void {
    const { seen } = pass;
    const model = seen.get<Model>('Model', name);
    if (model === undefined) return;
    const shards = seen.list<ModelShard>('ModelShard');
    this.#perform(planModel({ model, shards, namespaceTerminating: false }), pass);
    const all = this.#heardAll(seen);
    const learners = seen.list<ValidatorNode>('ValidatorNode').map(({ metadata, spec }) => ({
      node: metadata.name,
      weight: spec.stake.amount,
      leaving: metadata.deletionTimestamp !== undefined,
      heard: all.get(metadata.name),
    }));
    const version = all.size === 0 ? undefined : { ...VERSION, voters: 4, at: NOW };
    this.#setStatus(
      model,
      modelStatus({ model, now: seen.now, learners, shards, version, listening: true, curve: [] }),
    );
  }

  /** All shards of the network at once. */
  #shards({ seen }: Pass): void {
    const models = seen.list<Model>('Model');
    const names = new Set(models.map(({ metadata }) => metadata.name));
    const all = this.#heardAll(seen);
    const { shards } = judgeShards(
      {
        now: seen.now,
        ears: { since: NOW - 60_000, deaf: all.size === 0 },
        models,
        shards: seen.list<ModelShard>('ModelShard').filter(({ spec }) => names.has(spec.modelRef.name)),
        nodes: seen.list<ValidatorNode>('ValidatorNode'),
        heard: (node) => all.get(node),
        machineOf: (node) => seen.get<Pod>('Pod', node)?.spec?.nodeName,
        machine: (machine) => ({ name: machine, labels: {}, isCordoned: false, isLost: false }),
      },
      planShards,
    );
    for (const { shard, status } of shards) this.#setStatus(shard as Existing<ModelShard>, status);
  }

  #reservation(name: string, pass: Pass): void {
    const reservation = pass.seen.get<StakeKeyReservation>('StakeKeyReservation', name);
    if (reservation === undefined) return;
    const holder = reservation.spec.nodeRef;
    if (pass.seen.get('ValidatorNode', holder.name)?.metadata.uid === holder.uid) return;
    const pod = this.#cluster.get<Pod>('Pod', holder.name);
    const now = {
      nodeUid: this.#cluster.get('ValidatorNode', holder.name)?.metadata.uid,
      podOwner: pod === undefined ? undefined : controllerOf(pod)?.uid,
    };
    this.#perform(planReservation(reservation, now, { namespace: '', name }), pass);
  }

  /** The charter, without signature; who is in stands in its data. */
  #network({ seen }: Pass): void {
    const nodes = seen.list<ValidatorNode>('ValidatorNode');
    const models = seen.list<Model>('Model');
    const name = 'default-charter';
    const present = seen.get('ConfigMap', name);
    if (nodes.length === 0 && models.length === 0) {
      this.#chartered = new Set();
      if (present !== undefined && this.#cluster.get('ConfigMap', name)?.metadata.uid === present.metadata.uid) {
        this.#write(() => this.#cluster.delete('ConfigMap', name));
      }
      return;
    }
    if (nodes.length === 0 && present === undefined) return;
    const { annotations = {} } = present?.metadata ?? {};
    const recordedSeq = Number(annotations[CHARTER_SEQ] ?? 0);
    const plan = planCharter({
      network: `${NAMESPACE}/default`,
      nodes: nodes.map((node) => ({ node, pod: seen.get<Pod>('Pod', node.metadata.name) })),
      models,
      shards: seen.list('ModelShard'),
      operator: 'operator',
      recordedContent: annotations[CHARTER_CONTENT],
      recordedSeq,
      heardSeq: 0,
      users: [],
      nowSeconds: 0,
    });
    if (plan.say === 'nothing') {
      this.#chartered = new Set(Object.keys((present as { data?: object } | undefined)?.data ?? {}));
      return;
    }
    const { members } = plan.content;
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace: NAMESPACE,
        labels: { ...charterLabels },
        annotations: { [CHARTER_SEQ]: String(plan.seq), [CHARTER_CONTENT]: contentDigest(plan.content) },
      },
      data: Object.fromEntries(members.map((member) => [member.peerId, member.name])),
      binaryData: { [CHARTER_FILE]: canonical(plan.content) },
    };
    this.#write(() => this.#cluster.setRecord(object, present));
    this.#chartered = new Set(members.map(({ peerId }) => peerId));
  }
}
