import type { CID } from 'multiformats/cid';
import { BufferMap } from './buffer-map.ts';
import type { Manifest } from './manifest.ts';
import type { ChunkStore } from './store.ts';

/** A version that is followed here: its manifest and which of its chunks the store holds. */
export interface Holding {
  readonly cid: CID;
  readonly manifest: Manifest;
  /** A copy: it does not change under the reader. */
  readonly map: BufferMap;
}

/** What happens to the versions that are followed. */
export interface HoldingsEvents {
  readonly onFollow: (version: Holding) => void;
  readonly onUnfollow: (cid: CID) => void;
  /** A chunk came or went. */
  readonly onChunk: (cid: CID, index: number, isHeld: boolean) => void;
}

interface Followed {
  readonly cid: CID;
  readonly manifest: Manifest;
  readonly map: BufferMap;
}

/**
 * Which versions are followed and what the store holds of each: the buffer maps that are announced and served.
 * Kept up to date by the store's own events, so a corrupt chunk leaves the map at once.
 */
export class Holdings {
  readonly #store: ChunkStore;
  readonly #versions = new Map<string, Followed>();
  /** Where a chunk occurs: chunk -> version -> indexes (equal chunks, zeros for one, occur more than once). */
  readonly #places = new Map<string, Map<string, number[]>>();
  readonly #listeners = new Set<Partial<HoldingsEvents>>();
  readonly #stop: () => void;

  constructor(store: ChunkStore) {
    this.#store = store;
    this.#stop = store.listen({ onHave: (cid) => this.#mark(cid, true), onLost: (cid) => this.#mark(cid, false) });
  }

  /** Hear of what happens. Returns how to stop hearing. */
  listen(events: Partial<HoldingsEvents>): () => void {
    this.#listeners.add(events);
    return () => this.#listeners.delete(events);
  }

  /** Follow a version. */
  follow(cid: CID, manifest: Manifest): void {
    const version = cid.toString();
    if (this.#versions.has(version)) return;
    const map = BufferMap.empty(manifest.chunks.length);
    for (const [index, chunk] of manifest.chunks.entries()) {
      const key = chunk.toString();
      const versions = this.#places.get(key) ?? new Map<string, number[]>();
      versions.set(version, [...(versions.get(version) ?? []), index]);
      this.#places.set(key, versions);
      if (this.#store.has(chunk)) map.set(index);
    }
    this.#versions.set(version, { cid, manifest, map });
    for (const { onFollow } of this.#listeners) onFollow?.({ cid, manifest, map: map.clone() });
  }

  /** Follow it no longer; its chunks stay in the store. */
  unfollow(cid: CID): void {
    const version = cid.toString();
    const followed = this.#versions.get(version);
    if (followed === undefined) return;
    this.#versions.delete(version);
    for (const chunk of followed.manifest.chunks) {
      const versions = this.#places.get(chunk.toString());
      versions?.delete(version);
      if (versions?.size === 0) this.#places.delete(chunk.toString());
    }
    for (const { onUnfollow } of this.#listeners) onUnfollow?.(cid);
  }

  get(cid: CID): Holding | undefined {
    const followed = this.#versions.get(cid.toString());
    return followed === undefined ? undefined : { ...followed, map: followed.map.clone() };
  }

  list(): readonly Holding[] {
    return [...this.#versions.values()].map((followed) => ({ ...followed, map: followed.map.clone() }));
  }

  close(): void {
    this.#stop();
  }

  #mark(chunk: CID, held: boolean): void {
    const key = chunk.toString();
    for (const [version, indexes] of this.#places.get(key) ?? []) {
      const followed = this.#versions.get(version);
      if (followed === undefined) continue;
      for (const index of indexes) {
        if (!(held ? followed.map.set(index) : followed.map.clear(index))) continue;
        for (const { onChunk } of this.#listeners) onChunk?.(followed.cid, index, held);
      }
    }
  }
}
