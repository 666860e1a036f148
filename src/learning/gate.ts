/** Received losses that are remembered. */
const MEMORY = 32;
/** Before so many were seen, only the absolute bound holds. */
const ENOUGH = 16;
/** Below this share of the merge, a bad model does no harm: newcomers start untrained and are no attackers. */
const HARMLESS_SHARE = 0.1;

/**
 * Decides by its loss on the shared probe whether a received model may be merged.
 * - Never: worse than twice the loss of guessing (ln classes) and than twice one's own.
 * - Where it would count: not worse than six times the upper quartile of what was lately accepted, nor six times
 *   one's own loss; a tenth of the loss of guessing is always good enough.
 * Honest models, right after an update on two labels only, stay below both bounds (bench/learning.ts counts refusals);
 * flipped, scaled, noisy and random weights do not, once the fleet has learned something. Attackers that are more than
 * a quarter of what is accepted can move the quartile: clipping and reputation stand behind this gate.
 */
export class ProbeGate {
  readonly #guessing: number;
  readonly #accepted: number[] = [];

  /** @param guessing loss of who knows nothing: ln(classes) for cross-entropy */
  constructor(guessing: number) {
    this.#guessing = guessing;
  }

  /** Greatest loss that is accepted now. */
  limit(ownLoss: number, share: number): number {
    const absolute = Math.max(2 * this.#guessing, 2 * ownLoss);
    if (share < HARMLESS_SHARE || this.#accepted.length < ENOUGH) return absolute;
    const sorted = [...this.#accepted].sort((a, b) => a - b);
    const upperQuartile = sorted[Math.floor(sorted.length * 0.75)] ?? 0;
    return Math.min(absolute, Math.max(0.1 * this.#guessing, 6 * upperQuartile, 6 * ownLoss));
  }

  /** Remembers an accepted model's loss. */
  accept(loss: number, share: number): void {
    if (share < HARMLESS_SHARE) return;
    this.#accepted.push(loss);
    if (this.#accepted.length > MEMORY) this.#accepted.shift();
  }
}
