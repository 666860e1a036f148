import type { CID } from 'multiformats/cid';
import type { Logger } from 'pino';
import {
  BufferMap,
  type ChunkFetcher,
  type ChunkStore,
  FetchStalledError,
  type Holding,
  type Holdings,
  type KeptVersion,
  planRetention,
  type Source,
  shardRange,
} from '../chunks/index.ts';
import type { Charter } from '../overlay/index.ts';
import type { Neighbours } from './neighbours.ts';
import type { Problems } from './problems.ts';

/** A certified version that is kept here. */
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
  readonly fetcher: ChunkFetcher;
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

/** Chunk indexes that the charter places on `peer`; undefined where the charter places nothing of the model. */
export function assignedChunks(
  charter: Charter | undefined,
  model: string,
  chunks: number,
  peer: string,
): ReadonlySet<number> | undefined {
  const placements = charter?.placements.filter((placement) => placement.model === model) ?? [];
  if (placements.length === 0) return undefined;
  const assigned = new Set<number>();
  for (const { index, of, holders } of placements) {
    if (!holders.includes(peer)) continue;
    const [from, to] = shardRange(chunks, index, of);
    for (let chunk = from; chunk < to; chunk++) assigned.add(chunk);
  }
  return assigned;
}

/**
 * Holds what the charter places here: pulls missing chunks of certified versions from whoever has them, and drops a
 * chunk that is not placed here only when all whom it is placed on say that they hold it.
 */
export class Replicas {
  readonly #parts: ReplicasParts;

  constructor(parts: ReplicasParts) {
    this.#parts = parts;
  }

  /** Who may have blocks of a version, with what each said that it holds. */
  sources(version: string, chunks: number | undefined): readonly Source[] {
    const { peers, neighbours } = this.#parts;
    return peers().map((peer) => {
      const held = neighbours.held(peer, version);
      const map =
        held !== undefined && held.chunks === chunks ? BufferMap.fromBits(held.chunks, held.bitmap) : undefined;
      return { peer, map };
    });
  }

  /** How many chunks of the newest versions are placed here, and how many of those are held. */
  standing(): { readonly assigned: number; readonly held: number } {
    let assigned = 0;
    let held = 0;
    for (const { holding, wanted } of this.#newest()) {
      assigned += wanted.size;
      for (const index of wanted) if (holding.map.has(index)) held += 1;
    }
    return { assigned, held };
  }

  /** One pass: fetch what is missing, then drop what may go. */
  async sync(signal: AbortSignal): Promise<void> {
    for (const version of this.#parts.kept()) {
      if (signal.aborted) return;
      await this.#fetch(version, signal);
    }
    await this.#drop();
  }

  async #fetch(version: CertifiedVersion, signal: AbortSignal): Promise<void> {
    const { fetcher, holdings, charter, self, problems, log } = this.#parts;
    const name = version.cid.toString();
    const sources = () => this.sources(name, holdings.get(version.cid)?.manifest.chunks.length);
    // A deadline of its own: versions come faster than a stalled fetch gives up, and a newer one matters more.
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(20_000)]);
    try {
      await problems.writing('chunks', async () => {
        const manifest = await fetcher.manifest(version.cid, { sources, signal: deadline });
        holdings.follow(version.cid, manifest);
        const newest = this.#parts.kept().find(({ model }) => model === version.model);
        if (newest?.cid.equals(version.cid) !== true) return; // older ones are kept as they are, not completed
        const wanted = assignedChunks(charter(), version.model, manifest.chunks.length, self);
        const missing = [...(wanted ?? [])].filter((index) => holdings.get(version.cid)?.map.has(index) !== true);
        if (missing.length > 0) await fetcher.fetch(version.cid, { chunks: missing, sources, signal: deadline });
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof FetchStalledError || deadline.aborted)
        log.warn({ err: error, version: name }, 'chunks are not to be had');
      else throw error;
    }
  }

  async #drop(): Promise<void> {
    const { store, holdings, kept, inUse, charter, self } = this.#parts;
    const versions: KeptVersion[] = kept().flatMap(({ cid, model, age }) => {
      const manifest = holdings.get(cid)?.manifest;
      return manifest === undefined ? [] : [{ cid: cid.toString(), model, age, manifest }];
    });
    const plan = planRetention({
      versions,
      keep: (model) => versions.filter((version) => version.model === model).length,
      assigned: (cid) => {
        const version = versions.find((one) => one.cid === cid);
        if (version === undefined) return undefined;
        const chunks = version.manifest.chunks.length;
        const mine = assignedChunks(charter(), version.model, chunks, self);
        return mine === undefined ? undefined : new Set([...mine, ...this.#notYetElsewhere(version, chunks)]);
      },
      held: store.list().map((cid) => cid.toString()),
      inUse: inUse(),
    });
    const drop = new Set(plan.drop);
    for (const cid of store.list()) if (drop.has(cid.toString())) await store.delete(cid);
    for (const { cid } of holdings.list()) {
      if (!plan.kept.includes(cid.toString()) && !inUse().has(cid.toString())) holdings.unfollow(cid);
    }
  }

  /** Chunks of which some holder that the charter names has not said yet that it has them: they stay here till then. */
  #notYetElsewhere(version: KeptVersion, chunks: number): readonly number[] {
    const { charter, neighbours, self } = this.#parts;
    const missing: number[] = [];
    for (const { model, index, of, holders } of charter()?.placements ?? []) {
      if (model !== version.model) continue;
      const maps = holders
        .filter((holder) => holder !== self)
        .map((holder) => neighbours.held(holder, version.cid))
        .map((held) => (held?.chunks === chunks ? BufferMap.fromBits(chunks, held.bitmap) : undefined));
      const [from, to] = shardRange(chunks, index, of);
      for (let chunk = from; chunk < to; chunk++) {
        if (holders.length === 0 || maps.some((map) => map?.has(chunk) !== true)) missing.push(chunk);
      }
    }
    return missing;
  }

  /** The newest kept version of each model, with what of it is placed here. */
  #newest(): readonly { readonly holding: Holding; readonly wanted: ReadonlySet<number> }[] {
    const { kept, holdings, charter, self } = this.#parts;
    const models = new Set<string>();
    return kept().flatMap(({ cid, model }) => {
      const holding = holdings.get(cid);
      if (models.has(model) || holding === undefined) return [];
      models.add(model);
      const wanted = assignedChunks(charter(), model, holding.manifest.chunks.length, self);
      return wanted === undefined ? [] : [{ holding, wanted }];
    });
  }
}
