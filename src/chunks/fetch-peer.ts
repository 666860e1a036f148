import type { BufferMap } from './buffer-map.ts';

/** One peer, as a fetch sees it. */
export interface Peer {
  readonly id: string;
  /** What it holds of the version; `undefined`: not known, so it may hold anything. */
  map: BufferMap | undefined;
  inFlight: number;
  /** Requests in a row that got no answer. */
  failures: number;
  /** Not asked before this time: it was busy or did not answer. */
  notBefore: number;
  /** Not asked again in this fetch. */
  dropped: boolean;
  /** Blocks it said it does not have. */
  readonly lacks: Set<string>;
}

export function newPeer(id: string): Peer {
  return { id, map: undefined, inFlight: 0, failures: 0, notBefore: 0, dropped: false, lacks: new Set() };
}

/** Whether a peer may have a block that stands at these places of the version (none: a manifest, which whoever has the version has). */
export function mayHave({ map, lacks }: Peer, key: string, indexes: readonly number[]): boolean {
  if (lacks.has(key)) return false;
  return map === undefined || indexes.length === 0 || indexes.some((index) => map.has(index));
}

/** It did not answer: leave it alone for half a second to 30 s, twice as long each time, with jitter. */
export function backOff(peer: Peer, now: number, random: () => number): void {
  peer.failures++;
  peer.notBefore = now + Math.min(30_000, 250 * 2 ** peer.failures) * (0.5 + random() / 2);
}

/** What a failed request says of the peer. The overlay's errors carry a `kind`; any other is taken for silence. */
export function outcomeOf(error: unknown): 'refused' | 'timeout' | 'oversize' {
  const kind = error instanceof Error && 'kind' in error ? error.kind : undefined;
  if (kind === 'too-large') return 'oversize';
  return kind === 'refused' ? 'refused' : 'timeout';
}

/** In place, every order as likely (Fisher-Yates). */
export function shuffle<T>(items: T[], random: () => number): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const a = items[last];
    const b = items[other];
    if (a === undefined || b === undefined) continue;
    items[last] = b;
    items[other] = a;
  }
}
