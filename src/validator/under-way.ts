/**
 * Heights of a model whose blocks are kept at a time. A height that nobody certifies is skipped, and nothing says so
 * here: the oldest make room. The certifier has fewer open at once.
 */
const HEIGHTS = 8;

/** Blocks of versions that are built, scored or fetched now and named by no certificate yet, by model and age. */
export class UnderWay {
  /** model -> age -> blocks; the height that was touched last comes last. */
  readonly #models = new Map<string, Map<number, ReadonlySet<string>>>();

  /** These blocks stay until the height is decided, or several others were begun since. */
  protect(model: string, age: number, blocks: readonly string[]): void {
    const heights = this.#models.get(model) ?? new Map<number, ReadonlySet<string>>();
    const known = heights.get(age) ?? [];
    heights.delete(age);
    heights.set(age, new Set([...known, ...blocks]));
    for (const old of heights.keys()) if (heights.size > HEIGHTS) heights.delete(old);
    this.#models.set(model, heights);
  }

  /** A version of this age is certified: it and what is older need no protection any more. */
  decided(model: string, age: number): void {
    const heights = this.#models.get(model);
    for (const height of heights?.keys() ?? []) if (height <= age) heights?.delete(height);
    if (heights?.size === 0) this.#models.delete(model);
  }

  /** Forgets models that the charter no longer has. */
  keepOnly(models: ReadonlySet<string>): void {
    for (const model of this.#models.keys()) if (!models.has(model)) this.#models.delete(model);
  }

  blocks(): ReadonlySet<string> {
    return new Set([...this.#models.values()].flatMap((heights) => [...heights.values()].flatMap((set) => [...set])));
  }
}
