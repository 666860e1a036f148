import { type GossipSub, type Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import type { Logger } from 'pino';
import { plain } from '../codec/index.ts';
import type { Member } from './charter.ts';
import { maxGossipBytes } from './limits.ts';
import { decodeReport, type Report } from './messages.ts';
import type { Interaction, Spoken, Topic } from './types.ts';
import { wordsOf } from './words.ts';

export const topics: readonly Topic[] = ['reports', 'votes'];

/** Full name of a topic in a network (`namespace/network`). */
export function topicName(network: string, topic: Topic): string {
  return `/murmuration/${network}/${topic}/1`;
}

export interface GossipInit {
  readonly self: string;
  readonly network: string;
  /** The member in force of that peer id. */
  readonly member: (peer: string) => Member | undefined;
  readonly onInteraction: (peer: string, event: Interaction) => void;
  readonly log: Logger;
}

type Listener = (said: Spoken[Topic], from: string) => void;

/**
 * Signed gossip among members. A message is passed on only when its signer is a member that may speak, it is under
 * 16 KiB, and (reports) it decodes; so a neighbour never has a reason to pass on rubbish, and one that does loses score.
 */
export class Gossip {
  readonly #init: GossipInit;
  readonly #listeners = new Map<Topic, Set<Listener>>(topics.map((t) => [t, new Set()]));
  /** Reports between being judged and being told: decoded once. */
  readonly #decoded = new WeakMap<Message, Report>();
  #pubsub: GossipSub | undefined;

  constructor(init: GossipInit) {
    this.#init = init;
  }

  /** Before the node starts: validators first, then subscriptions to all topics, because everyone relays. */
  attach(pubsub: GossipSub): void {
    this.#pubsub = pubsub;
    const byName = new Map(topics.map((t) => [topicName(this.#init.network, t), t]));
    for (const [name, topic] of byName) {
      pubsub.topicValidators.set(name, (relay, message) => this.#judge(topic, relay, message));
    }
    pubsub.addEventListener('message', ({ detail }) => {
      const topic = byName.get(detail.topic);
      if (topic !== undefined && detail.type === 'signed')
        this.#tell(topic, this.#decoded.get(detail) ?? plain(detail.data), detail.from.toString());
    });
  }

  /** After the node has started. */
  join(): void {
    for (const topic of topics) this.#pubsub?.subscribe(topicName(this.#init.network, topic));
  }

  detach(): void {
    this.#pubsub = undefined;
  }

  async publish(topic: Topic, bytes: Uint8Array): Promise<void> {
    if (bytes.byteLength >= maxGossipBytes) {
      throw new RangeError(
        `a message on ${topic} has ${bytes.byteLength} bytes, it must have less than ${maxGossipBytes}`,
      );
    }
    if (this.#pubsub === undefined) throw new Error(`cannot publish on ${topic}: the overlay is not started`);
    await this.#pubsub.publish(topicName(this.#init.network, topic), bytes);
  }

  subscribe<T extends Topic>(topic: T, f: (said: Spoken[T], from: string) => void): () => void {
    this.#listeners.get(topic)?.add(f as Listener);
    return () => this.#listeners.get(topic)?.delete(f as Listener);
  }

  #judge(topic: Topic, relay: PeerId, message: Message): TopicValidatorResult {
    const { self, member, onInteraction, log } = this.#init;
    if (message.type !== 'signed') return TopicValidatorResult.Reject;
    const from = message.from.toString();
    // A neighbour with another charter may see a member where we see none, so the relay is not blamed.
    const signer = member(from);
    if (from === self || signer === undefined || signer.role === 'user') return TopicValidatorResult.Ignore;
    if (message.data.byteLength >= maxGossipBytes) {
      onInteraction(relay.toString(), 'oversize');
      return TopicValidatorResult.Reject;
    }
    if (topic === 'reports') {
      try {
        this.#decoded.set(message, decodeReport(message.data));
      } catch (error) {
        log.debug({ peer: from, relay: relay.toString(), reason: wordsOf(error) }, 'malformed report dropped');
        onInteraction(from, 'malformed');
        return TopicValidatorResult.Reject;
      }
    }
    return TopicValidatorResult.Accept;
  }

  #tell(topic: Topic, said: Spoken[Topic], from: string): void {
    for (const f of this.#listeners.get(topic) ?? []) {
      try {
        f(said, from);
      } catch (error) {
        this.#init.log.error({ topic, peer: from, reason: wordsOf(error) }, 'a listener of a topic failed');
      }
    }
  }
}
