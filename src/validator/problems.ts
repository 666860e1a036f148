import { REASONS } from '../api/index.ts';
import { isVolumeFull } from '../disk/index.ts';
import type { ProblemReport } from '../overlay/index.ts';

/** What is wrong with this validator, by where it was seen; a later success at the same place clears it. */
export class Problems {
  readonly #by = new Map<string, ProblemReport>();

  set(where: string, problem: ProblemReport): void {
    this.#by.set(where, problem);
  }

  clear(where: string): void {
    this.#by.delete(where);
  }

  list(): readonly ProblemReport[] {
    const distinct = new Map([...this.#by.values()].map((problem) => [problem.reason, problem]));
    return [...distinct.values()];
  }

  /**
   * Does something that writes to the volume. A full volume becomes a problem that people see instead of an error;
   * the next write that succeeds clears it. Other errors pass through.
   */
  async writing(where: string, write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      this.clear(where);
      return true;
    } catch (error) {
      if (!isVolumeFull(error)) throw error;
      this.set(where, { reason: REASONS.VolumeFull, message: error.message.slice(0, 500) });
      return false;
    }
  }
}
