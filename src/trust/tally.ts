import { type Certificate, certify } from './certificate.ts';
import { type Evidence, evidenceOf } from './evidence.ts';
import type { QuorumRules, VotingMember } from './quorum.ts';
import { type SignedVote, verifyVote } from './vote.ts';

export type VoteOutcome =
  | { readonly kind: 'counted' | 'repeated' | 'not-a-member' | 'bad-signature' | 'known-double-voter' }
  | { readonly kind: 'double-vote'; readonly evidence: Evidence };

interface Height {
  /** voter -> its first vote. */
  readonly votes: Map<string, SignedVote>;
  /** Voters that contradicted themselves here: none of their votes counts. */
  readonly doubles: Set<string>;
}

/**
 * The votes for one model, by age and version. A voter that signs two versions of one age counts for neither, and leaves evidence.
 * The caller limits the ages that come in; votes of a voter at one age take constant space.
 */
export class Tally {
  readonly #heights = new Map<number, Height>();

  /** Take a vote in. The members are those of now: a vote by anybody else is not kept. */
  add(signed: SignedVote, members: readonly VotingMember[]): VoteOutcome {
    const { vote } = signed;
    if (!members.some(({ stakeKey }) => stakeKey === vote.voter)) return { kind: 'not-a-member' };
    const height = this.#heights.get(vote.age) ?? { votes: new Map(), doubles: new Set() };
    const first = height.votes.get(vote.voter);
    if (height.doubles.has(vote.voter)) return { kind: 'known-double-voter' };
    if (first?.vote.version === vote.version) return { kind: 'repeated' };
    if (!verifyVote(signed)) return { kind: 'bad-signature' };
    this.#heights.set(vote.age, height);
    if (first === undefined) {
      height.votes.set(vote.voter, signed);
      return { kind: 'counted' };
    }
    const evidence = evidenceOf(first, signed);
    if (evidence === undefined) return { kind: 'bad-signature' };
    height.doubles.add(vote.voter);
    return { kind: 'double-vote', evidence };
  }

  /** Votes that count for a version at an age. */
  votes(age: number, version: string): readonly SignedVote[] {
    const height = this.#heights.get(age);
    return [...(height?.votes.values() ?? [])].filter(
      ({ vote }) => vote.version === version && !height?.doubles.has(vote.voter),
    );
  }

  /** A certificate of the votes for a version at an age, when they are enough. */
  certify(
    age: number,
    version: string,
    members: readonly VotingMember[],
    rules: QuorumRules,
    charterSeq: number,
  ): Certificate | undefined {
    return certify(this.votes(age, version), members, rules, charterSeq);
  }

  /** Forget all ages below this one. */
  prune(below: number): void {
    for (const age of this.#heights.keys()) if (age < below) this.#heights.delete(age);
  }
}
