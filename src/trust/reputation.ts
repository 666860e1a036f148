import { z } from 'zod';

/** The three parts of a reputation and the score made of them, each 0..1. */
export interface Reputation {
  readonly score: number;
  /** Storage challenges answered. */
  readonly storage: number;
  /** What its updates did to our loss. */
  readonly learning: number;
  /** How it behaves in protocols. */
  readonly interactions: number;
}

export type Interaction = 'ok' | 'malformed' | 'timeout' | 'refused' | 'oversize' | 'wrong-bytes';

/** Where everybody starts, and what a silent peer drifts back to. */
export const NEUTRAL = 0.5;
/**
 * The score is storage^0.3 learning^0.4 interactions^0.3, a weighted geometric mean: what a fleet is for weighs most, and
 * who is of no use in one part is made up for by no other. Somebody who stores well and poisons models has no good name.
 */
export const PART_WEIGHTS = { storage: 0.3, learning: 0.4, interactions: 0.3 } as const;

/**
 * What an event says (0 bad .. 1 good) and how far it moves the part towards that. Refusing is a peer's right and a late answer may
 * be the network's fault: both weigh little. Wrong or malformed bytes are nobody else's fault: three of them undo a good name.
 */
const INTERACTIONS: Readonly<Record<Interaction, { readonly value: number; readonly step: number }>> = {
  ok: { value: 1, step: 0.02 },
  refused: { value: 0.4, step: 0.01 },
  timeout: { value: 0.2, step: 0.05 },
  oversize: { value: 0, step: 0.3 },
  malformed: { value: 0, step: 0.3 },
  'wrong-bytes': { value: 0, step: 0.5 },
};
const CHALLENGE_PASSED = { value: 1, step: 0.1 };
const CHALLENGE_FAILED = { value: 0, step: 0.4 };
const MERGE_STEP = 0.05;
/** A model whose loss is this share above our own is as bad as models get; one that is no worse than ours is good. */
const MERGE_SCALE = 0.5;
/** Half of the distance to neutral is forgotten in six hours without events. */
const HALF_LIFE_MS = 6 * 60 * 60 * 1000;
/** Peers remembered; the ones heard of longest ago go first. */
const MAX_PEERS = 10_000;

interface Parts {
  storage: number;
  learning: number;
  interactions: number;
  at: number;
}

const unit = z.number().min(0).max(1);
const snapshotSchema = z.strictObject({
  v: z.literal(1),
  peers: z
    .record(
      z.string().max(128),
      z.strictObject({ storage: unit, learning: unit, interactions: unit, ageMs: z.number().nonnegative() }),
    )
    .refine((peers) => Object.keys(peers).length <= MAX_PEERS, 'too many peers'),
});

/** What one validator thinks of its peers: exponential moving averages from events it saw itself. */
export class ReputationBook {
  readonly #clock: { now(): number };
  readonly #peers = new Map<string, Parts>();

  /** The clock counts milliseconds and never goes back. */
  constructor(clock: { now(): number }) {
    this.#clock = clock;
  }

  challengePassed(peer: string): void {
    this.#move(peer, 'storage', CHALLENGE_PASSED);
  }

  challengeFailed(peer: string): void {
    this.#move(peer, 'storage', CHALLENGE_FAILED);
  }

  /** We merged a peer's model: the probe's loss before and after. Values that are no losses count as harm. */
  mergeEffect(peer: string, lossBefore: number, lossAfter: number): void {
    const usable = Number.isFinite(lossBefore) && Number.isFinite(lossAfter) && lossBefore >= 0 && lossAfter >= 0;
    const gain = usable ? (lossBefore - lossAfter) / Math.max(lossBefore, 1e-9) : Number.NEGATIVE_INFINITY;
    this.#move(peer, 'learning', { value: clamp(1 + gain / MERGE_SCALE), step: MERGE_STEP });
  }

  interaction(peer: string, what: Interaction): void {
    this.#move(peer, 'interactions', INTERACTIONS[what]);
  }

  /** What we think of a peer now; neutral of one we never met. */
  of(peer: string): Reputation {
    const { storage, learning, interactions } = this.#now(peer);
    return { score: scoreOf({ storage, learning, interactions }), storage, learning, interactions };
  }

  all(): ReadonlyMap<string, Reputation> {
    return new Map([...this.#peers.keys()].map((peer) => [peer, this.of(peer)]));
  }

  forget(peer: string): void {
    this.#peers.delete(peer);
  }

  /** As JSON, to be kept over a restart. */
  toJSON(): unknown {
    const now = this.#clock.now();
    const peers = Object.fromEntries(
      [...this.#peers].map(([peer, { storage, learning, interactions, at }]) => [
        peer,
        { storage, learning, interactions, ageMs: Math.max(0, now - at) },
      ]),
    );
    return { v: 1, peers };
  }

  /** From {@link ReputationBook.toJSON}. Throws z.ZodError when the JSON is something else: start with an empty book then. */
  static fromJSON(json: unknown, clock: { now(): number }): ReputationBook {
    const book = new ReputationBook(clock);
    for (const [peer, { ageMs, ...parts }] of Object.entries(snapshotSchema.parse(json).peers))
      book.#peers.set(peer, { ...parts, at: clock.now() - ageMs });
    return book;
  }

  #move(
    peer: string,
    part: 'storage' | 'learning' | 'interactions',
    to: { readonly value: number; readonly step: number },
  ): void {
    const parts = this.#now(peer);
    parts[part] = clamp(parts[part] + to.step * (to.value - parts[part]));
    this.#peers.delete(peer); // a Map keeps the order of insertion: the one heard of last goes to the end
    this.#peers.set(peer, parts);
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= MAX_PEERS) break;
      this.#peers.delete(oldest);
    }
  }

  #now(peer: string): Parts {
    const at = this.#clock.now();
    const parts = this.#peers.get(peer);
    if (parts === undefined) return { storage: NEUTRAL, learning: NEUTRAL, interactions: NEUTRAL, at };
    const kept = 0.5 ** (Math.max(0, at - parts.at) / HALF_LIFE_MS);
    const decay = (value: number): number => NEUTRAL + (value - NEUTRAL) * kept;
    return {
      storage: decay(parts.storage),
      learning: decay(parts.learning),
      interactions: decay(parts.interactions),
      at,
    };
  }
}

/** What many think of one peer: the median of each part, so that fewer than half of the reporters cannot move it where they like. */
export function aggregate(reports: readonly Omit<Reputation, 'score'>[]): Reputation {
  const parts = {
    storage: median(reports.map(({ storage }) => storage)),
    learning: median(reports.map(({ learning }) => learning)),
    interactions: median(reports.map(({ interactions }) => interactions)),
  };
  return { score: scoreOf(parts), ...parts };
}

function scoreOf(parts: Omit<Reputation, 'score'>): number {
  const { storage, learning, interactions } = PART_WEIGHTS;
  return clamp(
    clamp(parts.storage) ** storage * clamp(parts.learning) ** learning * clamp(parts.interactions) ** interactions,
  );
}

function median(values: readonly number[]): number {
  const sorted = values.map(clamp).sort((a, b) => a - b);
  if (sorted.length === 0) return NEUTRAL;
  const low = sorted[Math.floor((sorted.length - 1) / 2)] ?? NEUTRAL;
  const high = sorted[Math.floor(sorted.length / 2)] ?? NEUTRAL;
  return (low + high) / 2;
}

/** Within 0..1; what is no number is the worst. */
function clamp(value: number): number {
  return Number.isNaN(value) ? 0 : Math.min(1, Math.max(0, value));
}
