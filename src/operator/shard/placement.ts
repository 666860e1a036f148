import { createHash } from 'node:crypto';

/** A validator that may hold a shard. */
export interface Candidate {
  readonly node: string;
  /** Share of the load that it should take relative to others; above zero. */
  readonly weight: number;
  /** Machine that its pod is on; undefined while it is on none. */
  readonly machine: string | undefined;
  /** Value of the spread's topology label on that machine; undefined where there is none. */
  readonly domain: string | undefined;
  /** Zone of that machine; undefined where the cluster has none. */
  readonly zone: string | undefined;
  /** 0: as good as any. One of a higher grade is taken only where there are too few of the lower ones. */
  readonly grade: number;
  /** It holds the shard, or is about to. */
  readonly holds: boolean;
}

/**
 * Another validator takes the place of a holder only where its score is higher by this factor. Without it, each wobble of a
 * reputation would move bytes; moved there and back again they are only by a change of its square.
 */
export const STAY = 1.25;

/**
 * Candidates for a shard, best first: weighted rendezvous hashing, spread over zones, then over domains, then over
 * machines. Each candidate gets a score from the shard and its own name only, so one that comes or goes moves nothing but
 * its own share, and never more than one holder of a shard.
 * Sources: Thaler and Ravishankar 1998 (highest random weight); Schindelhauer and Schomaker 2005 for the weights
 * (-weight / ln(hash)).
 */
export function rank<C extends Candidate>(shard: string, candidates: readonly C[]): readonly C[] {
  const entries = candidates
    .filter(({ weight }) => weight > 0)
    .map((candidate) => ({ candidate, score: scoreOf(shard, candidate), machine: 0, domain: 0, zone: 0 }));
  type Entry = (typeof entries)[number];
  const name = ({ candidate: { node } }: Entry): string => node;
  entries.sort((a, b) => a.candidate.grade - b.candidate.grade || b.score - a.score || (name(a) < name(b) ? -1 : 1));
  // Whose turn it is within a level follows from the order on the level below: the second on a machine comes after the
  // first on every other machine.
  const level = (which: 'machine' | 'domain' | 'zone', placeOf: (candidate: C) => string): void => {
    const seen = new Map<string, number>();
    for (const entry of entries) {
      const place = placeOf(entry.candidate);
      entry[which] = seen.get(place) ?? 0;
      seen.set(place, entry[which] + 1);
    }
    // Sorting is stable: equals stay in the order of the level below.
    entries.sort((a, b) => a.candidate.grade - b.candidate.grade || a[which] - b[which]);
  };
  level('machine', ({ machine, node }) => machine ?? `\n${node}`);
  level('domain', ({ domain, machine, node }) => domain ?? machine ?? `\n${node}`);
  level('zone', ({ zone }) => zone ?? '');
  return entries.map(({ candidate }) => candidate);
}

const scoreOf = (shard: string, { node, weight, holds }: Candidate): number =>
  (-weight * (holds ? STAY : 1)) / Math.log(unit(shard, node));

/** Enough for a thousand validators and a thousand shards; then it starts anew. */
const MOST_KNOWN = 1_000_000;
const known = new Map<string, Map<string, number>>();
let count = 0;

/** A number in (0, 1) from 48 bits of sha2-256. Worked out once for each pair. */
function unit(shard: string, node: string): number {
  const ofShard = known.get(shard) ?? new Map<string, number>();
  const present = ofShard.get(node);
  if (present !== undefined) return present;
  const bits = createHash('sha256').update(`${shard}\n${node}`).digest().readUIntBE(0, 6);
  const number = (bits + 0.5) / 2 ** 48;
  if (count >= MOST_KNOWN) {
    known.clear();
    count = 0;
  }
  known.set(shard, ofShard.set(node, number));
  count += 1;
  return number;
}
