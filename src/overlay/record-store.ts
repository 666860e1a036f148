import { MemoryDatastore } from 'datastore-core/memory';
import { maxProvidedKeys } from './provider-keys.ts';

type Key = Parameters<MemoryDatastore['put']>[0];
type Stored = ReturnType<MemoryDatastore['put']>;
type Options = Parameters<MemoryDatastore['put']>[2];
type Query = Parameters<MemoryDatastore['_all']>[0];
type Found = ReturnType<MemoryDatastore['_all']>;

/** Where kad-dht keeps provider records: `/dht/provider/<multihash, base32>/<peer id>`. */
const providers = '/dht/provider/';
/** Where it would keep values that peers put; there is no use for any here. */
const values = '/dht/record/';

/** A sha2-256 in base32 and a peer id are half as long; a record for anything longer is nonsense. */
const maxKeyLength = 256;

export interface RecordLimits {
  /** Records of one peer. What it stopped to tell stays until it runs out, so these are more than it may tell at a time. */
  readonly perPeer: number;
  /** Records of all peers together. */
  readonly total: number;
}

const recordLimits: RecordLimits = { perPeer: 4 * maxProvidedKeys, total: 8192 };

/**
 * libp2p's store, in memory: the address book, and what this peer keeps of others' provider records. Of those there
 * are at most so many, of one peer and in all; the newest stay. Whoever tells the most loses its oldest first, so a
 * member that tells without end pushes nobody else out.
 */
export class RecordStore extends MemoryDatastore {
  readonly #limits: RecordLimits;
  /** multihash -> keys of its records: a question for providers looks at its own records only. */
  readonly #byHash = new Map<string, Map<string, Key>>();
  /** peer id -> keys of its records, the one told last comes last. */
  readonly #byPeer = new Map<string, Map<string, Key>>();
  #total = 0;

  constructor(limits: RecordLimits = recordLimits) {
    super();
    this.#limits = limits;
  }

  /** Provider records that are kept now. */
  get records(): number {
    return this.#total;
  }

  /** @throws when a peer wants something kept that is no provider record */
  override put(key: Key, value: Uint8Array, options?: Options): Stored {
    const name = key.toString();
    if (name.startsWith(values)) throw new Error('values are not kept here');
    if (!name.startsWith(providers)) return super.put(key, value, options);
    const { hash, peer } = partsOf(name);
    if (name.length > maxKeyLength || peer === '') throw new Error('this is no provider record');
    this.#forget(name);
    within(this.#byHash, hash).set(name, key);
    const own = within(this.#byPeer, peer);
    own.set(name, key);
    this.#total += 1;
    const stored = super.put(key, value, options);
    if (own.size > this.#limits.perPeer) this.#dropOldest(own);
    if (this.#total > this.#limits.total) this.#dropOldest(this.#mostTalkative());
    return stored;
  }

  override delete(key: Key, options?: Options): void | Promise<void> {
    this.#forget(key.toString());
    return super.delete(key, options);
  }

  override *_all(query: Query, options?: Options): Found {
    const { prefix = '' } = query;
    if (!prefix.startsWith(providers)) {
      yield* super._all(query, options) as Generator<never>;
      return;
    }
    for (const key of [...(this.#byHash.get(partsOf(prefix).hash)?.values() ?? [])]) {
      if (super.has(key) === true) yield { key, value: super.get(key) as Uint8Array };
    }
  }

  #dropOldest(keys: ReadonlyMap<string, Key>): void {
    const [oldest] = keys.values();
    if (oldest !== undefined) void this.delete(oldest);
  }

  #mostTalkative(): ReadonlyMap<string, Key> {
    let most: ReadonlyMap<string, Key> = new Map();
    for (const keys of this.#byPeer.values()) if (keys.size > most.size) most = keys;
    return most;
  }

  #forget(name: string): void {
    const { hash, peer } = partsOf(name);
    if (this.#byPeer.get(peer)?.has(name) !== true) return;
    without(this.#byHash, hash, name);
    without(this.#byPeer, peer, name);
    this.#total -= 1;
  }
}

function partsOf(name: string): { readonly hash: string; readonly peer: string } {
  const [hash = '', peer = ''] = name.slice(providers.length).split('/');
  return { hash, peer };
}

function within(sets: Map<string, Map<string, Key>>, name: string): Map<string, Key> {
  const known = sets.get(name) ?? new Map<string, Key>();
  sets.set(name, known);
  return known;
}

function without(sets: Map<string, Map<string, Key>>, name: string, key: string): void {
  const known = sets.get(name);
  known?.delete(key);
  if (known?.size === 0) sets.delete(name);
}
