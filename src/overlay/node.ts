import { type GossipSub, gossipsub, StrictSign } from '@libp2p/gossipsub';
import { type Identify, identify } from '@libp2p/identify';
import type { ConnectionGater, Libp2p, PrivateKey } from '@libp2p/interface';
import { type KadDHT, kadDHT } from '@libp2p/kad-dht';
import { type Ping, ping } from '@libp2p/ping';
import { prometheusMetrics } from '@libp2p/prometheus-metrics';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import type { Multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { Registry } from 'prom-client';
import { encryption } from './encryption.ts';
import { RecordStore } from './record-store.ts';

const second = 1000;
const minute = 60 * second;
const mib = 1024 * 1024;

/** The DHT's own protocol name: never mixed with anybody else's DHT. */
export const kadProtocol = '/murmuration/kad/1.0.0';

/** Provider records are good for minutes: peers come and go with pods. */
export const providerValidityMs = 15 * minute;

export type OverlayNode = Libp2p<{ identify: Identify; ping: Ping; pubsub: GossipSub; dht: KadDHT }>;

export interface NodeInit {
  readonly privateKey: PrivateKey;
  readonly listen: readonly string[];
  readonly gater: ConnectionGater;
  /** Where a peer can be dialed, as the charter says; none where it is no member, or only dials. */
  readonly addressesOf: (peer: string) => Multiaddr[];
  /** Full names of the gossip topics; others are not heard of. */
  readonly topics: readonly string[];
  readonly metrics?: Registry;
}

/** libp2p with the settings that this product needs. Each number that differs from the default has its reason. */
export async function createNode(init: NodeInit): Promise<OverlayNode> {
  const { metrics } = init;
  return createLibp2p({
    start: false,
    privateKey: init.privateKey,
    datastore: new RecordStore(),
    nodeInfo: { name: 'murmuration', userAgent: 'murmuration' },
    addresses: { listen: [...init.listen] },
    transports: [tcp()],
    connectionEncrypters: [encryption()],
    streamMuxers: [yamux()],
    connectionGater: init.gater,
    connectionManager: {
      // The default of 5 a second and IP starves fleets behind one address (hostNetwork, SNAT, tests).
      inboundConnectionThreshold: 64,
      maxIncomingPendingConnections: 64,
      maxConnections: 1000,
      // One peer must not take ten seconds of the keeper's patience.
      dialTimeout: 8 * second,
      addressDialTimeout: 5 * second,
      inboundUpgradeTimeout: 8 * second,
      // Many Noise handshakes at once stall a small machine for seconds.
      maxParallelDials: 8,
      // The peer keeper reconnects, with the charter's addresses.
      reconnectRetries: 0,
    },
    // A peer that trains on the same cores may answer a ping late; a dead one is still noticed within half a minute.
    connectionMonitor: { pingInterval: 10 * second, pingTimeout: { minTimeout: 15 * second, maxTimeout: 30 * second } },
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        globalSignaturePolicy: StrictSign,
        allowedTopics: [...init.topics],
        allowPublishToZeroTopicPeers: true,
        // A frame of gossip may carry several messages of 16 KiB; the default is 4 MiB.
        maxInboundDataLength: mib,
        maxOutboundBufferSize: 8 * mib,
        // Without it the signature of each copy that comes over another neighbour is verified again.
        fastMsgIdFn,
        ...(init.listen.length === 0 ? listener : {}),
        scoreParams: {
          // Validators share node addresses; the default empties the mesh beyond 10 peers on one IP.
          IPColocationFactorWeight: 0,
          topics: Object.fromEntries(init.topics.map((topic) => [topic, topicScore])),
        },
      }),
      dht: kadDHT({
        protocol: kadProtocol,
        // Server at once: pods have no public addresses, and the default waits for one.
        clientMode: false,
        // Addresses that peers announce are kept out by the gater, and a peer without any is left out of the DHT.
        peerInfoMapper: (info) => ({ ...info, multiaddrs: init.addressesOf(info.id.toString()) }),
        allowQueryWithZeroPeers: true,
        reprovide: { validity: providerValidityMs, threshold: providerValidityMs / 3, interval: minute },
      }),
    },
    ...(metrics === undefined
      ? {}
      : {
          metrics: prometheusMetrics({
            registry: metrics,
            // The process's own metrics are registered by the process, once.
            collectDefaultMetrics: false,
            preserveExistingMetrics: true,
          }),
        }),
  });
}

/**
 * Who cannot be dialed is there to listen: one neighbour brings it everything once, and it relays nothing. What that one
 * misses or holds back, the others offer at each heartbeat (IHAVE).
 */
const listener = {
  D: 1,
  Dlo: 1,
  Dhi: 2,
  Dout: 0,
  Dscore: 1,
  // It relays what its owner says is valid, and that never says so.
  asyncValidation: true,
  // A second copy costs less than telling others not to send it.
  idontwantMinDataSize: Number.POSITIVE_INFINITY,
} as const;

/** Who said it, and what only that one can have made: nobody can have another's message taken for a copy. */
function fastMsgIdFn({ from, signature }: { readonly from?: Uint8Array; readonly signature?: Uint8Array }): string {
  return Buffer.concat([from ?? new Uint8Array(), signature ?? new Uint8Array()]).toString('latin1');
}

/** Only invalid messages cost score: topics are quiet, so "too few messages" must not. */
const topicScore = {
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: second,
  timeInMeshCap: 100,
  firstMessageDeliveriesWeight: 0.1,
  firstMessageDeliveriesDecay: 0.9,
  firstMessageDeliveriesCap: 100,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 5 * second,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -5,
  invalidMessageDeliveriesDecay: 0.9,
} as const;
