import type { Learning, ModelData } from '../api/index.ts';
import { AggregatorRouting } from './aggregator-routing.ts';
import { packFactors, packFloat32, packInt8, packTop2 } from './compression.ts';
import { FederatedStrategy } from './federated.ts';
import type { FramePacking } from './frame.ts';
import { GossipStrategy } from './gossip.ts';
import type { GuardTerms } from './guard.ts';
import { OuterStrategy } from './outer.ts';
import { PeerRouting } from './peer-routing.ts';
import type { Routing, RoutingInit } from './routing.ts';
import type { Strategy } from './strategy.ts';

/** The two halves of a way to learn together: one beside the weights, in the worker, one beside the network. */
interface Halves {
  readonly strategy: (learning: Learning, size: number) => Strategy;
  readonly routing: (learning: Learning, init: RoutingInit) => Routing;
}

const amongPeers = (learning: Learning, init: RoutingInit): Routing => new PeerRouting(learning, init);

/** Every way to learn together: `spec.learning.strategy`. */
const STRATEGIES: Readonly<Record<Learning['strategy'], Halves>> = {
  gossip: {
    strategy: ({ merge, mergeLimit, compression }) =>
      new GossipStrategy({ kind: merge, limit: mergeLimit }, compression.partitions),
    routing: amongPeers,
  },
  outer: {
    strategy: ({ outer }, size) =>
      new OuterStrategy(size, {
        learningRate: Number(outer?.learningRate ?? 0.7),
        momentum: Number(outer?.momentum ?? 0.3),
        consensus: Number(outer?.consensus ?? 1),
      }),
    routing: amongPeers,
  },
  federated: {
    strategy: (_, size) => new FederatedStrategy(size),
    routing: (learning, init) => new AggregatorRouting(learning.aggregator, () => 1, init),
  },
  grouped: {
    strategy: (_, size) => new FederatedStrategy(size),
    routing: ({ aggregator }, init) =>
      new AggregatorRouting(aggregator, (members) => aggregator?.groups ?? Math.round(Math.sqrt(members)), init),
  },
};

export function createStrategy(learning: Learning, size: number): Strategy {
  return STRATEGIES[learning.strategy].strategy(learning, size);
}

export function createRouting(learning: Learning, init: RoutingInit): Routing {
  return STRATEGIES[learning.strategy].routing(learning, init);
}

/** How messages are packed: `spec.learning.compression`. */
export function packingOf({ bits, topK, rank }: Learning['compression']): FramePacking {
  const weights =
    bits === 8 ? ({ codec: 'int8', pack: packInt8 } as const) : ({ codec: 'f32', pack: packFloat32 } as const);
  if (topK !== undefined) return { weights, change: { codec: 'top2', pack: packTop2(Number(topK)) } };
  if (rank !== undefined) return { weights, change: { codec: 'factors', pack: packFactors(rank) } };
  return { weights, change: weights };
}

/** How strictly received models are looked at: `spec.learning.clip`, and how the data are dealt out. */
export function guardTermsOf({
  data,
  learning,
}: {
  readonly data: Pick<ModelData, 'partition'>;
  readonly learning: Learning;
}): GuardTerms {
  const alike = data.partition === 'iid';
  return { alike, clips: learning.clip === 'ball' || (learning.clip === 'auto' && alike) };
}
