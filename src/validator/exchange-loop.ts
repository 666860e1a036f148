import type { Learner, MergeOutcome, Pace, Routing, View } from '../learning/index.ts';

/** What the loop needs of the world. */
export interface ExchangeLoopParts {
  readonly learner: Pick<Learner, 'message' | 'merge' | 'update'>;
  /** Whom to send to. */
  readonly routing: Routing;
  /** How often. */
  readonly pace: Pace;
  /** Mean wait between two exchanges (the algorithm's delta-g). */
  readonly waitMilliseconds: number;
  /** All validators of the network, this one included, in an order that all share; the same array until they change. */
  readonly members: () => readonly string[];
  /** Connected validators of the network, by peer id. */
  readonly neighbours: () => readonly string[];
  /** 0..1: how far to follow a peer. */
  readonly trust: (peer: string) => number;
  /** Sends a compressed model; resolves when the neighbour has taken it, rejects when it could not. */
  readonly send: (peer: string, message: Uint8Array, signal: AbortSignal) => Promise<void>;
  /** While it says true nothing is trained or sent; what comes in is merged. Never, where it is left out. */
  readonly rests?: (() => boolean) | undefined;
  /** 0 <= x < 1. */
  readonly random: () => number;
  /** Resolves after so many milliseconds, rejects when aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Milliseconds, never going back. */
  readonly monotonic: () => number;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly on: {
    readonly sent: (peer: string, bytes: number, error?: unknown) => void;
    readonly merged: (peer: string, bytes: number, outcome: MergeOutcome) => void;
    readonly updated: (result: { readonly age: number; readonly loss: number; readonly milliseconds: number }) => void;
  };
}

/**
 * Gossip learning, Algorithm 1 (Hegedus, Danner, Jelasity 2021): wait, merge what came in, update on the own data, send
 * what is known now; for ever. Whom to send to is the routing's, how often the pace's. Nobody waits for anybody: a send
 * that takes long overlaps the next rounds, and of each neighbour only the newest model is kept until it is merged.
 */
export class ExchangeLoop {
  readonly #parts: ExchangeLoopParts;
  readonly #inbox = new Map<string, Uint8Array>();
  readonly #sending = new Set<string>();
  /** Ends the wait early where the pace reacts to what comes in. */
  #arrived = new AbortController();

  constructor(parts: ExchangeLoopParts) {
    this.#parts = parts;
  }

  /** Takes a neighbour's model for the next round; an older one of the same neighbour that still waits is dropped. */
  receive(from: string, message: Uint8Array): void {
    this.#inbox.set(from, message);
    if (this.#parts.pace.reacts) this.#arrived.abort();
  }

  /** Runs until aborted. Rejects when the learner stops. */
  async run(signal: AbortSignal): Promise<void> {
    const { waitMilliseconds, random } = this.#parts;
    while (!signal.aborted) {
      // Half to one and a half of the wait, so that validators that started together do not stay in step.
      await this.#waitFor(waitMilliseconds * (0.5 + random()), signal);
      if (signal.aborted) return;
      await this.round(signal);
    }
  }

  /** One exchange at the end of a wait: merge, update, send. */
  async round(signal: AbortSignal): Promise<void> {
    await this.#exchange(this.#parts.pace.proactive(), signal);
  }

  /** Meanwhile answers what comes in, where the pace reacts. */
  async #waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
    const { sleep, monotonic, pace } = this.#parts;
    const due = monotonic() + milliseconds;
    for (let rest = milliseconds; rest > 0 && !signal.aborted; rest = due - monotonic()) {
      const until = pace.reacts ? AbortSignal.any([signal, this.#arrived.signal]) : signal;
      await sleep(rest, until).catch(() => undefined);
      if (!until.aborted || signal.aborted) return;
      this.#arrived = new AbortController();
      await this.#exchange(0, signal);
    }
  }

  /** @param proactive messages to send whatever came in */
  async #exchange(proactive: number, signal: AbortSignal): Promise<void> {
    const { learner, monotonic, on } = this.#parts;
    const messages = proactive + (await this.#merge());
    if (this.#parts.rests?.() === true) return;
    const started = monotonic();
    const { age, loss } = await learner.update();
    on.updated({ age, loss, milliseconds: monotonic() - started });
    for (let nth = 0; nth < messages; nth++) await this.#send(signal);
  }

  /** Gives the number of messages that the pace sends because of what came in. */
  async #merge(): Promise<number> {
    const { routing, pace, learner, trust, on } = this.#parts;
    const waiting = [...this.#inbox];
    this.#inbox.clear();
    let messages = 0;
    for (const [peer, message] of waiting) {
      const relation = routing.relation(peer, this.#view());
      const outcome = await learner.merge(message, { relation, trust: trust(peer) });
      routing.heard(peer, !Number.isNaN(outcome.lossAfter), this.#parts.monotonic());
      on.merged(peer, message.byteLength, outcome);
      if (outcome.accepted) messages += pace.reactive(outcome.isNews);
    }
    return messages;
  }

  async #send(signal: AbortSignal): Promise<void> {
    const { routing, learner } = this.#parts;
    for (const { way, to } of routing.next(this.#view())) {
      const message = await learner.message(way);
      if (message === undefined) continue;
      for (const peer of to) this.#sendTo(peer, message, signal);
    }
  }

  #sendTo(peer: string, message: Uint8Array, signal: AbortSignal): void {
    const { send, on } = this.#parts;
    this.#sending.add(peer);
    void send(peer, message, signal)
      .then(
        () => on.sent(peer, message.byteLength),
        (error: unknown) => on.sent(peer, message.byteLength, error),
      )
      .finally(() => this.#sending.delete(peer));
  }

  #view(): View {
    const { members, monotonic, neighbours, now } = this.#parts;
    return {
      members: members(),
      neighbours: neighbours(),
      isFree: (peer) => !this.#sending.has(peer),
      now: monotonic(),
      time: now(),
    };
  }
}
