import type { Logger } from 'pino';
import { messageOf } from '../../kube/index.ts';
import {
  type Charter,
  createOverlay as createRealOverlay,
  memoryCharterStore,
  type Overlay,
  type OverlayInit,
  type SignedCharter,
} from '../../overlay/index.ts';
import type { Authority } from '../authority/keeper.ts';
import type { FleetView } from './view.ts';

/** Validators that are not connected yet are dialed again after so long. ms */
export const DIAL_MS = 3_000;
/** So many validators are dialed by IP; gossip reaches the operator through any of them. */
const ENOUGH_PEERS = 8;

/** How an overlay is made; passed in, so that tests need no sockets. */
export type CreateOverlay = (init: OverlayInit) => Overlay;

export interface OverlaysInit {
  readonly view: FleetView;
  readonly log: Logger;
  readonly create?: CreateOverlay;
}

interface Joined {
  readonly overlay: Overlay;
  readonly started: Promise<void>;
  readonly dialing: Set<string>;
  /** The charter spoken last: speaking it again would only check it again. */
  spoken: SignedCharter | undefined;
  /** How many dials there were. */
  dialed: number;
  /** When validators were dialed last; ms on the monotonic clock. */
  dialedAt: number;
  heardSeq: number;
}

/** The operator's place in each overlay: one peer per network, while it leads. It speaks charters and hears the rest. */
export class Overlays {
  readonly #init: OverlaysInit;
  readonly #joined = new Map<string, Joined>();
  readonly #leaving = new Set<Promise<void>>();

  constructor(init: OverlaysInit) {
    this.#init = init;
  }

  /** Highest charter number heard under our own key; 0 where nothing was heard. */
  heardSeq(network: string): number {
    return this.#joined.get(network)?.heardSeq ?? 0;
  }

  /**
   * Joins the network where that is not done yet, and speaks the charter. Never waits for a peer.
   * @throws InvalidCharterError when the charter breaks the overlay's rules
   */
  async speak(network: string, signed: SignedCharter, charter: Charter, authority: Authority): Promise<void> {
    const { view } = this.#init;
    const joined = this.#joined.get(network) ?? this.#join(network, signed, authority);
    if (joined.spoken === signed) return;
    view.attend(network, charter);
    await joined.started;
    await joined.overlay.adopt(signed);
    joined.spoken = signed;
    joined.heardSeq = Math.max(joined.heardSeq, charter.seq);
  }

  /** Connects to those that are not connected yet; failures are tried again at a call {@link DIAL_MS} later. @param addresses by peer id */
  dial(network: string, addresses: ReadonlyMap<string, string>): boolean {
    const joined = this.#joined.get(network);
    if (joined === undefined) return false;
    const connected = new Set(joined.overlay.peers());
    const enough = Math.min(ENOUGH_PEERS, addresses.size);
    const wanting = [...addresses].filter(([peer]) => !connected.has(peer));
    if (connected.size >= enough) return true;
    if (performance.now() - joined.dialedAt < DIAL_MS) return false;
    joined.dialedAt = performance.now();
    // Others each time: those that come first may be the ones that cannot be reached.
    const first = joined.dialed % wanting.length;
    joined.dialed += ENOUGH_PEERS;
    for (const [peer, address] of [...wanting.slice(first), ...wanting.slice(0, first)].slice(0, ENOUGH_PEERS)) {
      if (joined.dialing.has(peer)) continue;
      joined.dialing.add(peer);
      joined.overlay
        .dial(address)
        .catch((error: unknown) => {
          this.#init.log.debug({ network, peer, address, err: messageOf(error) }, 'a validator cannot be reached yet');
        })
        .finally(() => joined.dialing.delete(peer));
    }
    return false;
  }

  /** Leaves a network that is no more. Nothing is said or heard from now on; resolves when the last connection is closed. */
  async leave(network: string): Promise<void> {
    const joined = this.#joined.get(network);
    if (joined === undefined) return;
    this.#joined.delete(network);
    this.#init.view.leave(network);
    const left = joined.overlay
      .stop()
      .catch((error: unknown) =>
        this.#init.log.warn({ network, err: messageOf(error) }, 'an overlay did not stop cleanly'),
      )
      .finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
    await left;
  }

  /** Leaves every network: the lead is lost, the process ends, or the keys have changed. Waits also for those being left. */
  async leaveAll(): Promise<void> {
    for (const network of [...this.#joined.keys()]) void this.leave(network);
    await Promise.all(this.#leaving);
  }

  #join(network: string, signed: SignedCharter, authority: Authority): Joined {
    const { view, log, create = createRealOverlay } = this.#init;
    const overlay = create({
      network,
      identity: authority.overlayKey,
      authority: authority.peerId,
      listen: [],
      charters: memoryCharterStore(signed),
      log: log.child({ network }),
    });
    overlay.subscribe('reports', (report, from) => view.hearReport(network, report, from));
    overlay.subscribe('votes', (bytes, from) => {
      try {
        view.hearVotes(network, bytes);
      } catch (error) {
        log.debug({ network, peer: from, err: messageOf(error) }, 'a message of topic votes is not well formed');
      }
    });
    const joined: Joined = {
      overlay,
      started: overlay.start(),
      dialing: new Set(),
      spoken: undefined,
      dialed: 0,
      dialedAt: Number.NEGATIVE_INFINITY,
      heardSeq: 0,
    };
    overlay.onCharter((charter) => {
      if (charter.seq <= joined.heardSeq) return;
      joined.heardSeq = charter.seq;
      const [namespace = '', name = ''] = network.split('/');
      view.networks.wake({ namespace, name: `${name}-charter` });
    });
    this.#joined.set(network, joined);
    return joined;
  }
}
