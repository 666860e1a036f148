import { type ChunkStore, type Holding, type Holdings, shardRange } from '../chunks/index.ts';
import { type Member, maxProvidedKeys, type Overlay, type Placement, providerKey } from '../overlay/index.ts';
import type { ModelTask } from './model-task.ts';
import { pinnedVersions } from './placement.ts';
import type { Versions } from './versions.ts';

/** What a validator has to offer at one moment. */
export interface Offer {
  /** Whether it is a validator of the charter in force. */
  readonly isValidator: boolean;
  /** uids of the models that are learned here. */
  readonly models: readonly string[];
  /** uids of the models that users may send to here. */
  readonly wanted: readonly string[];
  /** Versions that are certified or pinned, with their manifest here. */
  readonly holdings: readonly Holding[];
  readonly placements: readonly Placement[];
  /** CID of the newest certified version of a model, as text. */
  readonly newest: (uid: string) => string | undefined;
}

/**
 * The keys under which others may look for this validator, most wanted first: that it is one, its models, those
 * that take users, versions of which it has at least one chunk, shards of which it has all.
 */
export function keysOf(offer: Offer): readonly string[] {
  if (!offer.isValidator) return [];
  const versions = offer.holdings
    .filter(({ map }) => map.count > 0)
    .toSorted((a, b) => b.manifest.age - a.manifest.age)
    .map(({ cid }) => providerKey.version(cid.toString()));
  const data = offer.wanted.map(providerKey.data);
  const shards = offer.placements
    .filter((placement) => isComplete(placement, offer))
    .map(({ model, index, of }) => providerKey.shard(model, index, of));
  const keys = [providerKey.validators, ...offer.models.map(providerKey.model), ...data, ...versions, ...shards];
  return [...new Set(keys)].slice(0, maxProvidedKeys);
}

function isComplete({ model, index, of, versionCid }: Placement, { holdings, newest }: Offer): boolean {
  const version = versionCid ?? newest(model);
  const holding = holdings.find(({ cid, manifest }) => cid.toString() === version && manifest.model === model);
  if (holding === undefined) return false;
  const [from, to] = shardRange(holding.map.length, index, of);
  for (let chunk = from; chunk < to; chunk++) if (!holding.map.has(chunk)) return false;
  return to > from;
}

export interface MarketParts {
  readonly overlay: Pick<Overlay, 'peerId' | 'charter' | 'provide' | 'withhold'>;
  /** Validators of the charter in force. */
  readonly validators: () => readonly Member[];
  readonly tasks: () => readonly Pick<ModelTask, 'model'>[];
  /** uids of the models that users may send to here. */
  readonly wanted: () => readonly string[];
  readonly versions: Pick<Versions, 'kept' | 'latest'>;
  readonly holdings: Pick<Holdings, 'list'>;
  readonly store: Pick<ChunkStore, 'has'>;
}

/** Keeps what the DHT is told in step with what is here. */
export class Market {
  readonly #parts: MarketParts;
  #told: ReadonlySet<string> = new Set();
  #telling: Promise<void> = Promise.resolve();

  constructor(parts: MarketParts) {
    this.#parts = parts;
  }

  /** Withholds what is no longer here, then tells what is new. Telling goes on by itself and is not waited for. */
  async sync(): Promise<void> {
    const { overlay } = this.#parts;
    const keys = new Set(keysOf(this.#offer()));
    const gone = [...this.#told].filter((key) => !keys.has(key));
    const fresh = [...keys].filter((key) => !this.#told.has(key));
    this.#told = keys;
    for (const key of gone) await overlay.withhold(key);
    for (const key of fresh) this.#telling = this.#telling.then(() => this.#tell(key));
  }

  /** One after the other: a telling is a walk through the DHT. */
  async #tell(key: string): Promise<void> {
    if (this.#told.has(key)) await this.#parts.overlay.provide(key);
  }

  #offer(): Offer {
    const { overlay, validators, tasks, wanted, versions, holdings, store } = this.#parts;
    const { charter, peerId } = overlay;
    const lasting = new Set([
      ...versions.kept().map(({ cid }) => cid.toString()),
      ...pinnedVersions(charter).map(({ cid }) => cid),
    ]);
    return {
      isValidator: validators().some((member) => member.peerId === peerId),
      models: tasks().map(({ model }) => model.uid),
      wanted: wanted(),
      holdings: holdings.list().filter(({ cid }) => lasting.has(cid.toString()) && store.has(cid)),
      placements: charter?.placements ?? [],
      newest: (uid) => versions.latest(uid)?.version,
    };
  }
}
