import type { Snapshot } from './snapshot.ts';

/** What the cluster has to look like after each step: known as soon as the undisturbed replay has come there. */
export class Milestones {
  readonly #all = new Map<number, PromiseWithResolvers<Snapshot>>();
  #end: Error | undefined;

  /** The undisturbed replay has settled after this step, from 0. */
  reach(step: number, snapshot: Snapshot): void {
    this.#of(step).resolve(snapshot);
  }

  /** The undisturbed replay goes no further; whoever waits for a later step waits in vain. */
  end(): void {
    this.#end = new Error('the undisturbed replay did not come so far');
    for (const { reject } of this.#all.values()) reject(this.#end);
  }

  /** @throws Error when the undisturbed replay ended before */
  at(step: number): Promise<Snapshot> {
    const found = this.#of(step);
    if (this.#end !== undefined) found.reject(this.#end);
    return found.promise;
  }

  #of(step: number): PromiseWithResolvers<Snapshot> {
    const found = this.#all.get(step) ?? Promise.withResolvers<Snapshot>();
    // Nobody may be waiting for it.
    found.promise.catch(() => undefined);
    this.#all.set(step, found);
    return found;
  }
}
