/** A share of the voting weight, exact. */
export interface Quorum {
  readonly numerator: number;
  readonly denominator: number;
}

/** What it takes to certify a version of one model. */
export interface QuorumRules {
  /** For example `2/3`: at least this share of all members' weight. More than 1/2, at most 1. */
  readonly quorum: string;
  /** At least so many voters, whatever their weight. */
  readonly minimumVoters: number;
}

/** Somebody whose vote counts. */
export interface VotingMember {
  /** Stake public key, compressed, hex. */
  readonly stakeKey: string;
  /** Integer >= 0. */
  readonly weight: number;
}

/** Read `2/3`. Throws RangeError with what is wrong. */
export function parseQuorum(text: string): Quorum {
  const [, above, below] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  const numerator = Number(above);
  const denominator = Number(below);
  if (
    above === undefined ||
    below === undefined ||
    denominator === 0 ||
    numerator > denominator ||
    2 * numerator <= denominator
  )
    throw new RangeError(`"${text}" is no quorum: write a fraction above 1/2 and up to 1/1, for example "2/3"`);
  return { numerator, denominator };
}

/** Whether voters reach the rules: exact in integers, so 2/3 of 3 is 2. */
export function reaches(voters: ReadonlySet<string>, members: readonly VotingMember[], rules: QuorumRules): boolean {
  const { numerator, denominator } = parseQuorum(rules.quorum);
  let total = 0n;
  let signed = 0n;
  let count = 0;
  for (const { stakeKey, weight } of distinct(members)) {
    total += BigInt(weight);
    if (!voters.has(stakeKey)) continue;
    signed += BigInt(weight);
    count++;
  }
  return (
    total > 0n && signed * BigInt(denominator) >= total * BigInt(numerator) && count >= Math.max(1, rules.minimumVoters)
  );
}

/** One key votes once, however often it is listed. */
function distinct(members: readonly VotingMember[]): readonly VotingMember[] {
  return [...new Map(members.map((member) => [member.stakeKey, member])).values()];
}
