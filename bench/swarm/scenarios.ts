import { leastMs } from './bound.ts';
import type { Rate } from './links.ts';
import type { Part } from './swarm.ts';

/** How large a swarm is. */
export interface Size {
  /** Peers that want the file; one more, the seed, has it. */
  readonly peers: number;
  /** Uplink of each. */
  readonly mbit: number;
  readonly mib: number;
  readonly chunkKib: number;
}

/** Of those that misbehave or leave. */
const TENTH = 0.1;
const FIFTH = 0.2;
const SLOW_FACTOR = 0.1;

const receiver = (rate: Rate): Part => ({ role: 'receiver', rate, startMs: 0, leaveMs: undefined });
const some = (size: Size, share: number): number => Math.max(1, Math.round(size.peers * share));

/** Everyone wants it at once. */
export function crowd(size: Size): readonly Part[] {
  return Array.from({ length: size.peers }, () => receiver(size.mbit));
}

/** They come one by one, evenly over the time that all at once would need. */
export function staggered(size: Size): readonly Part[] {
  const everyMs = boundMs(size) / size.peers;
  return crowd(size).map((part, index) => ({ ...part, startMs: index * everyMs }));
}

/** A fifth of them is gone, without a word, when half of that time is over. */
export function leavers(size: Size): readonly Part[] {
  const leaveMs = boundMs(size) / 2;
  return crowd(size).map((part, index) => (index < some(size, FIFTH) ? { ...part, leaveMs } : part));
}

/** A tenth of them has a tenth of the rate. */
export function slow(size: Size): readonly Part[] {
  return crowd(size).map((part, index) => (index < some(size, TENTH) ? receiver(size.mbit * SLOW_FACTOR) : part));
}

/** A tenth of them wants nothing, claims to have everything, and sends wrong bytes. */
export function liars(size: Size): readonly Part[] {
  return crowd(size).map((part, index) => (index < some(size, TENTH) ? { ...part, role: 'liar' } : part));
}

/** Two processes on a link that is not shaped. */
export const pair: readonly Part[] = [receiver(undefined)];

/** The least time of the crowd, ms: what every efficiency is measured against, also where some are slow or leave. */
export function boundMs({ peers, mbit, mib, chunkKib }: Size): number {
  return leastMs({ receivers: peers, bytes: mib * 2 ** 20, chunkBytes: chunkKib * 2 ** 10, mbit });
}
