import { CHALLENGE_PROTOCOL, type ChunkStore, challenge, type Holdings, NONCE_BYTES } from '../chunks/index.ts';
import type { Overlay } from '../overlay/index.ts';
import type { ReputationBook } from '../trust/index.ts';
import type { Neighbours } from './neighbours.ts';

export { CHALLENGE_PROTOCOL };

/**
 * Asks one random neighbour to prove that it holds a chunk that it says it holds and that is held here too.
 * What comes of it moves the storage part of its reputation; no answer moves nothing.
 */
export async function challengeSomebody(
  parts: {
    readonly overlay: Pick<Overlay, 'request'>;
    readonly store: ChunkStore;
    readonly holdings: Holdings;
    readonly neighbours: Neighbours;
    readonly peers: () => readonly string[];
    readonly reputation: ReputationBook;
    readonly random: () => number;
    readonly nonce: (bytes: number) => Uint8Array;
  },
  signal: AbortSignal,
): Promise<void> {
  const { overlay, store, holdings, neighbours, peers, reputation, random, nonce } = parts;
  const pick = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
  const peer = pick(peers());
  const holding = pick(holdings.list());
  if (peer === undefined || holding === undefined) return;
  const version = holding.cid.toString();
  const held = neighbours.held(peer, version);
  const map = neighbours.map(peer, version, holding.map.length);
  const index = map && pick([...map.intersection(holding.map).indexes()]);
  const cid = index === undefined ? undefined : holding.manifest.chunks[index];
  const bytes = cid && (await store.get(cid));
  if (cid === undefined || bytes === undefined) return;
  const outcome = await challenge({ network: overlay, peer, cid, bytes, nonce: nonce(NONCE_BYTES), signal });
  if (outcome === 'passed') reputation.challengePassed(peer);
  // It may have dropped the chunk since it last reported: only a claim that is still made counts against it.
  if (outcome === 'failed' && neighbours.held(peer, version) === held) reputation.challengeFailed(peer);
}
