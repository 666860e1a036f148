import { type GossipSub, gossipsub } from '@libp2p/gossipsub';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { topicName } from '../../../src/overlay/gossip.ts';
import { encodeReport, generateIdentity, type Interaction, parseIdentity } from '../../../src/overlay/index.ts';
import { eventually, Fleet, memberOf, network, report, type TestPeer } from './fleet.ts';

let fleet: Fleet;
const stops: (() => unknown)[] = [];
beforeEach(async () => {
  fleet = await Fleet.create();
});
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
  await fleet.stop();
});

/** A member whose program does not keep our rules: plain gossipsub with a member's key. */
async function rogue(role: 'validator' | 'user') {
  const key = await generateIdentity();
  const node = await createLibp2p({
    privateKey: parseIdentity(key.key).privateKey,
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), pubsub: gossipsub({ allowPublishToZeroTopicPeers: true }) },
  });
  stops.push(() => node.stop());
  const pubsub = node.services.pubsub as GossipSub;
  const peer = await fleet.peer('honest');
  const member = { ...memberOf('rogue', key.peerId, []), role };
  await peer.overlay.adopt(await fleet.charter([peer.member, member]));
  const heard: unknown[] = [];
  const seen: [string, Interaction][] = [];
  peer.overlay.subscribe('votes', (bytes) => heard.push(bytes));
  peer.overlay.subscribe('reports', (report) => heard.push(report));
  peer.overlay.onInteraction((from, event) => seen.push([from, event]));
  await node.dial(multiaddr(peer.overlay.addresses[0]!));
  const topic = topicName(network, 'votes');
  await eventually('the two have exchanged their topics', 5000, () => pubsub.getSubscribers(topic).length === 1);
  return { key, peer, heard, seen, pubsub, topic };
}

/** A last good word, so that "it was not heard" does not mean "it was not heard yet". */
async function lastWord(pubsub: GossipSub, topic: string, heard: readonly unknown[]) {
  await pubsub.publish(topic, Uint8Array.of(42));
  await eventually('the last word was heard', 3000, () => heard.length > 0);
}

describe('gossip of a member', () => {
  it('that is 16 KiB or more is dropped and noted', async () => {
    const { key, heard, seen, pubsub, topic } = await rogue('validator');
    await pubsub.publish(topic, new Uint8Array(16 * 1024));
    await lastWord(pubsub, topic, heard);
    expect(heard).toEqual([Uint8Array.of(42)]);
    expect(seen).toContainEqual([key.peerId, 'oversize']);
  });

  it('that is a report in nothing but name is dropped and noted', async () => {
    const { key, heard, seen, pubsub, topic } = await rogue('validator');
    await pubsub.publish(topicName(network, 'reports'), new TextEncoder().encode('rubbish'));
    await lastWord(pubsub, topic, heard);
    expect(heard).toEqual([Uint8Array.of(42)]);
    expect(seen).toContainEqual([key.peerId, 'malformed']);
  });

  it('whose role is user is not listened to', async () => {
    const { heard, seen, pubsub, topic } = await rogue('user');
    await pubsub.publish(topicName(network, 'reports'), encodeReport(report('rogue')));
    await expect(lastWord(pubsub, topic, heard)).rejects.toThrow('the last word was heard');
    expect(seen.filter(([, event]) => event === 'malformed')).toEqual([]);
  });

  it('is heard by a peer that it is not connected to', { timeout: 20_000 }, async () => {
    // A line: the ends do not know each other's address and do not dial each other.
    const [left, middle, right] = (await Promise.all(['left', 'middle', 'right'].map((n) => fleet.peer(n)))) as [
      TestPeer,
      TestPeer,
      TestPeer,
    ];
    const ends = [left, right].map((p) => ({ ...p.member, addresses: [] }));
    const signed = await fleet.charter([middle.member, ...ends]);
    await Promise.all([left, middle, right].map((p) => p.overlay.adopt(signed)));
    await eventually('the middle knows both ends', 5000, () => middle.overlay.peers().length === 2);
    let from = '';
    right.overlay.subscribe('votes', (_bytes, signer) => {
      from = signer;
    });
    const again = setInterval(() => left.overlay.publish('votes', Uint8Array.of(1)), 200);
    stops.push(() => clearInterval(again));
    await eventually('the right end hears the left one', 10_000, () => from === left.key.peerId);
    expect(right.overlay.peers()).toEqual([middle.key.peerId]);
  });
});
