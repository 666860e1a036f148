import {
  answerBlock,
  ChunkFetcher,
  type ChunkFetcherOptions,
  type ChunkNetwork,
  type ChunkStore,
  Holdings,
  realClock,
  Swarm,
  type SwarmEvents,
  type SwarmOptions,
} from '../../../src/chunks/index.ts';

type Answer = (request: Uint8Array) => Promise<Uint8Array>;

/** Peers in this process that hear each other at once. */
export class Hub {
  readonly #ends = new Map<string, SwarmEvents>();
  readonly #answers = new Map<string, Answer>();
  /** Who was asked for a block, in order. */
  readonly asked: string[] = [];

  /** A peer with a store; what it holds is its to follow. */
  join(name: string, store: ChunkStore, options: Partial<SwarmOptions & ChunkFetcherOptions> = {}) {
    const holdings = options.holdings ?? new Holdings(store);
    const swarm = new Swarm({
      store,
      holdings,
      clock: realClock,
      random: Math.random,
      channels: (events) => {
        this.#ends.set(name, events);
        return {
          send: (to, parts) => {
            const frame = new Uint8Array(Buffer.concat(parts));
            setImmediate(() => this.#deliver(name, to, frame));
            return true;
          },
          close: (to) => {
            this.#ends.get(name)?.onClosed(to);
            this.#ends.get(to)?.onClosed(name);
          },
        };
      },
      ...options,
    });
    this.#answers.set(name, (request) => answerBlock(store, request));
    const fetcher = new ChunkFetcher({ store, holdings, swarm, network: this.network, ...options });
    return { holdings, swarm, fetcher };
  }

  /** Somebody who only answers for blocks, in a way of its own. */
  answers(name: string, answer: Answer): void {
    this.#answers.set(name, answer);
  }

  readonly network: ChunkNetwork = {
    request: async (peer, _protocol, bytes, { signal }) => {
      this.asked.push(peer);
      const answer = this.#answers.get(peer);
      if (answer !== undefined) return answer(bytes);
      return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    },
  };

  #deliver(from: string, to: string, frame: Uint8Array): void {
    const end = this.#ends.get(to);
    if (end === undefined) {
      this.#ends.get(from)?.onClosed(to);
      return;
    }
    try {
      end.onFrame(from, frame);
    } catch {
      end.onClosed(from);
      this.#ends.get(from)?.onClosed(to);
    }
  }
}
