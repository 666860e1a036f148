import type { ModelShardStatus } from '../../api/index.ts';
import { type Holder, isWanted } from './holders.ts';

export type Repair = NonNullable<ModelShardStatus['repair']>;

export interface RepairInput {
  /** Unix ms. */
  readonly now: number;
  /** Holders of the last status. */
  readonly before: readonly Holder[];
  /** The repair under way then. */
  readonly underWay: Repair | undefined;
  readonly replicas: number;
  /** Replicas that are whole now. */
  readonly available: number;
  /** Some version had all replicas: there was something to lose. */
  readonly isPlaced: boolean;
  readonly existing: ReadonlySet<string>;
  readonly failed: ReadonlyMap<string, unknown>;
}

/**
 * The repair that is under way: begun when a holder is lost, fails its challenges, or is gone without a drain while too few
 * copies are left; over when every replica is there again.
 */
export function nextRepair(input: RepairInput): Repair | undefined {
  const { now, before, underWay, replicas, available, isPlaced, existing, failed } = input;
  if (!isPlaced || available >= replicas) return undefined;
  const lost = before
    .filter((holder) => isWanted(holder) && (!existing.has(holder.node) || failed.has(holder.node)))
    .map(({ node }) => node);
  if (lost.length === 0) return underWay;
  const all = [...new Set([...(underWay?.lost ?? []), ...lost])].sort();
  return { since: underWay?.since ?? new Date(now).toISOString(), lost: all };
}
