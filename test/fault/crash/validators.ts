import { shardRange } from '../../../src/chunks/index.ts';
import type { Client } from '../../../src/kube/index.ts';
import { Model, ModelShard } from '../../../src/operator/kinds.ts';
import type { Report } from '../../../src/overlay/index.ts';
import type { Said } from '../../apiserver/operator/overlay.ts';

/** The one version that they have certified. */
export const VERSION = {
  cid: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  age: 500,
  bytes: 9_640,
  chunks: 6,
} as const;
/** The age of a model grows this often: seldom, since each growth is written into statuses. ms */
const GROWS_EVERY_MS = 20_000;

/** What there is to learn and to hold. */
export interface Task {
  readonly models: readonly Model[];
  readonly shards: readonly ModelShard[];
}

/**
 * What a validator says that learns every model and holds the chunks of the shards that were assigned to it, and no
 * others.
 * @param age of each model
 * @param at when the version was certified, unix ms
 */
export const saidBy = (
  node: string,
  { models, shards }: Task,
  age: number,
  at: number,
): Pick<Report, 'models' | 'held'> => ({
  models: models.map(({ metadata }) => ({
    uid: metadata.uid ?? '',
    age,
    loss: 0.1,
    accuracy: 0.96,
    divergence: 0.01,
    certified: { ...VERSION, voters: 4, at },
  })),
  held: models.map(({ metadata }) => ({
    model: metadata.uid ?? '',
    cid: VERSION.cid,
    chunks: VERSION.chunks,
    bitmap: bitmap(node, metadata.name, shards),
  })),
});

function bitmap(node: string, model: string, shards: readonly ModelShard[]): Uint8Array {
  const bits = new Uint8Array(Math.ceil(VERSION.chunks / 8));
  for (const { spec, status } of shards) {
    if (spec.modelRef.name !== model || !status?.holders?.some((holder) => holder.node === node)) continue;
    const [from, to] = shardRange(VERSION.chunks, spec.index, spec.of);
    for (let index = from; index < to; index++) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  }
  return bits;
}

/** The validators of one namespace, as far as the operator hears them. */
export class Validators {
  readonly #client: Client;
  readonly #namespace: string;
  readonly #since = Date.now();
  #task: Task = { models: [], shards: [] };

  constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Learns what there is to do, as validators do from the charter. */
  async look(): Promise<void> {
    const namespace = this.#namespace;
    const [models, shards] = await Promise.all([
      this.#client.list(Model, { namespace }),
      this.#client.list(ModelShard, { namespace }),
    ]);
    this.#task = { models: models.items, shards: shards.items };
  }

  said(node: string): Said {
    const age = VERSION.age + Math.floor((Date.now() - this.#since) / GROWS_EVERY_MS) + 1;
    return saidBy(node, this.#task, age, this.#since);
  }
}
