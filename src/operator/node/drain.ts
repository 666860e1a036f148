import { REASONS } from '../../api/index.ts';
import { type Judgement, no, yes } from '../verdicts.ts';
import type { NodeWorld } from './world.ts';

/** How long the deletion of a ValidatorNode waits for its chunks to be copied away. ms */
export const DRAIN_LIMIT_MS = 120_000;

/** Where a validator stands on its way out. */
export interface Drain {
  /** Its pod may be deleted (asked only where the ValidatorNode is being deleted). */
  readonly mayGo: boolean;
  readonly condition: Judgement;
}

/**
 * A validator is drained once no shard with a certified version counts on it. While it is only cordoned it waits for
 * as long as that takes; a deletion waits for {@link DRAIN_LIMIT_MS}, and not at all where no other place exists.
 */
export function drainOf(world: NodeWorld): Drain {
  const { node, holding, others, now, namespaceTerminating } = world;
  const leaving = node.spec.cordon || node.metadata.deletionTimestamp !== undefined;
  if (!leaving) return { mayGo: false, condition: no('Drained', REASONS.Reconciled, 'In service.') };
  if (namespaceTerminating) return { mayGo: true, condition: yes('Drained', REASONS.Deleting, 'The namespace goes.') };
  const counted = holding.filter((shard) => shard.status?.versionCid !== undefined && (shard.status.chunks ?? 0) > 0);
  if (counted.length === 0) {
    return { mayGo: true, condition: yes('Drained', REASONS.Drained, 'All that it held is held elsewhere.') };
  }
  const names = counted.map((shard) => shard.metadata.name).join(', ');
  const homeless = counted.filter((shard) => others < shard.spec.replicas);
  if (homeless.length > 0) {
    return {
      mayGo: true,
      condition: no(
        'Drained',
        REASONS.UnderReplicated,
        `${others} other validators cannot hold the replicas of ${homeless.map((shard) => shard.metadata.name).join(', ')}. ` +
          `Add validators, lower shards.replicas of the Model, or delete this ValidatorNode to go below the replica count.`,
      ),
    };
  }
  const since = Date.parse(node.metadata.deletionTimestamp ?? '');
  const late = now - since > DRAIN_LIMIT_MS;
  return {
    mayGo: late,
    condition: no(
      'Drained',
      REASONS.Draining,
      late
        ? `Gave up waiting after ${DRAIN_LIMIT_MS / 1000} s for ${names} to be copied; repair goes on elsewhere.`
        : `Waiting for ${names} to be copied to other validators.`,
    ),
  };
}
