import {
  type Channels,
  type Charter,
  type Overlay,
  type OverlayInit,
  openCharter,
  type Report,
  type Spoken,
  type Topic,
} from '../../../src/overlay/index.ts';

/** What a scripted validator reports; the rest is filled in. */
export type Said = Partial<Omit<Report, 'v' | 'node' | 'at'>>;

/**
 * Stands in for libp2p: it takes the charters that the operator speaks, as a real overlay would (signature and network
 * checked), and lets the test speak as any member.
 */
export class ScriptedOverlays {
  readonly #all = new Map<string, ScriptedOverlay>();

  readonly create = (init: OverlayInit): Overlay => {
    const overlay = new ScriptedOverlay(init);
    this.#all.set(init.network, overlay);
    return overlay;
  };

  of(network: string): ScriptedOverlay | undefined {
    return this.#all.get(network);
  }

  all(): readonly ScriptedOverlay[] {
    return [...this.#all.values()];
  }
}

export class ScriptedOverlay implements Overlay {
  readonly peerId = 'operator';
  readonly addresses: readonly string[] = [];
  readonly dialed = new Set<string>();
  readonly spoken: Charter[] = [];
  charter: Charter | undefined;
  running = false;
  readonly #init: OverlayInit;
  #reports: ((report: Report, from: string) => void) | undefined;
  readonly #charters = new Set<(charter: Charter) => void>();

  constructor(init: OverlayInit) {
    this.#init = init;
  }

  async start(): Promise<void> {
    this.running = true;
  }

  async stop(): Promise<void> {
    this.running = false;
  }

  async adopt(signed: Parameters<Overlay['adopt']>[0]): Promise<'adopted' | 'known' | 'older'> {
    const charter = await openCharter(signed, this.#init);
    if (charter.seq === this.charter?.seq) return 'known';
    if (charter.seq < (this.charter?.seq ?? 0)) return 'older';
    this.charter = charter;
    this.spoken.push(charter);
    for (const listener of this.#charters) listener(charter);
    return 'adopted';
  }

  /** As if a peer had told of this charter, signed by the operator's own key. */
  tellOf(charter: Charter): void {
    for (const listener of this.#charters) listener(charter);
  }

  /** As if this validator had reported. */
  report(node: string, said: Said): void {
    const member = this.charter?.members.find(({ name }) => name === node);
    if (member === undefined || !this.running) return;
    const report: Report = {
      v: 1,
      node,
      at: Date.now(),
      charterSeq: this.charter?.seq ?? 0,
      peers: 2,
      backend: 'wasm',
      disk: { usedBytes: 1_000_000, freeBytes: 1_000_000_000 },
      models: [],
      reputation: [],
      held: [],
      problems: [],
      ...said,
    };
    this.#reports?.(report, member.peerId);
  }

  onCharter(f: (charter: Charter) => void): () => void {
    this.#charters.add(f);
    return () => this.#charters.delete(f);
  }

  peers(): readonly string[] {
    return [];
  }

  onPeers(): () => void {
    return () => undefined;
  }

  async publish(): Promise<void> {}

  subscribe<T extends Topic>(topic: T, f: (said: Spoken[T], from: string) => void): () => void {
    if (topic === 'reports') this.#reports = f as (report: Report, from: string) => void;
    return () => undefined;
  }

  handle(): void {}

  channels(): Channels {
    return { send: () => true, close: () => undefined };
  }

  async request(): Promise<Uint8Array> {
    throw new Error('nobody asks here');
  }

  async dial(address: string): Promise<void> {
    this.dialed.add(address);
  }

  async provide(): Promise<void> {}

  async withhold(): Promise<void> {}

  async findProviders(): Promise<readonly string[]> {
    return [];
  }

  onInteraction(): () => void {
    return () => undefined;
  }
}
