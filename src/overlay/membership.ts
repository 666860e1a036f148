import type { ConnectionGater, PeerId } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { type Charter, isCurrent, type Member } from './charter.ts';

/**
 * Who is let in: exactly the charter's members in force. Before a charter is known, nobody.
 *
 * The gater asks right after the Noise handshake, the first moment at which the other's identity is proven and the
 * last one before any protocol is negotiated.
 */
export class Membership {
  readonly #now: () => number;
  #members: ReadonlyMap<string, Member> = new Map();
  /** The charter's addresses of each member, in normal form and without the peer id at the end. */
  #homes: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  /** Addresses that this peer was told to dial, over and above the charter's. */
  readonly #errands = new Map<string, number>();

  /** @param now unix milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  obey(charter: Charter): void {
    this.#members = new Map(charter.members.map((m) => [m.peerId, m]));
    this.#homes = new Map(
      charter.members.map((m) => [m.peerId, new Set(m.addresses.map((a) => withoutPeer(multiaddr(a))))]),
    );
  }

  /** The member in force of that peer id. */
  current(peerId: string): Member | undefined {
    const member = this.#members.get(peerId);
    return member !== undefined && isCurrent(member, this.#now() / 1000) ? member : undefined;
  }

  /** All members in force. */
  all(): readonly Member[] {
    return [...this.#members.values()].filter((m) => isCurrent(m, this.#now() / 1000));
  }

  /** Where a member in force can be dialed, as the charter says. */
  addressesOf(peerId: string): Multiaddr[] {
    return (this.current(peerId)?.addresses ?? []).map((address) => multiaddr(address));
  }

  /** Lets `address` be dialed while `f` runs. Who answers must be a member all the same. */
  async onErrand<T>(address: Multiaddr, f: () => Promise<T>): Promise<T> {
    const key = address.toString();
    this.#errands.set(key, (this.#errands.get(key) ?? 0) + 1);
    try {
      return await f();
    } finally {
      const left = (this.#errands.get(key) ?? 1) - 1;
      if (left > 0) this.#errands.set(key, left);
      else this.#errands.delete(key);
    }
  }

  /** The rules in libp2p's terms. */
  gater(): ConnectionGater {
    const denyStranger = (peer: PeerId) => this.current(peer.toString()) === undefined;
    return {
      denyDialPeer: denyStranger,
      denyDialMultiaddr: (address) => !this.#mayDial(address),
      denyOutboundConnection: denyStranger,
      denyInboundEncryptedConnection: denyStranger,
      denyOutboundEncryptedConnection: denyStranger,
      // Again after the muxer is chosen: a charter may have come meanwhile.
      denyInboundUpgradedConnection: denyStranger,
      denyOutboundUpgradedConnection: denyStranger,
      denyInboundRelayReservation: () => true,
      denyOutboundRelayedConnection: () => true,
      denyInboundRelayedConnection: () => true,
      // Addresses come from the charter alone: no peer can make others knock at a door of its choice.
      filterMultiaddrForPeer: (peer, address) => this.#isHome(peer.toString(), address),
    };
  }

  #mayDial(address: Multiaddr): boolean {
    if (this.#errands.has(address.toString())) return true;
    const peer = peerOf(address);
    return peer !== undefined && this.#isHome(peer, address);
  }

  #isHome(peer: string, address: Multiaddr): boolean {
    return this.current(peer) !== undefined && (this.#homes.get(peer)?.has(withoutPeer(address)) ?? false);
  }
}

/** The peer id at the end of an address, if it names one. */
export function peerOf(address: Multiaddr): string | undefined {
  return address.getComponents().findLast((c) => c.name === 'p2p')?.value;
}

function withoutPeer(address: Multiaddr): string {
  return address.toString().replace(/\/p2p\/[^/]+$/, '');
}
