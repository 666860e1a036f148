import type { Logger } from 'pino';
import type { Charter } from './charter.ts';
import type { CharterStore } from './charter-store.ts';
import { type Head, replaces } from './hello.ts';
import { cidOf, openCharter, type SignedCharter } from './signed-charter.ts';
import { wordsOf } from './words.ts';

/** The charter that a peer obeys. */
export interface Obeyed {
  readonly charter: Charter;
  readonly signed: SignedCharter;
  readonly head: Head;
}

export interface CharterKeeperInit {
  readonly network: string;
  readonly authority: string;
  readonly store: CharterStore;
  readonly log: Logger;
  /** Called once for each charter that comes into force, in order. */
  readonly apply: (obeyed: Obeyed) => void;
}

/**
 * Holds the newest charter seen. Guarantee: what is in force never goes back to an older number, also over restarts as
 * long as the store keeps its word. A charter is applied even when it cannot be stored (a full disk must not keep a
 * removed member in); it is stored again at the next `retrySave`.
 */
export class CharterKeeper {
  readonly #init: CharterKeeperInit;
  #obeyed: Obeyed | undefined;
  #unsaved = false;
  /** One at a time: verifying is asynchronous, and two charters may come at once. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(init: CharterKeeperInit) {
    this.#init = init;
  }

  get obeyed(): Obeyed | undefined {
    return this.#obeyed;
  }

  /** Takes up the stored charter, if it is there and still stands up to verification. */
  async load(): Promise<void> {
    const { store, log } = this.#init;
    const signed = await store.load();
    if (signed === undefined) return;
    try {
      await this.#inTurn(() => this.#take(signed, false));
    } catch (error) {
      log.warn({ reason: wordsOf(error) }, 'stored charter is refused, waiting for one from the operator');
    }
  }

  /** @throws InvalidCharterError */
  async adopt(signed: SignedCharter): Promise<'adopted' | 'known' | 'older'> {
    return this.#inTurn(() => this.#take(signed, true));
  }

  async retrySave(): Promise<void> {
    if (this.#unsaved) await this.#inTurn(() => this.#save());
  }

  async #take(signed: SignedCharter, save: boolean): Promise<'adopted' | 'known' | 'older'> {
    const { network, authority, apply, log } = this.#init;
    const charter = await openCharter(signed, { authority, network });
    const head = { seq: charter.seq, charter: (await cidOf(signed.root)).toString() };
    const present = this.#obeyed?.head;
    if (present?.charter === head.charter) return 'known';
    if (!replaces(head, present)) return 'older';
    if (present?.seq === head.seq) {
      log.warn(
        { seq: head.seq, kept: head.charter, dropped: present.charter },
        'the authority signed two charters with one number',
      );
    }
    this.#obeyed = { charter, signed, head };
    this.#unsaved = save;
    apply(this.#obeyed);
    if (save) await this.#save();
    return 'adopted';
  }

  async #save(): Promise<void> {
    const { store, log } = this.#init;
    if (this.#obeyed === undefined) return;
    try {
      await store.save(this.#obeyed.signed);
      this.#unsaved = false;
    } catch (error) {
      log.error(
        { seq: this.#obeyed.head.seq, reason: wordsOf(error) },
        'charter is in force but could not be stored, trying again; is the volume full?',
      );
    }
  }

  #inTurn<T>(f: () => Promise<T>): Promise<T> {
    const mine = this.#queue.then(f);
    this.#queue = mine.catch(() => undefined);
    return mine;
  }
}
