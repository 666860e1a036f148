import { encodeWords, inFrames, inMessages, join, type Message } from './messages.ts';

/** What waits to be said to one peer. */
interface Waiting {
  /** For the end of this turn. */
  readonly words: Message[];
  /** Chunks that came here, by our number of the version: for the next frame, or when it is time. */
  readonly news: Map<number, number[]>;
  /** When the news are to be told at the latest. */
  newsAt: number;
}

export interface OutboxOptions {
  /** Whether a peer is there; what is said to others is dropped. */
  readonly isThere: (peer: string) => boolean;
  readonly send: (peer: string, frame: readonly Uint8Array[]) => void;
}

/** What we say to peers: what is said in one turn goes in one frame, and news of chunks wait a while for a frame to go with. */
export class Outbox {
  readonly #o: OutboxOptions;
  readonly #waiting = new Map<string, Waiting>();
  /** Peers that something is said to in this turn. */
  readonly #turn = new Set<string>();

  constructor(options: OutboxOptions) {
    this.#o = options;
  }

  /** Says something at the end of this turn. */
  tell(peer: string, message: Message): void {
    if (!this.#o.isThere(peer)) return;
    const waiting = this.#of(peer);
    if (message.k === 'shut') waiting.news.delete(message.n);
    if (message.k === 'lost') gather(waiting); // that it was here is said before
    add(waiting.words, message);
    this.#speak(peer);
  }

  /** A chunk is here. @param at when to say so at the latest */
  news(peer: string, n: number, index: number, at: number): void {
    const waiting = this.#of(peer);
    const news = waiting.news.get(n);
    if (news === undefined) waiting.news.set(n, [index]);
    else news.push(index);
    waiting.newsAt = Math.min(waiting.newsAt, at);
  }

  /** Tells the news that have waited long enough. @returns whether others wait */
  due(now: number): boolean {
    let isWaiting = false;
    for (const [peer, { news, newsAt }] of this.#waiting) {
      if (news.size === 0) continue;
      if (newsAt <= now) this.#speak(peer);
      else isWaiting = true;
    }
    return isWaiting;
  }

  forget(peer: string): void {
    this.#waiting.delete(peer);
    this.#turn.delete(peer);
  }

  #of(peer: string): Waiting {
    const known = this.#waiting.get(peer);
    if (known !== undefined) return known;
    const waiting = { words: [], news: new Map(), newsAt: Number.POSITIVE_INFINITY };
    this.#waiting.set(peer, waiting);
    return waiting;
  }

  #speak(peer: string): void {
    if (this.#turn.size === 0) queueMicrotask(() => this.#flush());
    this.#turn.add(peer);
  }

  #flush(): void {
    const peers = [...this.#turn];
    this.#turn.clear();
    for (const peer of peers) {
      const waiting = this.#waiting.get(peer);
      if (waiting === undefined || !this.#o.isThere(peer)) continue;
      gather(waiting);
      for (const messages of inFrames(waiting.words.splice(0))) this.#o.send(peer, encodeWords(messages));
    }
  }
}

/** Makes words of the news. */
function gather(waiting: Waiting): void {
  for (const [n, indexes] of waiting.news)
    for (const at of inMessages(indexes)) add(waiting.words, { k: 'have', n, at });
  waiting.news.clear();
  waiting.newsAt = Number.POSITIVE_INFINITY;
}

function add(words: Message[], message: Message): void {
  const last = words.at(-1);
  const joined = last && join(last, message);
  if (joined === undefined) words.push(message);
  else words[words.length - 1] = joined;
}
