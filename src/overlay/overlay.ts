import type { Connection, Libp2pEvents } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { maxStreams, serve } from './answer.ts';
import { ask } from './ask.ts';
import type { Charter, Member } from './charter.ts';
import { CharterKeeper, type Obeyed } from './charter-keeper.ts';
import { CharterSync } from './charter-sync.ts';
import { wordsOf } from './codec.ts';
import { Gossip, topicName, topics } from './gossip.ts';
import { Greeter, helloProtocol } from './greeter.ts';
import { parseIdentity } from './identity.ts';
import { charterTimeoutMs, helloTimeoutMs, maxCharterBytes, maxHelloBytes } from './limits.ts';
import { Listeners } from './listeners.ts';
import { Membership, peerOf } from './membership.ts';
import { createNode, type OverlayNode } from './node.ts';
import { PeerKeeper } from './peer-keeper.ts';
import { Providers } from './providers.ts';
import { Refusal } from './request-error.ts';
import { decodeSignedCharter, encodeSignedCharter, InvalidCharterError, type SignedCharter } from './signed-charter.ts';
import type {
  HandleOptions,
  Interaction,
  Overlay,
  OverlayInit,
  RequestHandler,
  RequestOptions,
  Topic,
} from './types.ts';

const second = 1000;

/** How often expired members are let go and an unstored charter is stored again. */
const tickMs = 5 * second;

/** Every so many ticks everyone is greeted again, so that an announcement that got lost is made up for. */
const ticksPerGreeting = 6;

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
  readonly #keeper: PeerKeeper;
  readonly #gossip: Gossip;
  readonly #providers: Providers;
  readonly #handlers = new Map<string, { readonly options: HandleOptions; readonly f: RequestHandler }>();
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
    this.#keeper = new PeerKeeper({
      self: this.peerId,
      members: () => this.#membership.all(),
      connected: () => this.#greeter.peers(),
      dial: async (member) => {
        await this.#connect(member);
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
      topics: topics.map((t) => topicName(network, t)),
      ...(metrics === undefined ? {} : { metrics }),
    });
    this.#node = node;
    await this.#charters.load();
    node.addEventListener('connection:open', this.#opened);
    node.addEventListener('connection:close', this.#closed);
    this.#gossip.attach(node.services.pubsub);
    await this.#serve(
      helloProtocol,
      { maxRequestBytes: maxHelloBytes, timeoutMs: helloTimeoutMs },
      (bytes, connection) => this.#greeter.answer(bytes, connection),
    );
    await this.#serve(
      charterProtocol,
      { maxRequestBytes: 0, timeoutMs: charterTimeoutMs, maxConcurrentPerPeer: 2 },
      async () => this.#giveCharter(),
    );
    for (const [protocol, handler] of this.#handlers) await this.#register(protocol, handler);
    await node.start();
    this.#gossip.join();
    this.#providers.start(node.services.dht);
    await this.#rememberAddresses();
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

  subscribe(topic: Topic, f: (bytes: Uint8Array, from: string) => void): () => void {
    return this.#gossip.subscribe(topic, f);
  }

  handle(protocol: string, options: HandleOptions, f: RequestHandler): void {
    if (this.#handlers.has(protocol)) throw new Error(`${protocol} is already served`);
    const handler = { options, f };
    this.#handlers.set(protocol, handler);
    if (this.#node === undefined) return;
    this.#register(protocol, handler).catch((error: unknown) => {
      this.#init.log.error({ protocol, reason: wordsOf(error) }, 'protocol could not be registered');
    });
  }

  async request(peer: string, protocol: string, bytes: Uint8Array, options: RequestOptions): Promise<Uint8Array> {
    return ask({
      peer,
      protocol,
      bytes,
      options,
      connection: async (signal) => {
        const member = this.#membership.current(peer);
        if (member === undefined) throw new Error('it is no member of the charter');
        return this.#greeter.connectionTo(peer) ?? (await this.#connect(member, signal));
      },
      onInteraction: (event) => this.#onInteraction.tell(peer, event),
    });
  }

  async dial(address: string): Promise<void> {
    const node = this.#running(`dial ${address}`);
    const target = multiaddr(address);
    const known = peerOf(target);
    if (known !== undefined && this.#greeter.connectionTo(known) !== undefined) return;
    await this.#greeter.untilGreeted(await this.#membership.onErrand(target, () => node.dial(target)));
  }

  async provide(key: string): Promise<void> {
    await this.#providers.provide(key);
  }

  async findProviders(key: string, signal: AbortSignal): Promise<readonly string[]> {
    return this.#providers.find(key, signal);
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
      void this.#rememberAddresses();
    }
    this.#onCharter.tell(charter);
  }

  /** libp2p's address book, from which the DHT dials, follows the charter. */
  async #rememberAddresses(): Promise<void> {
    const node = this.#node;
    if (node === undefined) return;
    for (const member of this.#membership.all()) {
      if (member.peerId === this.peerId) continue;
      try {
        await node.peerStore.patch(peerIdFromString(member.peerId), {
          multiaddrs: member.addresses.map((a) => multiaddr(a)),
        });
      } catch (error) {
        this.#init.log.debug({ peer: member.peerId, reason: wordsOf(error) }, 'address book not updated');
      }
    }
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
      void this.#rememberAddresses();
    }
    void this.#charters.retrySave();
  }

  /** Dials a member at its charter addresses and waits for the hello. */
  async #connect(member: Member, signal?: AbortSignal): Promise<Connection> {
    const node = this.#running(`dial ${member.name}`);
    if (member.addresses.length === 0) throw new Error('it is not connected and has no address to dial');
    const targets = member.addresses.map((a) =>
      peerOf(multiaddr(a)) ? multiaddr(a) : multiaddr(`${a}/p2p/${member.peerId}`),
    );
    const connection = await node.dial(targets, signal === undefined ? {} : { signal });
    await this.#greeter.untilGreeted(connection);
    return connection;
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

  async #register(
    protocol: string,
    { options, f }: { readonly options: HandleOptions; readonly f: RequestHandler },
  ): Promise<void> {
    await this.#serve(protocol, options, (request, connection, signal) =>
      f(request, connection.remotePeer.toString(), signal),
    );
  }

  async #serve(
    protocol: string,
    options: HandleOptions,
    answer: (request: Uint8Array, connection: Connection, signal: AbortSignal) => Promise<Uint8Array>,
  ): Promise<void> {
    const node = this.#running(`serve ${protocol}`);
    const service = {
      protocol,
      options,
      answer,
      isMember: (peer: string) => this.#membership.current(peer) !== undefined,
      onInteraction: (peer: string, event: Interaction) => this.#onInteraction.tell(peer, event),
      log: this.#init.log,
    };
    await node.handle(protocol, serve(service), { maxInboundStreams: maxStreams(options), maxOutboundStreams: 256 });
  }

  #running(what: string): OverlayNode {
    if (this.#node === undefined) throw new Error(`cannot ${what}: the overlay is not started`);
    return this.#node;
  }
}
