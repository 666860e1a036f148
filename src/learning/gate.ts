/** Received losses that are remembered. */
const MEMORY = 32;
/** Before so many were seen, only the absolute bound holds. */
const ENOUGH = 8;
/** Below this share of the merge, a bad model does no harm: newcomers start untrained and are no attackers. */
const HARMLESS_SHARE = 0.1;
/**
 * How much of the lower half's spread a model may be above the median, and what share of the loss of guessing is always
 * good enough: where validators know different things, and where all know the same.
 */
const WIDE = { spreads: 4, always: 0.1 } as const;
const NARROW = { spreads: 0.5, always: 0 } as const;

/** How many times one's own loss, or the lowest tenth, at most: who sends more than all others is the median. */
const TIMES = 6;

/**
 * Decides by its loss on the shared probe whether a received model may be merged.
 * - Never: worse than twice the loss of guessing and than twice one's own.
 * - Where it would count: what is no worse than one's own, or not far above the median of what was lately received; how
 *   far is told by the better half of it: median + 4 (median - lowest tenth), within six times one's own. A tenth of the
 *   loss of guessing is always good enough.
 * The median and what is below it are honest for as long as fewer than half of what is received wants to do harm, since
 * harm shows as a greater loss. Where all know the same, honest losses lie so close together that a model trained for two
 * steps on wrong labels stands out: there the gate is narrow, median + (median - lowest tenth) / 2 and no exception.
 */
export class ProbeGate {
  readonly #guessing: number;
  readonly #width: typeof WIDE | typeof NARROW;
  readonly #received: number[] = [];

  /**
   * @param guessing loss of who knows nothing: ln(classes) for cross-entropy
   * @param alike whether all learn from data of the same kind
   */
  constructor(guessing: number, alike = false) {
    this.#guessing = guessing;
    this.#width = alike ? NARROW : WIDE;
  }

  /**
   * Greatest loss that is accepted now.
   * @param isNeighbours whether it is a neighbour's: others learn from data of another kind
   */
  limit(ownLoss: number, share: number, isNeighbours = true): number {
    const absolute = Math.max(2 * this.#guessing, 2 * ownLoss);
    if (share < HARMLESS_SHARE || this.#received.length < ENOUGH) return absolute;
    const sorted = this.#received.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    const lowest = sorted[Math.floor(sorted.length / 10)] ?? 0;
    const { spreads, always } = isNeighbours ? this.#width : WIDE;
    const usual = Math.min(median + spreads * (median - lowest), TIMES * Math.max(ownLoss, lowest));
    return Math.min(absolute, Math.max(always * this.#guessing, ownLoss, usual));
  }

  /**
   * Remembers a model's loss, whatever became of the model: what is refused tells of the others too. What is worse than
   * twice guessing tells of nobody, and who sends it again and again must not become the median.
   */
  remember(loss: number, share: number): void {
    if (share < HARMLESS_SHARE || !(loss <= 2 * this.#guessing)) return;
    this.#received.push(loss);
    if (this.#received.length > MEMORY) this.#received.shift();
  }
}
