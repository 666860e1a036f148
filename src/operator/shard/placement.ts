import { hash } from 'node:crypto';

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
const STAY = 1.25;

/**
 * The validators that should hold a shard, best first: weighted rendezvous hashing, spread over zones, then over domains, then
 * over machines. Each candidate gets a score from the shard and its own name only, so one that comes or goes moves nothing
 * but its own share, and never more than one holder of a shard.
 * Sources: Thaler and Ravishankar 1998 (highest random weight); Schindelhauer and Schomaker 2005 for the weights
 * (-weight / ln(hash)).
 * @returns at most `replicas` names; fewer where there are not enough candidates
 */
export function place(shard: string, candidates: readonly Candidate[], replicas: number): readonly string[] {
  const left: Scored[] = [];
  for (const candidate of candidates) {
    if (candidate.weight > 0) left.push({ candidate, score: scoreOf(shard, candidate) });
  }
  const used = {
    zone: new Map<string, number>(),
    domain: new Map<string, number>(),
    machine: new Map<string, number>(),
  };
  const chosen: string[] = [];
  while (chosen.length < replicas && left.length > 0) {
    let best = 0;
    for (let at = 1; at < left.length; at++) if (isBefore(left[at] as Scored, left[best] as Scored, used)) best = at;
    const [{ candidate } = left[0] as Scored] = left.splice(best, 1);
    chosen.push(candidate.node);
    for (const level of LEVELS) {
      const where = placeOn[level](candidate);
      used[level].set(where, (used[level].get(where) ?? 0) + 1);
    }
  }
  return chosen;
}

interface Scored {
  readonly candidate: Candidate;
  readonly score: number;
}

type Level = 'zone' | 'domain' | 'machine';
const LEVELS: readonly Level[] = ['zone', 'domain', 'machine'];

/** Those of unknown zone are in one together; who is on no machine is alone. */
const placeOn: Readonly<Record<Level, (candidate: Candidate) => string>> = {
  zone: ({ zone }) => zone ?? '',
  domain: ({ domain, machine, node }) => domain ?? machine ?? node,
  machine: ({ machine, node }) => machine ?? node,
};

/** Whether `a` should hold the shard rather than `b`, with what was chosen so far. */
function isBefore(a: Scored, b: Scored, used: Readonly<Record<Level, ReadonlyMap<string, number>>>): boolean {
  if (a.candidate.grade !== b.candidate.grade) return a.candidate.grade < b.candidate.grade;
  for (const level of LEVELS) {
    const counts = used[level];
    if (counts.size === 0) break;
    const [left, right] = [counts.get(placeOn[level](a.candidate)) ?? 0, counts.get(placeOn[level](b.candidate)) ?? 0];
    if (left !== right) return left < right;
  }
  if (a.score !== b.score) return a.score > b.score;
  return a.candidate.node < b.candidate.node;
}

const scoreOf = (shard: string, { node, weight, holds }: Candidate): number =>
  (-weight * (holds ? STAY : 1)) / Math.log(unit(shard, node));

/** Enough for a thousand validators and some hundred shards; then it starts anew. */
const MOST_KNOWN = 400_000;
const known = new Map<string, Map<string, number>>();
let count = 0;

/** A number in (0, 1) from 48 bits of sha2-256. Worked out once for each pair. */
function unit(shard: string, node: string): number {
  let ofShard = known.get(shard);
  const present = ofShard?.get(node);
  if (present !== undefined) return present;
  const number = (hash('sha256', `${shard}\n${node}`, 'buffer').readUIntBE(0, 6) + 0.5) / 2 ** 48;
  if (count >= MOST_KNOWN) {
    known.clear();
    count = 0;
    ofShard = undefined;
  }
  count += 1;
  known.set(shard, (ofShard ?? new Map<string, number>()).set(node, number));
  return number;
}
