import { type BufferMap, shardRange } from '../chunks/index.ts';
import type { Charter, Placement } from '../overlay/index.ts';

/** A version that placements may concern. */
export interface PlacedVersion {
  /** uid of the model. */
  readonly model: string;
  /** CID of the manifest, as text. */
  readonly cid: string;
  /** Chunks of the whole version. */
  readonly chunks: number;
  /** False for one that is here only because the charter pins it: placements of certified versions do not concern it. */
  readonly isCertified: boolean;
}

/** Versions that the charter pins, each once. */
export function pinnedVersions(
  charter: Charter | undefined,
): readonly { readonly model: string; readonly cid: string }[] {
  const pins = new Map<string, string>();
  for (const { model, versionCid } of charter?.placements ?? [])
    if (versionCid !== undefined) pins.set(versionCid, model);
  return [...pins].map(([cid, model]) => ({ cid, model }));
}

/** Chunk indexes that the charter places on `peer`. */
export function assignedChunks(
  charter: Charter | undefined,
  version: PlacedVersion,
  peer: string,
): ReadonlySet<number> {
  const placements = placementsOf(charter, version).filter(({ holders }) => holders.includes(peer));
  return new Set(placements.flatMap((placement) => [...chunksOf(placement, version)]));
}

/**
 * Chunks that must stay at `self` whether they are placed there or not: those that the charter places on nobody, and
 * those that somebody it places them on has not said to hold.
 * @param held what a peer said that it holds of the version
 */
export function notYetElsewhere(
  charter: Charter | undefined,
  version: PlacedVersion,
  self: string,
  held: (peer: string) => BufferMap | undefined,
): ReadonlySet<number> {
  const placedOn = Array.from({ length: version.chunks }, () => new Set<string>());
  for (const placement of placementsOf(charter, version)) {
    for (const chunk of chunksOf(placement, version)) {
      for (const holder of placement.holders) placedOn[chunk]?.add(holder);
    }
  }
  const maps = new Map([...new Set(placedOn.flatMap((peers) => [...peers]))].map((peer) => [peer, held(peer)]));
  const isElsewhere = (chunk: number, peers: ReadonlySet<string>) =>
    peers.size > 0 && [...peers].every((peer) => peer === self || maps.get(peer)?.has(chunk) === true);
  return new Set(placedOn.flatMap((peers, chunk) => (isElsewhere(chunk, peers) ? [] : [chunk])));
}

function placementsOf(charter: Charter | undefined, { model, cid, isCertified }: PlacedVersion): readonly Placement[] {
  return (charter?.placements ?? []).filter(
    (placement) =>
      placement.model === model && (placement.versionCid === undefined ? isCertified : placement.versionCid === cid),
  );
}

function* chunksOf({ index, of }: Placement, { chunks }: PlacedVersion): Iterable<number> {
  const [from, to] = shardRange(chunks, index, of);
  for (let chunk = from; chunk < to; chunk++) yield chunk;
}
