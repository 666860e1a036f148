import type { Learner, MergeOutcome } from '../learning/index.ts';

/** What the loop needs of the world. */
export interface ExchangeLoopParts {
  readonly learner: Pick<Learner, 'message' | 'merge' | 'update'>;
  /** Mean wait between two exchanges (the algorithm's delta-g). */
  readonly waitMilliseconds: number;
  /** Connected validators of the network, by peer id. */
  readonly neighbours: () => readonly string[];
  /** Sends a compressed model; resolves when the neighbour has taken it, rejects when it could not. */
  readonly send: (peer: string, message: Uint8Array, signal: AbortSignal) => Promise<void>;
  /** 0 <= x < 1. */
  readonly random: () => number;
  /** Resolves after so many milliseconds, rejects when aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  readonly on: {
    readonly sent: (peer: string, error?: unknown) => void;
    readonly merged: (peer: string, outcome: MergeOutcome) => void;
    readonly updated: (result: { readonly age: number; readonly loss: number; readonly milliseconds: number }) => void;
  };
}

/**
 * Gossip learning, Algorithm 1 (Hegedus, Danner, Jelasity 2021): wait, send the own model to one random neighbour,
 * merge what came in, update on the own data; for ever. Nobody waits for anybody: a send that takes long overlaps
 * the next rounds, and of each neighbour only the newest model is kept until it is merged.
 */
export class ExchangeLoop {
  readonly #parts: ExchangeLoopParts;
  readonly #inbox = new Map<string, Uint8Array>();
  readonly #sending = new Set<string>();

  constructor(parts: ExchangeLoopParts) {
    this.#parts = parts;
  }

  /** Takes a neighbour's model for the next round; an older one of the same neighbour that still waits is dropped. */
  receive(from: string, message: Uint8Array): void {
    this.#inbox.set(from, message);
  }

  /** Runs until aborted. Rejects when the learner stops. */
  async run(signal: AbortSignal): Promise<void> {
    const { waitMilliseconds, random, sleep } = this.#parts;
    while (!signal.aborted) {
      // Half to one and a half of the wait, so that validators that started together do not stay in step.
      await sleep(waitMilliseconds * (0.5 + random()), signal).catch(() => undefined);
      if (signal.aborted) return;
      await this.round(signal);
    }
  }

  /** One exchange: send, merge, update. */
  async round(signal: AbortSignal): Promise<void> {
    await this.#send(signal);
    await this.#merge();
    const { learner, monotonic, on } = this.#parts;
    const started = monotonic();
    const { age, loss } = await learner.update();
    on.updated({ age, loss, milliseconds: monotonic() - started });
  }

  async #send(signal: AbortSignal): Promise<void> {
    const { neighbours, random, learner, send, on } = this.#parts;
    const free = neighbours().filter((peer) => !this.#sending.has(peer));
    const peer = free[Math.floor(random() * free.length)];
    if (peer === undefined) return;
    const message = await learner.message();
    this.#sending.add(peer);
    void send(peer, message, signal)
      .then(
        () => on.sent(peer),
        (error: unknown) => on.sent(peer, error),
      )
      .finally(() => this.#sending.delete(peer));
  }

  async #merge(): Promise<void> {
    const waiting = [...this.#inbox];
    this.#inbox.clear();
    for (const [peer, message] of waiting) {
      this.#parts.on.merged(peer, await this.#parts.learner.merge(message));
    }
  }
}
