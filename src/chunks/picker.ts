/** A block that is still missing, as the picker sees it. */
export interface Wanted {
  readonly key: string;
  /** Requests under way for it. */
  readonly inFlight: number;
  /** When the oldest of them was sent. */
  readonly since: number;
}

export interface PickInput {
  readonly missing: readonly Wanted[];
  /** Whether the peer asked is thought to have a block. */
  readonly mayHave: (key: string) => boolean;
  /** How many reachable peers are known to have a block: the rarest goes first. */
  readonly holders: (key: string) => number;
  /** Most blocks to pick. */
  readonly most: number;
  readonly now: number;
  /** How long a lone request must have been under way before a second source is tried. */
  readonly endgameAfterMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Above this many missing blocks the rarest is looked for in a random sample of this size: enough, and quick for 65 536 chunks. */
const SAMPLE = 256;

/**
 * Which blocks to ask one peer for: the rarest of those nobody was asked for, ties broken at random, so that peers which pick at
 * the same time pick differently. When every missing block is asked for already (endgame), one that is late, from a second source.
 */
export function pick(input: PickInput): readonly string[] {
  const { missing, mayHave, holders, most, now, endgameAfterMs, random } = input;
  const free = sample(
    missing.filter((wanted) => wanted.inFlight === 0),
    random,
  ).filter((wanted) => mayHave(wanted.key));
  if (free.length > 0)
    return free
      .map(({ key }) => ({ key, holders: holders(key), tie: random() }))
      .sort((a, b) => a.holders - b.holders || a.tie - b.tie)
      .slice(0, most)
      .map(({ key }) => key);
  if (missing.some((wanted) => wanted.inFlight === 0)) return [];
  const late = missing.filter(
    (wanted) => wanted.inFlight === 1 && now - wanted.since >= endgameAfterMs && mayHave(wanted.key),
  );
  const one = late[Math.floor(random() * late.length)];
  return one === undefined ? [] : [one.key];
}

function sample(wanted: readonly Wanted[], random: () => number): readonly Wanted[] {
  if (wanted.length <= SAMPLE) return wanted;
  const start = Math.floor(random() * wanted.length);
  const stride = Math.max(1, Math.floor(wanted.length / SAMPLE));
  const picked: Wanted[] = [];
  for (let taken = 0; taken < SAMPLE; taken++) {
    const at = wanted[(start + taken * stride) % wanted.length];
    if (at !== undefined) picked.push(at);
  }
  return picked;
}
