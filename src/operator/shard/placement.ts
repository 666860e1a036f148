import { createHash } from 'node:crypto';

/** A validator that may hold shards. */
export interface Candidate {
  readonly node: string;
  /** Share of the load that it should take relative to others; above zero. Kept coarse, so that it seldom changes. */
  readonly weight: number;
  /** Value of the spread's topology label on its machine; undefined while it is on none. */
  readonly domain: string | undefined;
  /** Whether a copy of the shard fits on its volume (true for one that it holds already). */
  readonly fits: boolean;
}

/**
 * The validators that should hold a shard: weighted rendezvous hashing, spread over domains. Each candidate gets a score
 * from the shard and its own name only, so one that comes or goes moves nothing but its own share.
 * Sources: Thaler and Ravishankar 1998 (highest random weight); Schindelhauer and Schomaker 2005 for the weights
 * (-weight / ln(hash)).
 * @returns at most `replicas` names, best first; fewer where there are not enough candidates that fit
 */
export function place(shard: string, candidates: readonly Candidate[], replicas: number): readonly string[] {
  const ranked = candidates
    .filter(({ fits, weight }) => fits && weight > 0)
    .map((candidate) => ({ candidate, score: -candidate.weight / Math.log(unit(`${shard}\n${candidate.node}`)) }))
    .sort((a, b) => b.score - a.score || (a.candidate.node < b.candidate.node ? -1 : 1))
    .map(({ candidate }) => candidate);
  const used = new Map<string, number>();
  const chosen: Candidate[] = [];
  while (chosen.length < replicas && ranked.length > 0) {
    const load = ({ domain }: Candidate): number => (domain === undefined ? 0 : (used.get(domain) ?? 0));
    const least = Math.min(...ranked.map(load));
    const at = ranked.findIndex((candidate) => load(candidate) === least);
    const [next] = ranked.splice(at, 1);
    if (next === undefined) break;
    chosen.push(next);
    if (next.domain !== undefined) used.set(next.domain, (used.get(next.domain) ?? 0) + 1);
  }
  return chosen.map(({ node }) => node);
}

/** A number in (0, 1) from 48 bits of sha2-256. */
function unit(text: string): number {
  const bits = createHash('sha256').update(text).digest().readUIntBE(0, 6);
  return (bits + 0.5) / 2 ** 48;
}
