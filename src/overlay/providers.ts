import type { KadDHT } from '@libp2p/kad-dht';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { sha256 } from 'multiformats/hashes/sha2';
import type { Logger } from 'pino';
import { providerValidityMs } from './node.ts';
import { maxProvidedKeys } from './provider-keys.ts';
import { wordsOf } from './words.ts';

const second = 1000;

/** Often enough that a record never runs out while its peer lives. */
const provideAgainMs = providerValidityMs / 3;

/** After a peer came: wait for more of them, then tell them what is here. */
const settleMs = 3 * second;

const provideTimeoutMs = 30 * second;

export interface ProvidersInit {
  readonly network: string;
  readonly isMember: (peer: string) => boolean;
  readonly log: Logger;
  /** Keys told at a time. Default: `maxProvidedKeys`. */
  readonly maxKeys?: number;
}

/**
 * "Who has this?" over the Kademlia DHT. Records are claims with minutes of validity: they say whom to ask, nothing more.
 * What is provided is told again for ever, and soon after peers have come, because a record is stored by who was there.
 * What is withheld is told no longer; what others keep of it runs out.
 */
export class Providers {
  readonly #init: ProvidersInit;
  /** The keys that are told, the newest last; aborted when a key is withheld. */
  readonly #keys = new Map<string, AbortController>();
  #dht: KadDHT | undefined;
  /** Runs out when everything is to be told again. */
  #timer: NodeJS.Timeout | undefined;
  /** Which telling of everything is the newest: an older one gives way. */
  #round = 0;
  #stopped = new AbortController();

  constructor(init: ProvidersInit) {
    this.#init = init;
  }

  start(dht: KadDHT): void {
    this.#dht = dht;
    this.#stopped = new AbortController();
    this.#again(settleMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopped.abort();
    this.#dht = undefined;
  }

  peersChanged(): void {
    if (this.#keys.size > 0) this.#again(settleMs);
  }

  /** Beyond the number of keys that are told at a time the oldest is withheld. */
  async provide(key: string): Promise<void> {
    const told = this.#keys.get(key) ?? new AbortController();
    this.#keys.delete(key);
    this.#keys.set(key, told);
    for (const oldest of [...this.#keys.keys()].slice(0, -(this.#init.maxKeys ?? maxProvidedKeys))) {
      this.#init.log.debug({ key: oldest }, 'too many keys are provided: the oldest is told no longer');
      await this.withhold(oldest);
    }
    await this.#tell(key);
  }

  async withhold(key: string): Promise<void> {
    const told = this.#keys.get(key);
    if (told === undefined) return;
    this.#keys.delete(key);
    told.abort();
    await this.#forget(key);
  }

  async find(key: string, signal: AbortSignal): Promise<readonly string[]> {
    const dht = this.#dht;
    if (dht === undefined) return [];
    const found = new Set<string>();
    const until = AbortSignal.any([signal, this.#stopped.signal]);
    try {
      for await (const event of dht.findProviders(await cidOfKey(this.#init.network, key), { signal: until })) {
        if (event.name !== 'PROVIDER') continue;
        for (const { id } of event.providers) if (this.#init.isMember(id.toString())) found.add(id.toString());
      }
    } catch (error) {
      // What was found until the caller's deadline counts; a query fails as a whole when its last path does.
      this.#init.log.debug({ key, found: found.size, reason: wordsOf(error) }, 'provider query ended early');
    }
    return [...found];
  }

  #again(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dht === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#tellAll();
    }, ms);
    this.#timer.unref();
  }

  async #tellAll(): Promise<void> {
    this.#round += 1;
    const round = this.#round;
    for (const key of [...this.#keys.keys()]) {
      await this.#tell(key);
      if (round !== this.#round) return;
    }
    // Peers that came meanwhile wait for a turn of their own already.
    if (this.#timer === undefined) this.#again(provideAgainMs);
  }

  async #tell(key: string): Promise<void> {
    const dht = this.#dht;
    const told = this.#keys.get(key);
    if (dht === undefined || told === undefined) return;
    const signal = AbortSignal.any([AbortSignal.timeout(provideTimeoutMs), this.#stopped.signal, told.signal]);
    try {
      const cid = await cidOfKey(this.#init.network, key);
      signal.throwIfAborted();
      for await (const _ of dht.provide(cid, { signal }));
    } catch (error) {
      if (told.signal.aborted) return;
      this.#init.log.debug({ key, reason: wordsOf(error) }, 'provider record not told, trying again later');
    }
  }

  /** libp2p tells again by itself what lies in its own store. */
  async #forget(key: string): Promise<void> {
    try {
      await this.#dht?.cancelReprovide(await cidOfKey(this.#init.network, key));
    } catch (error) {
      this.#init.log.debug({ key, reason: wordsOf(error) }, 'own provider record not removed');
    }
  }
}

/** Keys are words (`version/<cid>`, see provider-keys.ts); the DHT wants a CID. */
async function cidOfKey(network: string, key: string): Promise<CID> {
  return CID.createV1(
    raw.code,
    await sha256.digest(new TextEncoder().encode(`murmuration/provider/1\0${network}\0${key}`)),
  );
}
