import type { Libp2pEvents } from '@libp2p/interface';
import { ask } from './ask.ts';
import { ChannelSet } from './channels.ts';
import type { Charter } from './charter.ts';
import { CharterKeeper, type Obeyed } from './charter-keeper.ts';
import { CharterSync } from './charter-sync.ts';
import { Gossip, topicName, topics } from './gossip.ts';
import { Greeter, helloProtocol } from './greeter.ts';
import { parseIdentity } from './identity.ts';
import { charterTimeoutMs, helloTimeoutMs, maxCharterBytes, maxHelloBytes } from './limits.ts';
import { Listeners } from './listeners.ts';
import { Membership } from './membership.ts';
import { createNode, type OverlayNode } from './node.ts';
import { PeerKeeper } from './peer-keeper.ts';
import { Protocols } from './protocols.ts';
import { Providers } from './providers.ts';
import { Reach } from './reach.ts';
import { Refusal } from './request-error.ts';
import { decodeSignedCharter, encodeSignedCharter, InvalidCharterError, type SignedCharter } from './signed-charter.ts';
import type {
  ChannelEvents,
  ChannelOptions,
  Channels,
  HandleOptions,
  Interaction,
  Overlay,
  OverlayInit,
  RequestHandler,
  RequestOptions,
  Spoken,
  Topic,
} from './types.ts';
import { wordsOf } from './words.ts';

const second = 1000;

/** How often expired members are let go and an unstored charter is stored again. */
const tickMs = 5 * second;

/** Every so many ticks everyone is greeted again, so that an announcement that got lost is made up for. */
const ticksPerGreeting = 6;

/** Every so many ticks (a quarter of an hour) the address book is written anew: libp2p forgets an address after an hour. */
const ticksPerAddressBook = 180;

export const charterProtocol = '/murmuration/charter/1.0.0';

/**
 * Makes one peer of a network's overlay. Nothing happens before `start()`.
 * @throws MalformedKeyError when the identity is no ed25519 key
 */
export function createOverlay(init: OverlayInit): Overlay {
  return new Peer(init);
}

/** Wires the parts; each part knows only what it is given here. */
class Peer implements Overlay {
  readonly peerId: string;
  readonly #init: OverlayInit;
  readonly #identity: ReturnType<typeof parseIdentity>;
  readonly #membership: Membership;
  readonly #charters: CharterKeeper;
  readonly #sync: CharterSync;
  readonly #greeter: Greeter;
  readonly #reach: Reach;
  readonly #keeper: PeerKeeper;
  readonly #gossip: Gossip;
  readonly #providers: Providers;
  readonly #protocols: Protocols;
  readonly #channels = new Map<string, ChannelSet>();
  readonly #onCharter: Listeners<[Charter]>;
  readonly #onPeers: Listeners<[readonly string[]]>;
  readonly #onInteraction: Listeners<[string, Interaction]>;
  #node: OverlayNode | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #ticks = 0;

  constructor(init: OverlayInit) {
    this.#init = init;
    this.#identity = parseIdentity(init.identity);
    this.peerId = this.#identity.peerId;
    const { network, authority, log, charters: store } = init;
    const clock = init.clock ?? Date.now;
    const random = init.random ?? Math.random;
    this.#onCharter = new Listeners('charter', log);
    this.#onPeers = new Listeners('peers', log);
    this.#onInteraction = new Listeners('interaction', log);
    const onInteraction = (peer: string, event: Interaction) => this.#onInteraction.tell(peer, event);
    const isMember = (peer: string) => this.#membership.current(peer) !== undefined;
    const head = () => this.#charters.obeyed?.head;

    this.#membership = new Membership(clock);
    this.#charters = new CharterKeeper({ network, authority, store, log, apply: (obeyed) => this.#obey(obeyed) });
    this.#sync = new CharterSync({ head, log, pull: (peer) => this.#pull(peer) });
    this.#greeter = new Greeter({
      network,
      head,
      isMember,
      heard: (peer, theirs) => this.#sync.heard(peer, theirs),
      changed: () => this.#peersChanged(),
      lost: (peer) => {
        this.#sync.forget(peer);
        this.#keeper.lost(peer);
      },
      onInteraction,
      log,
      clock,
    });
    this.#reach = new Reach({
      self: this.peerId,
      membership: this.#membership,
      greeter: this.#greeter,
      node: () => this.#running('reach a peer'),
      log,
    });
    this.#keeper = new PeerKeeper({
      self: this.peerId,
      members: () => this.#membership.all(),
      connected: () => this.#greeter.peers(),
      dial: async (member) => {
        await this.#reach.member(member);
      },
      log,
      clock,
      random,
    });
    this.#gossip = new Gossip({
      self: this.peerId,
      network,
      member: (peer) => this.#membership.current(peer),
      onInteraction,
      log,
    });
    this.#providers = new Providers({ network, isMember, log });
    this.#protocols = new Protocols({ isMember, onInteraction, log });
    const hello = { maxRequestBytes: maxHelloBytes, timeoutMs: helloTimeoutMs };
    this.#protocols.add(helloProtocol, hello, (bytes, connection) => this.#greeter.answer(bytes, connection));
    const give = { maxRequestBytes: 0, timeoutMs: charterTimeoutMs, maxConcurrentPerPeer: 2 };
    this.#protocols.add(charterProtocol, give, async () => this.#giveCharter());
  }

  get charter(): Charter | undefined {
    return this.#charters.obeyed?.charter;
  }

  get addresses(): readonly string[] {
    return this.#node?.getMultiaddrs().map((a) => a.toString().replace(/\/p2p\/[^/]+$/, '')) ?? [];
  }

  async start(): Promise<void> {
    if (this.#node !== undefined) return;
    const { network, listen, metrics, log } = this.#init;
    const node = await createNode({
      privateKey: this.#identity.privateKey,
      listen,
      gater: this.#membership.gater(),
      addressesOf: (peer) => this.#membership.addressesOf(peer),
      topics: topics.map((t) => topicName(network, t)),
      ...(metrics === undefined ? {} : { metrics }),
    });
    this.#node = node;
    try {
      await this.#charters.load();
      await this.#wire(node);
      await node.start();
    } catch (error) {
      await this.stop();
      throw new Error(`overlay cannot start on ${listen.join(', ') || 'no address'}: ${wordsOf(error)}`, {
        cause: error,
      });
    }
    this.#gossip.join();
    this.#providers.start(node.services.dht);
    await this.#reach.rememberAddresses();
    this.#keeper.start();
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    log.info({ peer: this.peerId, network, addresses: this.addresses, seq: this.charter?.seq }, 'overlay started');
  }

  async stop(): Promise<void> {
    const node = this.#node;
    if (node === undefined) return;
    clearInterval(this.#ticker);
    this.#keeper.stop();
    this.#providers.stop();
    this.#gossip.detach();
    this.#protocols.detach();
    for (const channels of this.#channels.values()) channels.stop();
    await node.stop();
    node.removeEventListener('connection:open', this.#opened);
    node.removeEventListener('connection:close', this.#closed);
    this.#node = undefined;
    await this.#charters.retrySave();
  }

  async adopt(signed: SignedCharter): Promise<'adopted' | 'known' | 'older'> {
    return this.#charters.adopt(signed);
  }

  onCharter(f: (charter: Charter) => void): () => void {
    return this.#onCharter.add(f);
  }

  peers(): readonly string[] {
    return [...this.#greeter.peers()].filter((peer) => this.#membership.current(peer) !== undefined);
  }

  onPeers(f: (peers: readonly string[]) => void): () => void {
    return this.#onPeers.add(f);
  }

  onInteraction(f: (peer: string, event: Interaction) => void): () => void {
    return this.#onInteraction.add(f);
  }

  async publish(topic: Topic, bytes: Uint8Array): Promise<void> {
    await this.#gossip.publish(topic, bytes);
  }

  subscribe<T extends Topic>(topic: T, f: (said: Spoken[T], from: string) => void): () => void {
    return this.#gossip.subscribe(topic, f);
  }

  handle(protocol: string, options: HandleOptions, f: RequestHandler): void {
    this.#protocols.add(protocol, options, (request, { remotePeer }, signal) =>
      f(request, remotePeer.toString(), signal),
    );
  }

  channels(protocol: string, options: ChannelOptions, events: ChannelEvents): Channels {
    if (this.#node !== undefined || this.#channels.has(protocol))
      throw new Error(`channels of ${protocol} are to be set up once, before the start`);
    const channels = new ChannelSet({
      protocol,
      options,
      events,
      connect: (peer, signal) => this.#reach.peer(peer, signal),
      isMember: (peer) => this.#membership.current(peer) !== undefined,
      onInteraction: (peer, event) => this.#onInteraction.tell(peer, event),
      log: this.#init.log,
    });
    this.#channels.set(protocol, channels);
    return channels;
  }

  async request(peer: string, protocol: string, bytes: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    return ask({
      peer,
      protocol,
      bytes,
      options,
      connection: (signal) => this.#reach.peer(peer, signal),
      onInteraction: (event) => this.#onInteraction.tell(peer, event),
    });
  }

  async dial(address: string): Promise<void> {
    await this.#reach.address(address);
  }

  async provide(key: string): Promise<void> {
    await this.#providers.provide(key);
  }

  async withhold(key: string): Promise<void> {
    await this.#providers.withhold(key);
  }

  async findProviders(key: string, signal: AbortSignal): Promise<readonly string[]> {
    return this.#providers.find(key, signal);
  }

  /** Everything that must be in place before the first connection. */
  async #wire(node: OverlayNode): Promise<void> {
    node.addEventListener('connection:open', this.#opened);
    node.addEventListener('connection:close', this.#closed);
    this.#gossip.attach(node.services.pubsub);
    await this.#protocols.attach(node);
    for (const channels of this.#channels.values()) await channels.register(node);
  }

  readonly #opened = ({ detail: connection }: Libp2pEvents['connection:open']): void => {
    this.#greeter.opened(connection);
    // The gater judged by the charter of that moment; one may have come since.
    this.#greeter.cutOff();
  };

  readonly #closed = ({ detail: connection }: Libp2pEvents['connection:close']): void => {
    this.#greeter.closed(connection);
  };

  /** A charter comes into force: first who is out is cut off, then everyone else is told. */
  #obey({ charter, head }: Obeyed): void {
    const { log } = this.#init;
    this.#membership.obey(charter);
    const gone = this.#greeter.cutOff();
    log.info(
      { seq: head.seq, members: charter.members.length, models: charter.models.length, cutOff: gone },
      'charter in force',
    );
    for (const model of charter.unreadable ?? []) {
      log.warn(
        { model: model.name, reason: model.message },
        'model left out: this build cannot read its spec, upgrade it',
      );
    }
    if (this.#node !== undefined) {
      this.#greeter.announce();
      this.#keeper.charterChanged();
      void this.#reach.rememberAddresses();
    }
    this.#onCharter.tell(charter);
  }

  #peersChanged(): void {
    this.#keeper.peersChanged();
    this.#providers.peersChanged();
    this.#onPeers.tell(this.peers());
  }

  #tick(): void {
    this.#ticks += 1;
    const gone = this.#greeter.cutOff();
    if (gone.length > 0) this.#init.log.info({ peers: gone }, 'membership over, cut off');
    if (this.#ticks % ticksPerGreeting === 0) {
      this.#greeter.announce();
      this.#keeper.peersChanged();
      void this.#reach.rememberAddresses({ anew: this.#ticks % ticksPerAddressBook === 0 });
    }
    void this.#charters.retrySave();
  }

  async #pull(peer: string): Promise<void> {
    const bytes = await this.request(peer, charterProtocol, new Uint8Array(), {
      timeoutMs: charterTimeoutMs,
      maxReplyBytes: maxCharterBytes,
    });
    try {
      await this.adopt(decodeSignedCharter(bytes));
    } catch (error) {
      if (error instanceof InvalidCharterError) this.#onInteraction.tell(peer, 'malformed');
      throw error;
    }
  }

  #giveCharter(): Uint8Array {
    const obeyed = this.#charters.obeyed;
    if (obeyed === undefined) throw new Refusal('not-here', 'no charter is known here');
    return encodeSignedCharter(obeyed.signed);
  }

  #running(what: string): OverlayNode {
    if (this.#node === undefined) throw new Error(`cannot ${what}: the overlay is not started`);
    return this.#node;
  }
}
