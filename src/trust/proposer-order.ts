import { createHash } from 'node:crypto';

/**
 * In which order peers may propose the version of a height: rendezvous hashing, so every validator computes the same order from the
 * same members, it differs from height to height, and a peer that comes or goes moves nobody else.
 */
export function proposerOrder(model: string, height: number, peers: readonly string[]): readonly string[] {
  return [...new Set(peers)]
    .map((peer) => ({ peer, rank: createHash('sha256').update(`${model}\0${height}\0${peer}`).digest('hex') }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ peer }) => peer);
}
