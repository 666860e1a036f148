import type { Manifest } from './manifest.ts';

/** A certified version, as retention sees it. CIDs are text. */
export interface KeptVersion {
  readonly cid: string;
  readonly model: string;
  readonly age: number;
  readonly manifest: Manifest;
  /** A person (a ModelShard made by hand) wants it, whatever its age. */
  readonly pinned?: boolean;
}

export interface RetentionInput {
  /** Certified versions of all models. */
  readonly versions: readonly KeptVersion[];
  /** How many versions of a model are kept, newest first. */
  readonly keep: (model: string) => number;
  /** Chunk indexes of a version that the charter places here; `undefined` means that nothing is placed and all of a kept version stays. */
  readonly assigned: (versionCid: string) => ReadonlySet<number> | undefined;
  /** Blocks in the store (chunks and manifests). */
  readonly held: readonly string[];
  /** Blocks that are in use though no certified version names them: a proposal being scored, a fetch under way. */
  readonly inUse: ReadonlySet<string>;
}

export interface RetentionPlan {
  /** Versions that stay. */
  readonly kept: readonly string[];
  /** Blocks to delete: no kept version's manifest, no assigned chunk of a kept version, nothing in use. */
  readonly drop: readonly string[];
}

/** Which blocks may go. Pure. It never names an assigned chunk of a kept version, and no block of one that is not placed yet. */
export function planRetention(input: RetentionInput): RetentionPlan {
  const kept = keptVersions(input);
  const needed = new Set<string>(input.inUse);
  for (const version of kept) {
    needed.add(version.cid);
    const assigned = input.assigned(version.cid);
    for (const [index, chunk] of version.manifest.chunks.entries())
      if (assigned === undefined || assigned.has(index)) needed.add(chunk.toString());
  }
  return { kept: kept.map(({ cid }) => cid), drop: input.held.filter((cid) => !needed.has(cid)) };
}

function keptVersions({ versions, keep }: RetentionInput): readonly KeptVersion[] {
  const newer = (a: KeptVersion, b: KeptVersion): number => b.age - a.age || (a.cid < b.cid ? -1 : 1);
  const models = new Set(versions.map(({ model }) => model));
  const newest = new Set(
    [...models].flatMap((model) =>
      versions
        .filter((version) => version.model === model)
        .sort(newer)
        .slice(0, Math.max(1, keep(model))),
    ),
  );
  return versions.filter((version) => version.pinned === true || newest.has(version));
}
