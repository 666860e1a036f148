import type { MultiaddrConnection } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { generateIdentity } from '../../../src/overlay/index.ts';
import { Membership } from '../../../src/overlay/membership.ts';
import { memberOf, network } from './fleet.ts';

const [member, stranger, brief] = await Promise.all([generateIdentity(), generateIdentity(), generateIdentity()]);
const home = '/dns4/flock-0.birds.svc/tcp/4001';
const elsewhere = '/ip4/169.254.169.254/tcp/80';
const noConnection = {} as MultiaddrConnection;

function membership(nowSeconds = 100) {
  const made = new Membership(() => nowSeconds * 1000);
  made.obey({
    network,
    seq: 1,
    issuedAt: 0,
    members: [
      memberOf('flock-0', member.peerId, [home]),
      { ...memberOf('guest', brief.peerId, [home]), notAfter: 100 },
    ],
    models: [],
    placements: [],
  });
  return made;
}

/** What the gater answers for a peer at each stage of a connection. */
function verdicts(made: Membership, peer: string): readonly unknown[] {
  const gater = made.gater();
  const id = peerIdFromString(peer);
  return [
    gater.denyDialPeer?.(id),
    gater.denyOutboundConnection?.(id, noConnection),
    gater.denyInboundEncryptedConnection?.(id, noConnection),
    gater.denyOutboundEncryptedConnection?.(id, noConnection),
    gater.denyInboundUpgradedConnection?.(id, noConnection),
    gater.denyOutboundUpgradedConnection?.(id, noConnection),
  ];
}

describe('the gater', () => {
  it('denies a stranger at every stage, first right after the handshake', () => {
    expect(verdicts(membership(), stranger.peerId)).toEqual(Array(6).fill(true));
  });

  it('denies everybody before a charter is known', () => {
    expect(verdicts(new Membership(() => 0), member.peerId)).toEqual(Array(6).fill(true));
  });

  it('lets a member pass at every stage, until its notAfter', () => {
    expect(verdicts(membership(), member.peerId)).toEqual(Array(6).fill(false));
    expect(verdicts(membership(100), brief.peerId)).toEqual(Array(6).fill(false));
    expect(verdicts(membership(101), brief.peerId)).toEqual(Array(6).fill(true));
  });

  it('lets a member be dialed at its address in the charter and at no other that somebody tells', async () => {
    const made = membership();
    const gater = made.gater();
    const at = (address: string, peer?: string) => multiaddr(peer === undefined ? address : `${address}/p2p/${peer}`);
    expect(gater.denyDialMultiaddr?.(at(home, member.peerId))).toBe(false);
    expect(gater.denyDialMultiaddr?.(at(elsewhere, member.peerId))).toBe(true);
    expect(gater.denyDialMultiaddr?.(at(home, stranger.peerId))).toBe(true);
    expect(gater.denyDialMultiaddr?.(at(elsewhere))).toBe(true);
    expect(gater.filterMultiaddrForPeer?.(peerIdFromString(member.peerId), at(home))).toBe(true);
    expect(gater.filterMultiaddrForPeer?.(peerIdFromString(member.peerId), at(elsewhere))).toBe(false);
    await made.onErrand(at(elsewhere), async () => expect(gater.denyDialMultiaddr?.(at(elsewhere))).toBe(false));
    expect(gater.denyDialMultiaddr?.(at(elsewhere))).toBe(true);
  });

  it('lets nobody relay', () => {
    const gater = membership().gater();
    const id = peerIdFromString(member.peerId);
    expect(gater.denyInboundRelayReservation?.(id)).toBe(true);
    expect(gater.denyInboundRelayedConnection?.(id, id)).toBe(true);
    expect(gater.denyOutboundRelayedConnection?.(id, id)).toBe(true);
  });
});
