import type { Client } from '../../../src/kube/index.ts';
import { Model, ModelShard, ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import type { Report } from '../../../src/overlay/index.ts';
import type { Said } from '../../apiserver/operator/overlay.ts';
import { Volumes } from './volumes.ts';

/** The one version that they have certified. */
export const VERSION = {
  cid: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  age: 500,
  bytes: 9_640,
  chunks: 6,
} as const;
/** The age of a model grows this often: seldom, since each growth is written into statuses. ms */
const GROWS_EVERY_MS = 20_000;

/**
 * What a validator says that learns every model.
 * @param age of each model
 * @param at when the version was certified, unix ms
 */
export const saidBy = (
  node: string,
  models: readonly Model[],
  volumes: Volumes,
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
    bitmap: volumes.bitmap(metadata.name, node),
  })),
});

/** The validators of one namespace, as far as the operator hears them. */
export class Validators {
  readonly volumes = new Volumes(VERSION.chunks);
  readonly #client: Client;
  readonly #namespace: string;
  readonly #since = Date.now();
  #models: readonly Model[] = [];

  constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  /** Learns what there is to do, as validators do from the charter. */
  async look(): Promise<void> {
    const namespace = this.#namespace;
    const [models, shards, nodes, fleets] = await Promise.all([
      this.#client.list(Model, { namespace }),
      this.#client.list(ModelShard, { namespace }),
      this.#client.list(ValidatorNode, { namespace }),
      this.#client.list(ValidatorFleet, { namespace }),
    ]);
    this.#models = models.items;
    if (fleets.items.length === 0) this.volumes.forget();
    this.volumes.follow(
      shards.items,
      nodes.items.map(({ metadata }) => metadata.name),
    );
  }

  said(node: string): Said {
    const age = VERSION.age + Math.floor((Date.now() - this.#since) / GROWS_EVERY_MS) + 1;
    return saidBy(node, this.#models, this.volumes, age, this.#since);
  }
}
