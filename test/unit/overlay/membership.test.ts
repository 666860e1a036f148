import { identify } from '@libp2p/identify';
import type { Libp2p } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InvalidCharterError, parseIdentity } from '../../../src/overlay/index.ts';
import { allConnected, eventually, Fleet, memberOf, type TestPeer } from './fleet.ts';

let fleet: Fleet;
const strangers: Libp2p[] = [];
beforeEach(async () => {
  fleet = await Fleet.create();
});
afterEach(async () => {
  await Promise.all(strangers.splice(0).map((s) => s.stop()));
  await fleet.stop();
});

/** A plain libp2p node that plays by nobody's rules, and what it managed to learn. */
async function stranger(key?: Uint8Array) {
  const node = await createLibp2p({
    ...(key === undefined ? {} : { privateKey: parseIdentity(key).privateKey }),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify() },
  });
  strangers.push(node);
  const seen = { identified: 0, closed: 0, negotiated: [] as string[] };
  node.addEventListener('peer:identify', () => {
    seen.identified += 1;
  });
  node.addEventListener('connection:close', () => {
    seen.closed += 1;
  });
  /** Dials, tries to open a stream on every protocol it can think of, and returns when the connection is closed. */
  const knock = async (peer: TestPeer) => {
    const door = multiaddr(peer.overlay.addresses[0]!);
    const before = seen.closed;
    let connected = true;
    try {
      const connection = await node.dial(door);
      for (const protocol of [
        '/ipfs/id/1.0.0',
        '/meshsub/1.1.0',
        '/murmuration/charter/1.0.0',
        '/murmuration/kad/1.0.0',
      ]) {
        connection.newStream(protocol).then(
          () => seen.negotiated.push(protocol),
          () => undefined,
        );
      }
    } catch {
      connected = false;
    }
    if (connected) await eventually('the stranger was hung up on', 2000, () => seen.closed > before);
  };
  return { node, seen, knock };
}

describe('a stranger', () => {
  it('is hung up on before any protocol is negotiated', async () => {
    const [first] = await fleet.flock(2);
    const { seen, knock } = await stranger();
    await knock(first!);
    expect(seen.negotiated).toEqual([]);
    expect(seen.identified).toBe(0);
    expect(first!.overlay.peers()).toHaveLength(1);
  });

  it('cannot be dialed either, whatever address it is said to have', async () => {
    const [first] = await fleet.flock(2);
    const other = await fleet.peer('no-member');
    await expect(first!.overlay.dial(other.overlay.addresses[0]!)).rejects.toThrow();
    await expect(first!.overlay.dial(`${other.overlay.addresses[0]}/p2p/${other.key.peerId}`)).rejects.toThrow();
    expect(first!.overlay.peers()).not.toContain(other.key.peerId);
  });

  it('finds every door shut where no charter is known', async () => {
    const peer = await fleet.peer('new');
    const { seen, knock } = await stranger();
    await knock(peer);
    expect(seen).toMatchObject({ identified: 0, negotiated: [] });
  });
});

describe('a member', () => {
  it('of the same kind of node is let in, so it is the charter that kept the stranger out', async () => {
    const peer = await fleet.peer('one');
    const guest = await fleet.peer('guest', { listen: [] });
    await guest.overlay.stop();
    await peer.overlay.adopt(await fleet.charter([peer.member, guest.member]));
    const { node, seen } = await stranger(guest.key.key);
    await node.dial(multiaddr(peer.overlay.addresses[0]!));
    await eventually('identify has told who answers', 3000, () => seen.identified === 1);
  });

  it('whose notAfter has passed is no member', async () => {
    const [a, b] = await Promise.all([fleet.peer('a'), fleet.peer('b')]);
    const over = { ...b.member, notAfter: Math.floor(Date.now() / 1000) - 10 };
    const signed = await fleet.charter([a.member, over]);
    await Promise.all([a.overlay.adopt(signed), b.overlay.adopt(signed)]);
    await expect(b.overlay.dial(a.overlay.addresses[0]!)).rejects.toThrow();
    await expect(a.overlay.dial(b.overlay.addresses[0]!)).rejects.toThrow();
    expect(a.overlay.peers()).toEqual([]);
  });

  it('whose notAfter passes is cut off within seconds', { timeout: 20_000 }, async () => {
    const [a, b] = await Promise.all([fleet.peer('a'), fleet.peer('b')]);
    const brief = { ...b.member, notAfter: Math.floor(Date.now() / 1000) + 2 };
    const signed = await fleet.charter([a.member, brief]);
    await Promise.all([a.overlay.adopt(signed), b.overlay.adopt(signed)]);
    await allConnected([a, b]);
    await eventually('the member notices that it is cut off', 10_000, () => b.overlay.peers().length === 0);
    expect(a.overlay.peers()).toEqual([]);
  });
});

describe('a member that opens connection after connection', () => {
  it('keeps four of them', async () => {
    const peer = await fleet.peer('one');
    const guest = await fleet.peer('guest', { listen: [] });
    await guest.overlay.stop();
    await peer.overlay.adopt(await fleet.charter([peer.member, guest.member]));
    const { node, seen } = await stranger(guest.key.key);
    for (let i = 0; i < 7; i++) await node.dial(multiaddr(peer.overlay.addresses[0]!), { force: true });
    await eventually('the three oldest were closed', 3000, () => seen.closed === 3);
    expect(node.getConnections()).toHaveLength(4);
  });
});

describe('a removed member', () => {
  it('is cut off everywhere within 2 s, though only one peer was told', async () => {
    const peers = await fleet.flock(4);
    const [told, , , out] = peers;
    const stay = peers.slice(0, 3);
    const signed = await fleet.charter(stay.map((p) => p.member));
    await expect(told!.overlay.adopt(signed)).resolves.toBe('adopted');
    await eventually('nobody counts it as a peer, and it has nobody', 2000, () =>
      peers.every((p) => (p === out ? p.overlay.peers().length === 0 : p.overlay.peers().length === 2)),
    );
    expect(stay.map((p) => p.overlay.charter?.seq)).toEqual([2, 2, 2]);
    // It keeps knocking, with its real key, and gets no protocol.
    await out!.overlay.stop();
    for (const peer of stay) {
      const { seen, knock } = await stranger(out!.key.key);
      await knock(peer);
      expect(seen).toMatchObject({ identified: 0, negotiated: [] });
    }
  });

  it('that is let in again is connected again', async () => {
    const peers = await fleet.flock(3);
    const [told, , out] = peers;
    await told!.overlay.adopt(await fleet.charter(peers.slice(0, 2).map((p) => p.member)));
    await eventually('it is out', 2000, () => out!.overlay.peers().length === 0);
    await told!.overlay.adopt(await fleet.charter(peers.map((p) => p.member)));
    await allConnected(peers);
    await eventually('it has caught up with the charter', 3000, () => out!.overlay.charter?.seq === 3);
  });
});

describe('a new member', () => {
  it('is let in everywhere when the operator, who only dials, tells one peer', async () => {
    const peers = await fleet.flock(3);
    const operator = await fleet.peer('operator', { listen: [] });
    const late = await fleet.peer('flock-3');
    const members = [
      ...peers.map((p) => p.member),
      late.member,
      { ...memberOf('operator', operator.key.peerId, []), role: 'observer' as const },
    ];
    const signed = await fleet.charter(members);
    // The new one has it from its ConfigMap, the operator made it, one old peer is told.
    await Promise.all([late, operator, peers[0]!].map((p) => p.overlay.adopt(signed)));
    await allConnected([...peers, late, operator]);
  });
});

describe('a charter', () => {
  it('with a lower number is refused, and one that is known is recognised', async () => {
    const [peer] = await fleet.flock(2);
    const old = await fleet.charter([peer!.member], { seq: 5 });
    const newer = await fleet.charter([peer!.member], { seq: 6 });
    await expect(peer!.overlay.adopt(newer)).resolves.toBe('adopted');
    await expect(peer!.overlay.adopt(newer)).resolves.toBe('known');
    await expect(peer!.overlay.adopt(old)).resolves.toBe('older');
    expect(peer!.overlay.charter?.seq).toBe(6);
  });

  it('signed by another authority changes nothing', async () => {
    const peers = await fleet.flock(2);
    const impostor = await Fleet.create();
    const forged = await impostor.charter([peers[0]!.member], { seq: 99 });
    await expect(peers[0]!.overlay.adopt(forged)).rejects.toMatchObject({ reason: 'WrongSignature' });
    await expect(peers[0]!.overlay.adopt(forged)).rejects.toThrow(InvalidCharterError);
    expect(peers[0]!.overlay.charter?.seq).toBe(1);
    expect(peers[0]!.overlay.peers()).toHaveLength(1);
  });

  it('for another network changes nothing', async () => {
    const [peer] = await fleet.flock(2);
    const other = await fleet.charter([peer!.member], { network: 'birds/other', seq: 99 });
    await expect(peer!.overlay.adopt(other)).rejects.toMatchObject({ reason: 'WrongNetwork' });
  });

  it('of two with one number is the same one everywhere in the end', async () => {
    const peers = await fleet.flock(3);
    const members = peers.map((p) => p.member);
    const [one, two] = await Promise.all([
      fleet.charter(members, { seq: 7, issuedAt: 1 }),
      fleet.charter(members, { seq: 7, issuedAt: 2 }),
    ]);
    await Promise.all([peers[0]!.overlay.adopt(one), peers[1]!.overlay.adopt(two)]);
    await eventually(
      'all obey the same',
      5000,
      () => new Set(peers.map((p) => p.overlay.charter?.issuedAt)).size === 1,
    );
  });
});

describe('a peer of another network with the same member', () => {
  it('is told so and let go', async () => {
    const here = await fleet.peer('here');
    const there = await fleet.peer('there', { network: 'birds/other' });
    const members = [here.member, there.member];
    await here.overlay.adopt(await fleet.charter(members));
    await there.overlay.adopt(await fleet.charter(members, { network: 'birds/other' }));
    await expect(here.overlay.dial(there.overlay.addresses[0]!)).rejects.toThrow(
      /wrong-network|not birds\/flock|closed/,
    );
    await eventually(
      'neither counts the other',
      3000,
      () => here.overlay.peers().length + there.overlay.peers().length === 0,
    );
  });
});
