import type { Connection } from '@libp2p/interface';
import type { Logger } from 'pino';
import { maxStreams, serve } from './answer.ts';
import type { OverlayNode } from './node.ts';
import type { HandleOptions, Interaction } from './types.ts';
import { wordsOf } from './words.ts';

/** Our side of a protocol may have so many questions to one peer open at a time. */
const maxQuestionsPerPeer = 256;

export interface ProtocolsInit {
  readonly isMember: (peer: string) => boolean;
  readonly onInteraction: (peer: string, event: Interaction) => void;
  readonly log: Logger;
}

type Answer = (request: Uint8Array, connection: Connection, signal: AbortSignal) => Promise<Uint8Array>;

/** The protocols that this peer serves: kept over restarts of the node, registered with the one that runs. */
export class Protocols {
  readonly #init: ProtocolsInit;
  readonly #served = new Map<string, { readonly options: HandleOptions; readonly answer: Answer }>();
  #node: OverlayNode | undefined;

  constructor(init: ProtocolsInit) {
    this.#init = init;
  }

  add(protocol: string, options: HandleOptions, answer: Answer): void {
    if (this.#served.has(protocol)) throw new Error(`${protocol} is already served`);
    this.#served.set(protocol, { options, answer });
    if (this.#node === undefined) return;
    this.#register(this.#node, protocol, options, answer).catch((error: unknown) => {
      this.#init.log.error({ protocol, reason: wordsOf(error) }, 'protocol could not be registered');
    });
  }

  /** Before the node starts. */
  async attach(node: OverlayNode): Promise<void> {
    this.#node = node;
    for (const [protocol, { options, answer }] of this.#served) await this.#register(node, protocol, options, answer);
  }

  detach(): void {
    this.#node = undefined;
  }

  async #register(node: OverlayNode, protocol: string, options: HandleOptions, answer: Answer): Promise<void> {
    await node.handle(protocol, serve({ ...this.#init, protocol, options, answer }), {
      maxInboundStreams: maxStreams(options),
      maxOutboundStreams: maxQuestionsPerPeer,
    });
  }
}
