import type { Connection, Stream, StreamMessageEvent } from '@libp2p/interface';
import { encode } from 'it-length-prefixed';
import type { Logger } from 'pino';
import { Uint8ArrayList } from 'uint8arraylist';
import { deadline } from './deadline.ts';
import { FrameReader, FrameTooLargeError } from './frame-reader.ts';
import type { OverlayNode } from './node.ts';
import type { ChannelEvents, ChannelOptions, Channels, Interaction } from './types.ts';
import { errorOf, wordsOf } from './words.ts';

export interface ChannelsInit {
  readonly protocol: string;
  readonly options: ChannelOptions;
  readonly events: ChannelEvents;
  /** A greeted connection to a member, dialed where there is none. */
  readonly connect: (peer: string, signal: AbortSignal) => Promise<Connection>;
  readonly isMember: (peer: string) => boolean;
  readonly onInteraction: (peer: string, event: Interaction) => void;
  readonly log: Logger;
}

/** How long a stream may take to be opened, dialing included. */
const openTimeoutMs = 15_000;
/** Streams of one connection: its own, and one more while it makes up for a lost one. */
const maxInboundStreams = 2;

/** Long-lived streams of one protocol, a few a peer; what is sent goes over the oldest that is open. */
export class ChannelSet implements Channels {
  readonly #init: ChannelsInit;
  readonly #channels = new Map<string, Channel>();

  constructor(init: ChannelsInit) {
    this.#init = init;
  }

  async register(node: OverlayNode): Promise<void> {
    await node.handle(
      this.#init.protocol,
      (stream, { remotePeer }) => this.#channel(remotePeer.toString()).add(stream),
      {
        maxInboundStreams,
        maxOutboundStreams: maxInboundStreams,
      },
    );
  }

  send(peer: string, parts: readonly Uint8Array[]): boolean {
    return this.#channel(peer).send(parts);
  }

  close(peer: string, reason: Error): void {
    this.#channels.get(peer)?.close(reason);
  }

  stop(): void {
    for (const channel of this.#channels.values()) channel.close(new Error('the overlay stops'));
  }

  #channel(peer: string): Channel {
    const known = this.#channels.get(peer);
    if (known !== undefined) return known;
    const channel = new Channel(peer, this.#init, () => {
      if (this.#channels.get(peer) !== channel) return;
      this.#channels.delete(peer);
      this.#init.events.onClosed(peer);
    });
    this.#channels.set(peer, channel);
    return channel;
  }
}

/**
 * One peer's: the stream that we opened, the one that it opened, or both for a while when both began at once. It ends with
 * either of them, so that both sides know from where on nothing is lost; or when none can be opened.
 */
class Channel {
  readonly #peer: string;
  readonly #init: ChannelsInit;
  readonly #ended: () => void;
  readonly #streams: Stream[] = [];
  /** What was sent before a stream was open. */
  #waiting: Uint8ArrayList | undefined;
  #isOver = false;

  constructor(peer: string, init: ChannelsInit, ended: () => void) {
    this.#peer = peer;
    this.#init = init;
    this.#ended = ended;
  }

  send(parts: readonly Uint8Array[]): boolean {
    const frame = encode.single(new Uint8ArrayList(...parts));
    const stream = this.#streams.find(({ writeStatus }) => writeStatus === 'writable');
    if (stream !== undefined) return this.#write(stream, frame);
    if (this.#waiting === undefined) {
      this.#waiting = new Uint8ArrayList();
      void this.#open();
    }
    this.#waiting.append(frame);
    return this.#waiting.byteLength < this.#init.options.maxBufferedBytes;
  }

  add(stream: Stream): void {
    const { options, events, isMember, log } = this.#init;
    if (this.#isOver || !isMember(this.#peer)) {
      stream.abort(new Error('not wanted'));
      return;
    }
    this.#streams.push(stream);
    const fail = (error: Error, event: Interaction): void => {
      log.debug({ peer: this.#peer, reason: error.message }, 'channel broken off');
      this.#init.onInteraction(this.#peer, event);
      this.close(error);
    };
    const onFrame = (frame: Uint8Array): boolean => {
      events.onFrame(this.#peer, frame);
      return !this.#isOver;
    };
    const incoming = new Incoming(stream, options, onFrame, fail);
    const gone = (): void => {
      incoming.release();
      this.close(new Error('a stream of it ended'));
    };
    stream.addEventListener('close', gone, { once: true });
    stream.addEventListener('remoteCloseWrite', () => stream.abort(new Error('the other side is done')), {
      once: true,
    });
    stream.addEventListener('drain', () => queueMicrotask(() => this.#drained(stream)));
    stream.addEventListener('message', ({ data }) => incoming.take(data));
    if (stream.status !== 'open') gone();
    else this.#flush(stream);
  }

  close(reason: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = undefined;
    for (const stream of [...this.#streams]) stream.abort(reason);
    this.#ended();
  }

  #write(stream: Stream, bytes: Uint8ArrayList): boolean {
    try {
      if (stream.writeBufferLength + bytes.byteLength > 4 * this.#init.options.maxBufferedBytes)
        throw new Error('it does not take what is sent to it');
      return stream.send(bytes);
    } catch (error) {
      this.close(errorOf(error));
      return false;
    }
  }

  #flush(stream: Stream): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined && this.#write(stream, waiting)) this.#drained(stream);
  }

  #drained(stream: Stream): void {
    if (!this.#isOver && stream.writableNeedsDrain !== true) this.#init.events.onDrain(this.#peer);
  }

  async #open(): Promise<void> {
    const { protocol, connect, log } = this.#init;
    const limit = deadline(openTimeoutMs);
    try {
      const connection = await connect(this.#peer, limit.signal);
      this.add(await connection.newStream(protocol, { signal: limit.signal }));
    } catch (error) {
      log.debug({ peer: this.#peer, protocol, reason: wordsOf(error) }, 'no channel');
      // The peer may have opened one meanwhile.
      if (this.#streams.length === 0) this.close(errorOf(error));
    } finally {
      limit.clear();
    }
  }
}

/** What one stream brings: its frames, none too large, none too late, not too many. */
class Incoming {
  readonly #reader: FrameReader;
  readonly #brake: Brake;
  readonly #frameTimeoutMs: number;
  readonly #onFrame: (frame: Uint8Array) => boolean;
  readonly #fail: (error: Error, event: Interaction) => void;
  /** Runs out when the frame that has begun is too late. */
  #late: NodeJS.Timeout | undefined;

  /** @param onFrame returns whether more is wanted */
  constructor(
    stream: Stream,
    options: ChannelOptions,
    onFrame: (frame: Uint8Array) => boolean,
    fail: (error: Error, event: Interaction) => void,
  ) {
    this.#reader = new FrameReader(options.maxFrameBytes);
    this.#brake = new Brake(stream, options.maxFramesPerSecond);
    this.#frameTimeoutMs = options.frameTimeoutMs;
    this.#onFrame = onFrame;
    this.#fail = fail;
  }

  take(data: StreamMessageEvent['data']): void {
    try {
      let frames = 0;
      for (const frame of this.#reader.read(data)) {
        frames += 1;
        if (!this.#onFrame(frame)) return;
      }
      const isHeld = this.#brake.took(frames);
      if (frames > 0 || isHeld) this.#inTime();
      if (this.#reader.isWithin && !isHeld) this.#late ??= setTimeout(() => this.#tooLate(), this.#frameTimeoutMs);
    } catch (error) {
      this.#fail(errorOf(error), error instanceof FrameTooLargeError ? 'oversize' : 'malformed');
    }
  }

  release(): void {
    clearTimeout(this.#late);
    this.#brake.release();
  }

  #inTime(): void {
    clearTimeout(this.#late);
    this.#late = undefined;
  }

  #tooLate(): void {
    this.#fail(new Error(`a frame took more than ${this.#frameTimeoutMs} ms`), 'timeout');
  }
}

/** Reads no more of a stream for the rest of a second in which too many frames came: they cost more than their bytes. */
class Brake {
  readonly #stream: Stream;
  readonly #most: number;
  #count = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Stream, most: number) {
    this.#stream = stream;
    this.#most = most;
  }

  /** @returns whether nothing more is read for now */
  took(frames: number): boolean {
    this.#count += frames;
    if (frames > 0) this.#timer ??= setTimeout(() => this.#again(), 1000);
    if (this.#count > this.#most && this.#stream.readStatus === 'readable') this.#stream.pause();
    return this.#stream.readStatus === 'paused';
  }

  release(): void {
    clearTimeout(this.#timer);
  }

  #again(): void {
    this.#timer = undefined;
    this.#count = 0;
    if (this.#stream.readStatus === 'paused') this.#stream.resume();
  }
}
