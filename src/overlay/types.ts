import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Charter } from './charter.ts';
import type { CharterStore } from './charter-store.ts';
import type { Report } from './messages.ts';
import type { SignedCharter } from './signed-charter.ts';

/** What is gossiped: validators' reports, buffer-map deltas, votes. */
export type Topic = keyof Spoken;

/** In what form each topic is heard: reports decoded and checked, the rest as it came. */
export interface Spoken {
  readonly reports: Report;
  readonly votes: Uint8Array;
}

/** How a peer behaved in one exchange; feeds the interactions part of its reputation. */
export type Interaction = 'ok' | 'malformed' | 'timeout' | 'refused' | 'oversize';

/** How an overlay is set up. */
export interface OverlayInit {
  /** `namespace/network`. */
  readonly network: string;
  /** Private key in libp2p protobuf form, see `generateIdentity`. */
  readonly identity: Uint8Array;
  /** Peer id text of the authority key that signs charters. */
  readonly authority: string;
  /** Multiaddrs to listen on; empty: dials only (the operator). */
  readonly listen: readonly string[];
  readonly charters: CharterStore;
  readonly log: Logger;
  /** Unix milliseconds. Default: Date.now. */
  readonly clock?: () => number;
  /** 0 <= x < 1. Default: Math.random. */
  readonly random?: () => number;
  /** Where libp2p's own metrics go: one registry a process, it keeps to the first it was given. Absent: none are kept. */
  readonly metrics?: Registry;
}

/** One request frame in, one reply frame out. A thrown `Refusal` reaches the asker with its words, other errors as `remote`. */
export type RequestHandler = (request: Uint8Array, from: string, signal: AbortSignal) => Promise<Uint8Array>;

export interface HandleOptions {
  readonly maxRequestBytes: number;
  /** For reading the request, handling it and sending the reply. */
  readonly timeoutMs: number;
  /** Requests of one peer at a time; more are refused as busy. Default: 16. */
  readonly maxConcurrentPerPeer?: number;
}

export interface ChannelOptions {
  readonly maxFrameBytes: number;
  /** From the first byte of a frame to its last. */
  readonly frameTimeoutMs: number;
  /** Frames of one peer that are taken in a second; then it waits. */
  readonly maxFramesPerSecond: number;
  /** What may wait to be sent to one peer before `send` says so; four times as much ends the channel. */
  readonly maxBufferedBytes: number;
}

/** What comes over the channels of a protocol. */
export interface ChannelEvents {
  /** One frame of a member. Throwing ends the channel, and the peer is said to have sent malformed bytes. */
  readonly onFrame: (peer: string, frame: Uint8Array) => void;
  /** After a `send` that returned false: more may be sent. It may come without. */
  readonly onDrain: (peer: string) => void;
  /** The channel is gone, and what was not sent over it. The next `send` opens another. */
  readonly onClosed: (peer: string) => void;
}

/** Frames in both directions over a long-lived stream a peer, of one protocol. */
export interface Channels {
  /**
   * Sends one frame to a member, over a stream that is opened where there is none.
   * @returns whether there is room for more; if not, wait for `onDrain` before sending what is large
   */
  send(peer: string, parts: readonly Uint8Array[]): boolean;
  /** Ends the channel to a peer, if there is one. */
  close(peer: string, reason: Error): void;
}

export interface RequestOptions {
  /** For dialing (where not connected), asking and reading the reply. */
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
  readonly signal?: AbortSignal;
}

/** The peer-to-peer layer: who is in, who is connected, what is said. */
export interface Overlay {
  readonly peerId: string;
  readonly charter: Charter | undefined;
  /** Multiaddrs that it listens on, with the real port; empty before start. */
  readonly addresses: readonly string[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Verifies, persists and applies a charter (removed members are cut off), then tells the neighbours.
   * @throws InvalidCharterError
   */
  adopt(signed: SignedCharter): Promise<'adopted' | 'known' | 'older'>;
  /** Called after each adopted charter. Returns a function that unsubscribes. */
  onCharter(f: (charter: Charter) => void): () => void;
  /** Peer ids of connected members that said hello. */
  peers(): readonly string[];
  /** Called when `peers()` has changed. */
  onPeers(f: (peers: readonly string[]) => void): () => void;
  /** @throws when the bytes are 16 KiB or more. With nobody there to hear it, it is not an error. */
  publish(topic: Topic, bytes: Uint8Array): Promise<void>;
  /** `from` is the verified signer, a current member. Own messages are not heard. */
  subscribe<T extends Topic>(topic: T, f: (said: Spoken[T], from: string) => void): () => void;
  /** Serves a protocol, `/murmuration/<name>/1.0.0`, to members. */
  handle(protocol: string, options: HandleOptions, f: RequestHandler): void;
  /** Speaks a protocol over channels, with members. */
  channels(protocol: string, options: ChannelOptions, events: ChannelEvents): Channels;
  /** Asks a member, dialing it where needed. @throws RequestError */
  request(peer: string, protocol: string, bytes: Uint8Array, options: RequestOptions): Promise<Uint8Array>;
  /** Connects to an address; who answers must be a member. */
  dial(address: string): Promise<void>;
  /**
   * Says in the DHT that this peer has `key` (see `providerKey`), and goes on saying so until it stops or withholds it.
   * Beyond `maxProvidedKeys` the oldest key is withheld. Never rejects: what could not be told is told later.
   */
  provide(key: string): Promise<void>;
  /** Says so no longer. Records that others keep run out within minutes. */
  withhold(key: string): Promise<void>;
  /** Members that said they have `key`. A claim: verify by asking. */
  findProviders(key: string, signal: AbortSignal): Promise<readonly string[]>;
  onInteraction(f: (peer: string, event: Interaction) => void): () => void;
}
