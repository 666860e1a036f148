import type { Logger } from 'pino';
import { type Head, replaces } from './hello.ts';
import { wordsOf } from './words.ts';

/** So many peers are asked for one charter at a time: one that stalls must not keep a removal back. */
const maxPulls = 3;

export interface CharterSyncInit {
  /** What is in force here. */
  readonly head: () => Head | undefined;
  /** Fetches the charter of that peer and adopts it. */
  readonly pull: (peer: string) => Promise<void>;
  readonly log: Logger;
}

/**
 * Follows which charter every connected peer obeys, and pulls while somebody has a newer one. A peer whose pull failed
 * is asked again only when it says hello again.
 */
export class CharterSync {
  readonly #init: CharterSyncInit;
  readonly #heads = new Map<string, Head>();
  readonly #pulling = new Set<string>();

  constructor(init: CharterSyncInit) {
    this.#init = init;
  }

  /** A peer said which charter it obeys. */
  heard(peer: string, head: Head): void {
    this.#heads.set(peer, head);
    this.#look();
  }

  forget(peer: string): void {
    this.#heads.delete(peer);
  }

  #look(): void {
    for (const [peer, head] of this.#heads) {
      if (this.#pulling.size >= maxPulls) return;
      if (!this.#pulling.has(peer) && replaces(head, this.#init.head())) void this.#pull(peer, head);
    }
  }

  async #pull(peer: string, head: Head): Promise<void> {
    const { pull, log } = this.#init;
    this.#pulling.add(peer);
    try {
      await pull(peer);
    } catch (error) {
      log.info({ peer, seq: head.seq, reason: wordsOf(error) }, 'newer charter could not be had from a peer');
    } finally {
      this.#pulling.delete(peer);
      // Asked once for what it announced: a peer that promises more than it gives is not asked in a loop.
      if (this.#heads.get(peer) === head) this.#heads.delete(peer);
    }
    this.#look();
  }
}
