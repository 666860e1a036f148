import type { Connection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import type { Logger } from 'pino';
import type { Member } from './charter.ts';
import type { Greeter } from './greeter.ts';
import { type Membership, peerOf } from './membership.ts';
import type { OverlayNode } from './node.ts';
import { wordsOf } from './words.ts';

export interface ReachInit {
  readonly self: string;
  readonly membership: Membership;
  readonly greeter: Greeter;
  /** The running node. @throws when there is none */
  readonly node: () => OverlayNode;
  readonly log: Logger;
}

/** Gets from a name to a greeted connection. */
export class Reach {
  readonly #init: ReachInit;
  /** What was put into the address book, by peer id. */
  readonly #remembered = new Map<string, string>();

  constructor(init: ReachInit) {
    this.#init = init;
  }

  /** A greeted connection to the member of that peer id, dialed where there is none. */
  async peer(peer: string, signal: AbortSignal): Promise<Connection> {
    const { membership, greeter } = this.#init;
    const member = membership.current(peer);
    if (member === undefined) throw new Error('it is no member of the charter');
    return greeter.connectionTo(peer) ?? (await this.member(member, signal));
  }

  /** Dials a member at its charter addresses and waits for the hello. */
  async member(member: Member, signal?: AbortSignal): Promise<Connection> {
    const { node, greeter } = this.#init;
    if (member.addresses.length === 0) throw new Error('it is not connected and has no address to dial');
    const targets = member.addresses.map((a) => withPeer(multiaddr(a), member.peerId));
    const connection = await node().dial(targets, signal === undefined ? {} : { signal });
    await greeter.untilGreeted(connection);
    return connection;
  }

  /** Dials an address that no charter names; who answers must be a member. */
  async address(address: string): Promise<void> {
    const { node, greeter, membership } = this.#init;
    const target = multiaddr(address);
    const known = peerOf(target);
    if (known !== undefined && greeter.connectionTo(known) !== undefined) return;
    await greeter.untilGreeted(await membership.onErrand(target, () => node().dial(target)));
  }

  /**
   * libp2p's address book, from which the DHT dials, follows the charter. What is in it already is not put in again.
   * @param anew all of it, before libp2p forgets it for its age
   */
  async rememberAddresses({ anew = false }: { readonly anew?: boolean } = {}): Promise<void> {
    const { self, node, membership, log } = this.#init;
    if (anew) this.#remembered.clear();
    const members = membership.all();
    for (const { peerId, addresses } of members) {
      const text = addresses.join(' ');
      if (peerId === self || this.#remembered.get(peerId) === text) continue;
      this.#remembered.set(peerId, text);
      try {
        const multiaddrs = addresses.map((a) => multiaddr(a));
        await node().peerStore.patch(peerIdFromString(peerId), { multiaddrs });
      } catch (error) {
        this.#remembered.delete(peerId);
        log.debug({ peer: peerId, reason: wordsOf(error) }, 'address book not updated');
      }
    }
    if (this.#remembered.size <= members.length) return;
    const present = new Set(members.map(({ peerId }) => peerId));
    for (const peer of this.#remembered.keys()) if (!present.has(peer)) this.#remembered.delete(peer);
  }
}

function withPeer(address: Multiaddr, peer: string): Multiaddr {
  return peerOf(address) === undefined ? address.encapsulate(`/p2p/${peer}`) : address;
}
