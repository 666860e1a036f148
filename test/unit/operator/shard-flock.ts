import { Model, ModelShard, ValidatorNode } from '../../../src/api/index.ts';
import type { Heard } from '../../../src/operator/network/heard.ts';
import type { Ears } from '../../../src/operator/shard/candidates.ts';
import { isWanted } from '../../../src/operator/shard/holders.ts';
import { judgeShards, type Outcome, type Surroundings } from '../../../src/operator/shard/observe.ts';
import { planShards } from '../../../src/operator/shard/plan.ts';
import { reportOf } from './cluster.ts';

const GIB = 2 ** 30;
const API = 'murmuration.dev/v1alpha1';
const CREATED = '2026-11-20T00:00:00Z';
export const CHUNKS = 6;

/** One validator, as it is. */
export interface Bird {
  machine: string | undefined;
  zone: string | undefined;
  /** Its pod runs and reports. */
  up: boolean;
  cordon: boolean;
  /** What others say of its storage. */
  storage: number | undefined;
  /** What was recorded of it before. */
  recorded: number | undefined;
  disk: { usedBytes: number; freeBytes: number };
  size: string;
  /** Chunks on its disk by version. */
  readonly held: Map<string, Set<number>>;
  heardAt: number | undefined;
}

/** A network of validators with one model or more, its shards, and the operator's looks at them. Time passes when told. */
export class ShardFlock {
  now: number;
  version: { cid: string; bytes: number } | undefined;
  ears: Ears;
  readonly birds = new Map<string, Bird>();
  readonly cordoned = new Set<string>();
  models: Model[] = [];
  shards: ModelShard[] = [];
  /** Sentences about copies that were lost by what the operator did. */
  readonly breaches: string[] = [];
  last: Outcome | undefined;

  constructor(now: number) {
    this.now = now;
    this.ears = { since: now - 600_000, deaf: false };
  }

  add(name: string, change: Partial<Bird> = {}): Bird {
    const bird: Bird = {
      machine: `on-${name}`,
      zone: undefined,
      up: true,
      cordon: false,
      storage: undefined,
      recorded: undefined,
      disk: { usedBytes: 0, freeBytes: 10 * GIB },
      size: '1Gi',
      held: new Map(),
      heardAt: this.now,
      ...change,
    };
    this.birds.set(name, bird);
    return bird;
  }

  addModel(name: string, count: number, replicas: number, more: object = {}): void {
    const model = Model.parse({
      apiVersion: API,
      kind: 'Model',
      metadata: { name, namespace: 'garden', uid: `uid-${name}`, creationTimestamp: CREATED },
      spec: { data: { source: { builtin: 'digits' }, classes: 10 }, shards: { count, replicas }, ...more },
    });
    this.models.push(model);
    for (let index = 0; index < count; index++) this.addShard(`${name}-${index}`, name, { index, of: count, replicas });
  }

  addShard(name: string, model: string, spec: object): void {
    const shard = ModelShard.parse({
      apiVersion: API,
      kind: 'ModelShard',
      metadata: { name, namespace: 'garden', uid: `uid-${name}`, generation: 1 },
      spec: { modelRef: { name: model }, ...spec },
    });
    this.shards.push(shard);
  }

  /** A version of all models is certified: whoever is up had all of it in hands to vote on, these keep it. */
  certify(cid: string, bytes: number, by: readonly string[] = []): void {
    this.version = { cid, bytes };
    const certifiedAt = new Date(this.now).toISOString();
    const version = { cid, short: 'x', age: 500, certifiedAt, bytes, chunks: CHUNKS };
    this.models = this.models.map((model) => ({ ...model, status: { version } }) as Model);
    for (const name of by) this.#disk(name, cid, [0, 1, 2, 3, 4, 5]);
  }

  /** Every validator that is up reports. */
  report(): void {
    for (const bird of this.birds.values()) if (bird.up) bird.heardAt = this.now;
  }

  pass(ms: number): void {
    this.now += ms;
    this.report();
  }

  /** The operator looks at the shards once, and writes what follows. Copies that count may only become more by that. */
  look(): Outcome {
    const before = new Map(this.shards.map((shard) => [shard.metadata.name, this.copies(shard)]));
    const outcome = judgeShards(this.#around(), planShards);
    this.shards = this.shards.map((shard) => {
      const found = outcome.shards.find((one) => one.shard === shard);
      return found === undefined
        ? shard
        : ({ ...shard, status: JSON.parse(JSON.stringify(found.status)) } as ModelShard);
    });
    for (const shard of this.shards) {
      const least = Math.min(shard.spec.replicas, before.get(shard.metadata.name) ?? 0);
      // One that is placed nowhere is kept by whoever has it.
      const isPlaced = (shard.status?.holders?.length ?? 0) > 0;
      if (isPlaced && this.copies(shard) < least)
        this.breaches.push(`${shard.metadata.name} has ${this.copies(shard)} copies after a look, and had ${least}`);
    }
    this.last = outcome;
    return outcome;
  }

  /** Validators obey: fetch so many chunks each, then drop what is placed on others who all say that they hold it. */
  obey(fetches = CHUNKS): void {
    for (const shard of this.shards) this.#obey(shard, fetches);
  }

  /** Looks and copies until nothing changes. */
  settle(rounds = 40): void {
    for (let round = 0; round < rounds; round++) {
      const before = JSON.stringify(this.shards.map(({ status }) => [status?.holders, status?.availableReplicas]));
      this.look();
      this.obey();
      this.pass(1_000);
      const after = JSON.stringify(this.shards.map(({ status }) => [status?.holders, status?.availableReplicas]));
      if (before === after && round > 2) return;
    }
    throw new Error('the shards do not come to rest');
  }

  shard(name: string): ModelShard {
    const found = this.shards.find(({ metadata }) => metadata.name === name);
    if (found === undefined) throw new Error(`there is no shard ${name}`);
    return found;
  }

  /** Those that a shard counts on. */
  wanted(name: string): readonly string[] {
    return (this.shard(name).status?.holders ?? []).filter(isWanted).map(({ node }) => node);
  }

  stateOf(shard: string, node: string): string | undefined {
    return this.shard(shard).status?.holders?.find((holder) => holder.node === node)?.state;
  }

  /** Listed holders that were heard a moment ago, are believed, and have every chunk on their disk. */
  copies(shard: ModelShard): number {
    return (shard.status?.holders ?? []).filter(({ node }) => this.#isWhole(shard, node)).length;
  }

  #isWhole(shard: ModelShard, node: string): boolean {
    const bird = this.birds.get(node);
    if (bird === undefined || (bird.storage ?? 1) < 0.25 || this.now - (bird.heardAt ?? 0) > 15_000) return false;
    return this.#missing(shard, node).length === 0;
  }

  #range({ spec }: ModelShard): readonly number[] {
    const [from, to] = [Math.floor((CHUNKS * spec.index) / spec.of), Math.floor((CHUNKS * (spec.index + 1)) / spec.of)];
    return Array.from({ length: to - from }, (_, at) => from + at);
  }

  #cid = ({ spec }: ModelShard): string => spec.versionCid ?? this.version?.cid ?? '';

  #missing(shard: ModelShard, node: string): readonly number[] {
    const held = this.birds.get(node)?.held.get(this.#cid(shard));
    return this.#range(shard).filter((chunk) => !held?.has(chunk));
  }

  #disk(name: string, cid: string, chunks: readonly number[]): void {
    const held = this.birds.get(name)?.held;
    const there = held?.get(cid) ?? new Set<number>();
    for (const chunk of chunks) there.add(chunk);
    held?.set(cid, there);
  }

  #obey(shard: ModelShard, fetches: number): void {
    const cid = this.#cid(shard);
    const placed = (shard.status?.holders ?? []).map(({ node }) => node);
    const up = [...this.birds].filter(([, bird]) => bird.up);
    for (const node of placed) {
      if (!this.birds.get(node)?.up) continue;
      const there = this.#missing(shard, node).filter((chunk) => up.some(([, { held }]) => held.get(cid)?.has(chunk)));
      this.#disk(node, cid, there.slice(0, fetches));
    }
    const mayDrop = placed.length > 0 && placed.every((node) => this.#missing(shard, node).length === 0);
    if (!mayDrop) return;
    for (const [name, { held }] of up) {
      if (placed.includes(name)) continue;
      for (const chunk of this.#range(shard)) held.get(cid)?.delete(chunk);
    }
  }

  #around(): Surroundings {
    const nodes = [...this.birds].map(([name, { cordon, recorded, size }]) =>
      ValidatorNode.parse({
        apiVersion: API,
        kind: 'ValidatorNode',
        metadata: { name, namespace: 'garden', uid: `uid-${name}`, creationTimestamp: CREATED },
        spec: { cordon, storage: { size } },
        status: {
          peerId: `peer-${name}`,
          conditions: [
            { type: 'KeysReady', status: 'True', reason: 'Reconciled', message: '', lastTransitionTime: CREATED },
          ],
          ...(recorded === undefined ? {} : { reputation: { score: String(recorded), storage: String(recorded) } }),
        },
      }),
    );
    return {
      now: this.now,
      ears: this.ears,
      models: this.models,
      shards: this.shards,
      nodes,
      heard: (node) => this.#heard(node),
      machineOf: (node) => this.birds.get(node)?.machine,
      machine: (name) => {
        const zone = [...this.birds.values()].find(({ machine }) => machine === name)?.zone;
        const labels = zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone };
        return { name, labels, isCordoned: this.cordoned.has(name), isLost: false };
      },
    };
  }

  #heard(node: string): Heard | undefined {
    const bird = this.birds.get(node);
    if (bird?.heardAt === undefined) return undefined;
    const held = [...bird.held].map(([cid, chunks]) => ({
      model: 'uid',
      cid,
      chunks: CHUNKS,
      bitmap: Uint8Array.of([...chunks].reduce((bits, chunk) => bits | (1 << chunk), 0)),
    }));
    const { storage } = bird;
    return {
      report: { ...reportOf(node, bird.heardAt), disk: bird.disk, held },
      at: bird.heardAt,
      reputation:
        storage === undefined ? undefined : { score: storage, storage, learning: storage, interactions: storage },
      grewAt: new Map(),
    };
  }
}
