import { type Clock, systemClock } from '../../src/kube/index.ts';

/** The machine's clock, whose wall time jumps when told to; the monotonic one goes on evenly. */
export class JumpingClock implements Clock {
  #offsetMs = 0;
  readonly monotonic = systemClock.monotonic;
  readonly after = systemClock.after;

  now(): number {
    return systemClock.now() + this.#offsetMs;
  }

  /** The wall clock is from now on so far from the true time. */
  stand(offsetMs: number): void {
    this.#offsetMs = offsetMs;
  }
}
