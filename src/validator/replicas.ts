import type { CID } from 'multiformats/cid';
import type { Logger } from 'pino';
import {
  type ChunkFetcher,
  type ChunkStore,
  FetchStalledError,
  type Holding,
  type Holdings,
  type KeptVersion,
  parseBlockCid,
  planRetention,
} from '../chunks/index.ts';
import type { Charter } from '../overlay/index.ts';
import type { Neighbours } from './neighbours.ts';
import { assignedChunks, notYetElsewhere, pinnedVersions } from './placement.ts';
import type { Problems } from './problems.ts';

/** A fetch has a deadline of its own: versions come faster than a stalled fetch gives up, and a newer one matters more. */
const FETCH_MILLISECONDS = 20_000;

/** Blocks that are deleted between two looks at what is in use. */
const DELETED_AT_ONCE = 64;

/** A version that is kept here. */
export interface CertifiedVersion {
  readonly cid: CID;
  /** uid of the model. */
  readonly model: string;
  readonly age: number;
}

export interface ReplicasParts {
  readonly self: string;
  readonly store: ChunkStore;
  readonly holdings: Holdings;
  readonly fetcher: Pick<ChunkFetcher, 'fetch' | 'manifest'>;
  readonly neighbours: Neighbours;
  readonly charter: () => Charter | undefined;
  /** Connected validators. */
  readonly peers: () => readonly string[];
  /** Certified versions that are kept, newest of a model first. */
  readonly kept: () => readonly CertifiedVersion[];
  /** Blocks in use though no certified version names them. */
  readonly inUse: () => ReadonlySet<string>;
  readonly problems: Problems;
  readonly log: Logger;
}

/** A version to hold, with whether the charter's pins are the only reason. */
interface Wanted {
  readonly cid: CID;
  readonly model: string;
  readonly isCertified: boolean;
}

/**
 * Holds what the charter places here: pulls missing chunks of the newest certified versions, and of versions that are
 * pinned, from whoever has them; drops a chunk that is not placed here only when all whom it is placed on say that
 * they hold it.
 */
export class Replicas {
  readonly #parts: ReplicasParts;

  constructor(parts: ReplicasParts) {
    this.#parts = parts;
  }

  /** How many chunks of the newest and of pinned versions are placed here, and how many of those are held. */
  standing(): { readonly assigned: number; readonly held: number } {
    let assigned = 0;
    let held = 0;
    for (const version of this.#complete()) {
      const holding = this.#parts.holdings.get(version.cid);
      if (holding === undefined) continue;
      for (const index of this.#assigned(version, holding)) {
        assigned += 1;
        if (holding.map.has(index)) held += 1;
      }
    }
    return { assigned, held };
  }

  /** One pass: fetch what is missing, then drop what may go, also when the volume is full or nobody serves. */
  async sync(signal: AbortSignal): Promise<void> {
    const { problems } = this.#parts;
    try {
      await problems.writing('chunks', async () => {
        await this.#followKept();
        const fetches = this.#complete().map((version) => this.#fetch(version, signal));
        for (const fetch of await Promise.allSettled(fetches)) if (fetch.status === 'rejected') throw fetch.reason;
      });
    } finally {
      if (!signal.aborted) await this.#drop();
    }
  }

  /** Versions whose placed chunks are to be complete here: the newest of each model, and what is pinned. */
  #complete(): readonly Wanted[] {
    const { kept, charter } = this.#parts;
    const certified = kept();
    const newest = certified.filter(({ model }, i) => certified.findIndex((other) => other.model === model) === i);
    const wanted = new Map(newest.map(({ cid, model }) => [cid.toString(), { cid, model, isCertified: true }]));
    for (const { cid: name, model } of pinnedVersions(charter())) {
      const cid = parseBlockCid(name);
      const isCertified = certified.some((version) => version.cid.toString() === name);
      if (cid !== undefined && !wanted.has(name)) wanted.set(name, { cid, model, isCertified });
    }
    return [...wanted.values()];
  }

  /** Older versions are kept as they are, not completed: their manifests are read from the disk only. */
  async #followKept(): Promise<void> {
    const { kept, holdings, store, fetcher } = this.#parts;
    for (const { cid } of kept()) {
      if (holdings.get(cid) === undefined && (await store.check(cid)))
        holdings.follow(cid, await fetcher.manifest(cid, { sources: () => [] }));
    }
  }

  async #fetch(version: Wanted, signal: AbortSignal): Promise<void> {
    const { fetcher, holdings, peers: sources, log } = this.#parts;
    const { cid } = version;
    const name = cid.toString();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MILLISECONDS)]);
    try {
      const manifest = await fetcher.manifest(cid, { sources, signal: deadline });
      if (manifest.model !== version.model) {
        log.warn({ version: name, model: version.model }, 'a pinned version is of another model and is not fetched');
        return;
      }
      holdings.follow(cid, manifest);
      const holding = holdings.get(cid);
      if (holding === undefined || !this.#complete().some((wanted) => wanted.cid.equals(cid))) return;
      const missing = [...this.#assigned(version, holding)].filter((index) => !holding.map.has(index));
      if (missing.length > 0) await fetcher.fetch(cid, { chunks: missing, sources, signal: deadline });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof FetchStalledError || deadline.aborted)
        log.warn({ err: error, version: name }, 'chunks are not to be had');
      else throw error;
    }
  }

  async #drop(): Promise<void> {
    const { store, holdings, inUse, charter, self, neighbours } = this.#parts;
    const versions = this.#versions();
    // Without a charter, or without the manifest of a kept version, nobody knows what may go.
    if (charter() === undefined || versions === undefined) return;
    const plan = planRetention({
      versions,
      keep: (model) => versions.filter((version) => version.model === model).length,
      assigned: (cid) => {
        const version = versions.find((one) => one.cid === cid);
        if (version === undefined) return undefined;
        const placed = {
          model: version.model,
          cid,
          chunks: version.manifest.chunks.length,
          isCertified: version.pinned !== true,
        };
        const mine = assignedChunks(charter(), placed, self);
        const held = (peer: string) => neighbours.map(peer, cid, placed.chunks);
        return new Set([...mine, ...notYetElsewhere(charter(), placed, self, held)]);
      },
      held: store.names(),
      inUse: inUse(),
    });
    for (let at = 0; at < plan.drop.length; at += DELETED_AT_ONCE) {
      const begunMeanwhile = inUse(); // since the plan: a proposal may have the same bytes in it
      const gone = plan.drop.slice(at, at + DELETED_AT_ONCE).filter((name) => !begunMeanwhile.has(name));
      await Promise.all(gone.flatMap((name) => parseBlockCid(name) ?? []).map((cid) => store.delete(cid)));
    }
    for (const { cid } of holdings.list()) {
      if (!plan.kept.includes(cid.toString()) && !inUse().has(cid.toString())) holdings.unfollow(cid);
    }
  }

  /** Every kept version with its manifest; undefined while a manifest is missing. */
  #versions(): readonly KeptVersion[] | undefined {
    const { kept, holdings } = this.#parts;
    const versions: KeptVersion[] = [];
    for (const { cid, model, age } of kept()) {
      const manifest = holdings.get(cid)?.manifest;
      if (manifest === undefined) return undefined;
      versions.push({ cid: cid.toString(), model, age, manifest });
    }
    for (const { cid, model, isCertified } of this.#complete()) {
      const manifest = holdings.get(cid)?.manifest;
      if (isCertified || manifest === undefined) continue; // of a pinned version without a manifest nothing is here yet
      versions.push({ cid: cid.toString(), model, age: manifest.age, manifest, pinned: true });
    }
    return versions;
  }

  #assigned(version: Wanted, { manifest }: Holding): ReadonlySet<number> {
    const placed = { ...version, cid: version.cid.toString(), chunks: manifest.chunks.length };
    return assignedChunks(this.#parts.charter(), placed, this.#parts.self);
  }
}
