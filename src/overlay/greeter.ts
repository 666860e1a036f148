import type { Connection } from '@libp2p/interface';
import type { Logger } from 'pino';
import { ask } from './ask.ts';
import { decodeHello, encodeHello, type Head, type Hello, mismatch, replaces, wireVersions } from './hello.ts';
import { clockSkewWarningMs, helloTimeoutMs, maxHelloBytes } from './limits.ts';
import { Refusal } from './request-error.ts';
import type { Interaction } from './types.ts';
import { errorOf, wordsOf } from './words.ts';

export const helloProtocol = '/murmuration/hello/1.0.0';

/** Both sides may dial at once, and a restarted peer comes back before its old connection is noticed dead; no more. */
const maxConnectionsPerPeer = 4;

/** Time for a refused peer to read why, before its connection is cut. */
const farewellMs = 1000;

export interface GreeterInit {
  readonly network: string;
  /** The charter in force here; undefined: none yet. */
  readonly head: () => Head | undefined;
  readonly isMember: (peer: string) => boolean;
  /** A peer said which charter it obeys. */
  readonly heard: (peer: string, head: Head) => void;
  /** The set of greeted peers has changed. */
  readonly changed: () => void;
  /** The last connection to a peer is gone. */
  readonly lost: (peer: string) => void;
  readonly onInteraction: (peer: string, event: Interaction) => void;
  readonly log: Logger;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/**
 * One connection, from open to closed:
 * - `new`: open, no hello yet. The side that dialed says it, the other side waits for it, both with a deadline.
 * - `greeted`: same network, common version. Counts as a peer.
 * - gone: closed by either side; also what every failure to greet ends in.
 */
interface Guest {
  state: 'new' | 'greeted';
  readonly greeted: PromiseWithResolvers<void>;
  readonly timer: NodeJS.Timeout;
}

/** Says hello on every connection, and again to everyone when the charter has changed. */
export class Greeter {
  readonly #init: GreeterInit;
  readonly #guests = new Map<Connection, Guest>();

  constructor(init: GreeterInit) {
    this.#init = init;
  }

  /** Peers with a greeted connection. */
  peers(): ReadonlySet<string> {
    return new Set(this.#connections('greeted').map((c) => c.remotePeer.toString()));
  }

  /** A connection to ask over: the newest greeted one, because an older one may lead to a pod that is gone. */
  connectionTo(peer: string): Connection | undefined {
    return this.#connections('greeted').findLast((c) => c.remotePeer.toString() === peer);
  }

  opened(connection: Connection): void {
    const guest: Guest = {
      state: 'new',
      greeted: Promise.withResolvers<void>(),
      timer: setTimeout(() => connection.abort(new Error('no hello in time')), helloTimeoutMs),
    };
    guest.greeted.promise.catch(() => undefined);
    this.#guests.set(connection, guest);
    const [oldest, ...others] = [...this.#guests.keys()].filter((c) => c.remotePeer.equals(connection.remotePeer));
    if (others.length >= maxConnectionsPerPeer) oldest?.abort(new Error('too many connections of one peer'));
    if (connection.direction === 'outbound') {
      this.#sayHello(connection).catch((error: unknown) => {
        const peer = connection.remotePeer.toString();
        this.#init.log.debug({ peer, reason: wordsOf(error) }, 'no hello with a peer, hanging up');
        guest.greeted.reject(error);
        connection.abort(errorOf(error));
      });
    }
  }

  closed(connection: Connection): void {
    const guest = this.#guests.get(connection);
    if (guest === undefined) return;
    this.#guests.delete(connection);
    clearTimeout(guest.timer);
    guest.greeted.reject(new Error('the peer closed the connection (is this peer in its charter?)'));
    const peer = connection.remotePeer.toString();
    if (![...this.#guests.keys()].some((c) => c.remotePeer.toString() === peer)) this.#init.lost(peer);
    if (guest.state === 'greeted') this.#init.changed();
  }

  /** Settles when the connection is greeted, or closed without. */
  async untilGreeted(connection: Connection): Promise<void> {
    const guest = this.#guests.get(connection);
    if (guest === undefined) throw new Error('the connection is closed');
    await guest.greeted.promise;
  }

  /** Says hello again to everyone who was greeted: they pull a newer charter at once. */
  announce(): void {
    const peers = this.peers();
    for (const peer of peers) {
      const connection = this.connectionTo(peer);
      if (connection === undefined) continue;
      this.#sayHello(connection).catch((error: unknown) => {
        this.#init.log.debug({ peer, reason: wordsOf(error) }, 'charter could not be announced to a peer');
      });
    }
  }

  /** Hangs up on everyone who is no member any more, at once and without asking. */
  cutOff(): readonly string[] {
    const gone = [...this.#guests.keys()].filter((c) => !this.#init.isMember(c.remotePeer.toString()));
    for (const connection of gone) connection.abort(new Error('no member of the charter any more'));
    return [...new Set(gone.map((c) => c.remotePeer.toString()))];
  }

  /** Answers the hello protocol. */
  async answer(request: Uint8Array, connection: Connection): Promise<Uint8Array> {
    const peer = connection.remotePeer.toString();
    const mine = this.#hello();
    let theirs: Hello;
    try {
      theirs = decodeHello(request);
    } catch (error) {
      this.#init.onInteraction(peer, 'malformed');
      this.#letGo(connection);
      throw new Refusal('malformed', wordsOf(error));
    }
    const why = mismatch(mine, theirs);
    if (why !== undefined) {
      this.#letGo(connection);
      throw new Refusal(why.code, why.message);
    }
    this.#welcome(connection, theirs);
    return encodeHello(mine);
  }

  async #sayHello(connection: Connection): Promise<void> {
    const { head, onInteraction } = this.#init;
    const peer = connection.remotePeer.toString();
    const mine = this.#hello();
    const reply = await ask({
      peer,
      protocol: helloProtocol,
      bytes: encodeHello(mine),
      options: { timeoutMs: helloTimeoutMs, maxReplyBytes: maxHelloBytes },
      connection: async () => connection,
      onInteraction: (event) => onInteraction(peer, event),
    });
    const theirs = decodeHello(reply);
    const why = mismatch(mine, theirs);
    if (why !== undefined) throw new Error(why.message);
    this.#welcome(connection, theirs);
    // A charter came while the hello was on its way: the peer was not yet among those who were told.
    const now = head();
    if (now !== undefined && replaces(now, mine) && replaces(now, theirs)) await this.#sayHello(connection);
  }

  #welcome(connection: Connection, theirs: Hello): void {
    const { heard, changed, clock, log } = this.#init;
    const guest = this.#guests.get(connection);
    if (guest === undefined) return;
    const peer = connection.remotePeer.toString();
    if (guest.state === 'new') {
      guest.state = 'greeted';
      clearTimeout(guest.timer);
      guest.greeted.resolve();
      const skewMs = theirs.clock - clock();
      if (Math.abs(skewMs) > clockSkewWarningMs)
        log.warn({ peer, skewMs }, "a peer's clock differs, check NTP on its node");
      changed();
    }
    heard(peer, { seq: theirs.seq, charter: theirs.charter });
  }

  #letGo(connection: Connection): void {
    setTimeout(() => connection.abort(new Error('no common ground')), farewellMs).unref();
  }

  #hello(): Hello {
    const { network, head, clock } = this.#init;
    const mine = head();
    // Without a charter there is no member, so nobody to say hello to.
    if (mine === undefined) throw new Error('no charter is known yet');
    return { versions: wireVersions, network, seq: mine.seq, charter: mine.charter, clock: clock() };
  }

  #connections(state: Guest['state']): readonly Connection[] {
    return [...this.#guests].filter(([c, g]) => g.state === state && c.status === 'open').map(([c]) => c);
  }
}
