import pino from 'pino';
import { vi } from 'vitest';
import {
  type Charter,
  type CharterStore,
  createOverlay,
  generateIdentity,
  type Member,
  memoryCharterStore,
  type Overlay,
  type Report,
  type SignedCharter,
  signCharter,
} from '../../../src/overlay/index.ts';

/** Real peers over real TCP on loopback, in this process, and an authority that signs their charters. */

export const network = 'birds/flock';
export const log = pino({ level: process.env.LOG_LEVEL ?? 'silent' });

export type Key = Awaited<ReturnType<typeof generateIdentity>>;

export interface TestPeer {
  readonly overlay: Overlay;
  readonly key: Key;
  readonly store: CharterStore;
  readonly member: Member;
}

export class Fleet {
  readonly authority: Key;
  readonly peers: TestPeer[] = [];
  #seq = 0;

  private constructor(authority: Key) {
    this.authority = authority;
  }

  static async create(): Promise<Fleet> {
    return new Fleet(await generateIdentity());
  }

  /** A started peer that knows no charter yet. */
  async peer(
    name: string,
    more: {
      key?: Key;
      store?: CharterStore;
      listen?: readonly string[];
      network?: string;
      /** Before it is started. */
      setUp?: (overlay: Overlay) => void;
    } = {},
  ): Promise<TestPeer> {
    const key = more.key ?? (await generateIdentity());
    const store = more.store ?? memoryCharterStore();
    const overlay = createOverlay({
      network: more.network ?? network,
      identity: key.key,
      authority: this.authority.peerId,
      listen: more.listen ?? ['/ip4/127.0.0.1/tcp/0'],
      charters: store,
      log: log.child({ peer: name }),
    });
    more.setUp?.(overlay);
    await overlay.start();
    const peer = { overlay, key, store, member: memberOf(name, key.peerId, overlay.addresses) };
    this.peers.push(peer);
    return peer;
  }

  async charter(members: readonly Member[], more: Partial<Charter> = {}): Promise<SignedCharter> {
    this.#seq += 1;
    return signCharter(
      { network, seq: this.#seq, issuedAt: 1_790_000_000, members, models: [], placements: [], ...more },
      this.authority.key,
    );
  }

  /** Peers that all obey one charter and are connected to each other. */
  async flock(
    size: number,
    setUp: (overlay: Overlay, index: number) => void = () => undefined,
  ): Promise<readonly TestPeer[]> {
    const peers = await Promise.all(
      Array.from({ length: size }, (_, i) => this.peer(`flock-${i}`, { setUp: (overlay) => setUp(overlay, i) })),
    );
    const signed = await this.charter(peers.map((p) => p.member));
    await Promise.all(peers.map((p) => p.overlay.adopt(signed)));
    await allConnected(peers);
    return peers;
  }

  async stop(): Promise<void> {
    await Promise.all(this.peers.map((p) => p.overlay.stop()));
  }
}

export function memberOf(name: string, peerId: string, addresses: readonly string[]): Member {
  return { peerId, name, stakeKey: '', weight: 0, role: 'validator', notAfter: 0, addresses };
}

/** Until every one counts all the others as peers. */
export async function allConnected(peers: readonly TestPeer[], ms = 10_000): Promise<void> {
  await eventually('everyone is connected to everyone', ms, () =>
    peers.every((p) => p.overlay.peers().length === peers.length - 1),
  );
}

/** Waits for a state, at most `ms`, and says what it waited for. */
export async function eventually(what: string, ms: number, holds: () => boolean): Promise<void> {
  await vi.waitFor(
    () => {
      if (!holds()) throw new Error(`not within ${ms} ms: ${what}`);
    },
    { timeout: ms, interval: 20 },
  );
}

export function report(node: string, more: Partial<Report> = {}): Report {
  return {
    v: 1,
    node,
    at: 1_790_000_000_000,
    charterSeq: 1,
    peers: 3,
    backend: 'wasm',
    disk: { usedBytes: 1, freeBytes: 2 },
    models: [],
    reputation: [],
    held: [],
    problems: [],
    ...more,
  };
}
