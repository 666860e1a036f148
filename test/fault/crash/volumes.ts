import { shardRange } from '../../../src/chunks/index.ts';
import type { ModelShard } from '../../../src/operator/kinds.ts';

/** What the validators' disks hold of the one certified version: chunk numbers by model and validator. */
export class Volumes {
  /** Sentences about copies that were lost. */
  readonly breaches: string[] = [];
  readonly #chunks: number;
  readonly #held = new Map<string, Set<number>>();
  /** Shards that once had all their copies. */
  readonly #whole = new Set<string>();

  /** @param chunks of the whole version */
  constructor(chunks: number) {
    this.#chunks = chunks;
  }

  /**
   * Follows the placements as validators do: holds what is placed here, and drops the rest once all whom it is placed on
   * hold it. The disk of a validator that is gone is gone.
   * @param nodes validators that are there
   */
  follow(shards: readonly ModelShard[], nodes: readonly string[]): void {
    for (const id of this.#held.keys()) if (!nodes.includes(nodeOf(id))) this.#held.delete(id);
    for (const shard of shards) {
      const holders = (shard.status?.holders ?? []).map(({ node }) => node).filter((node) => nodes.includes(node));
      const range = this.#range(shard);
      const isHeldBy = (node: string): boolean => range.every((chunk) => this.#of(shard, node).has(chunk));
      const mayDrop = holders.length > 0 && holders.every(isHeldBy);
      for (const node of nodes) {
        for (const chunk of range) {
          if (holders.includes(node)) this.#of(shard, node).add(chunk);
          else if (mayDrop) this.#of(shard, node).delete(chunk);
        }
      }
      this.#count(shard, nodes.filter(isHeldBy).length);
    }
  }

  /** The chunks of a model's version that a validator holds, a bit for each. */
  bitmap(model: string, node: string): Uint8Array {
    const bits = new Uint8Array(Math.ceil(this.#chunks / 8));
    for (const index of this.#held.get(`${model} ${node}`) ?? [])
      bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
    return bits;
  }

  /** All of it goes, and by the will of a person. */
  forget(): void {
    this.#whole.clear();
  }

  fork(): Volumes {
    const fork = new Volumes(this.#chunks);
    for (const [id, held] of this.#held) fork.#held.set(id, new Set(held));
    for (const name of this.#whole) fork.#whole.add(name);
    fork.breaches.push(...this.breaches);
    return fork;
  }

  #count({ metadata, spec, status }: ModelShard, copies: number): void {
    if (status?.versionCid === undefined) return;
    if (copies >= spec.replicas) this.#whole.add(metadata.name);
    else if (this.#whole.delete(metadata.name)) {
      this.breaches.push(`of shard ${metadata.name} only ${copies} of ${spec.replicas} copies are left`);
    }
  }

  #range({ spec }: ModelShard): readonly number[] {
    const [from, to] = shardRange(this.#chunks, spec.index, spec.of);
    return Array.from({ length: to - from }, (_, at) => from + at);
  }

  #of({ spec }: ModelShard, node: string): Set<number> {
    const id = `${spec.modelRef.name} ${node}`;
    const held = this.#held.get(id) ?? new Set<number>();
    this.#held.set(id, held);
    return held;
  }
}

const nodeOf = (id: string): string => id.slice(id.indexOf(' ') + 1);
