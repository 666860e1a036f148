import type { KadDHT } from '@libp2p/kad-dht';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { sha256 } from 'multiformats/hashes/sha2';
import type { Logger } from 'pino';
import { providerValidityMs } from './node.ts';
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
}

/**
 * "Who has this?" over the Kademlia DHT. Records are claims with minutes of validity: they say whom to ask, nothing more.
 * What is provided is told again for ever, and soon after peers have come, because a record is stored by who was there.
 */
export class Providers {
  readonly #init: ProvidersInit;
  readonly #keys = new Set<string>();
  #dht: KadDHT | undefined;
  #timer: NodeJS.Timeout | undefined;
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

  async provide(key: string): Promise<void> {
    this.#keys.add(key);
    await this.#tell(key);
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
    if (this.#dht === undefined) return;
    this.#timer = setTimeout(async () => {
      for (const key of this.#keys) await this.#tell(key);
      this.#again(provideAgainMs);
    }, ms);
    this.#timer.unref();
  }

  async #tell(key: string): Promise<void> {
    const dht = this.#dht;
    if (dht === undefined) return;
    const signal = AbortSignal.any([AbortSignal.timeout(provideTimeoutMs), this.#stopped.signal]);
    try {
      for await (const _ of dht.provide(await cidOfKey(this.#init.network, key), { signal }));
    } catch (error) {
      this.#init.log.debug({ key, reason: wordsOf(error) }, 'provider record not told, trying again later');
    }
  }
}

/** Keys are words (a version's CID, a model's uid); the DHT wants a CID. */
async function cidOfKey(network: string, key: string): Promise<CID> {
  return CID.createV1(
    raw.code,
    await sha256.digest(new TextEncoder().encode(`murmuration/provider/1\0${network}\0${key}`)),
  );
}
