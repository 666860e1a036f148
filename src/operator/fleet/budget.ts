import { findCondition, isTrue, maxUnavailableOf, REASONS, SHARD_CONDITIONS } from '../../api/index.ts';
import { controllerOf, difference, PodDisruptionBudget } from '../../kube/index.ts';
import type { Action } from '../action.ts';
import type { ModelShard } from '../kinds.ts';
import { isCertified, isWanted } from '../shard/holders.ts';
import { buildBudget } from './children/budget.ts';
import type { FleetMember, FleetWorld } from './plan.ts';

/**
 * The budget by which the eviction API, and with it `kubectl drain`, waits: of the validators that should be up, as many may
 * be taken down at once as updateStrategy.maxUnavailable says, and never so many that a shard could be left without a live
 * copy while there is another place for it.
 * (Invariants: test/unit/operator/budget.test.ts.)
 */
export function planBudget(world: FleetWorld): readonly Action[] {
  const { fleet, budget } = world;
  const object = buildBudget(fleet, minAvailable(world));
  if (budget === undefined) return [{ do: 'create', kind: PodDisruptionBudget, object }];
  // A person's of that name is the person's word.
  if (controllerOf(budget)?.uid !== fleet.metadata.uid || budget.metadata.deletionTimestamp !== undefined) return [];
  return difference(object, budget) === undefined ? [] : [{ do: 'apply', kind: PodDisruptionBudget, object }];
}

/** Validators of the fleet that must stay up. */
export function minAvailable(world: FleetWorld): number {
  const counted = world.members.filter((member) => isCounted(world, member)).length;
  return Math.max(0, counted - allowed(world));
}

/** One that has no machine and holds nothing holds up nobody either: with it gone for a while, the next one may go. */
function isCounted({ shards }: FleetWorld, { node, pod }: FleetMember): boolean {
  if (node.metadata.deletionTimestamp !== undefined) return false;
  const scheduled = pod?.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status !== 'False' || shards.some((shard) => holds(shard, node.metadata.name));
}

const holds = ({ status }: ModelShard, node: string): boolean =>
  status?.holders?.some((holder) => holder.node === node) ?? false;

/** How many may be taken down at once. */
function allowed({ fleet, members, shards, isCordoned, spares }: FleetWorld): number {
  const all = members.map(({ node }) => node.metadata.name);
  const going = all.filter(isCordoned);
  // While a machine is drained, what is evicted is what runs there.
  const endangered = going.length > 0 ? going : all;
  const counted = shards.filter((shard) => isCertified(shard) && endangered.some((node) => holds(shard, node)));
  return Math.min(maxUnavailableOf(fleet.spec), ...counted.map((shard) => spareOf(shard, spares)));
}

/** Live copies of a shard that can be done without. Where there is none to lose, or no other place for it, waiting is of no use. */
function spareOf(shard: ModelShard, spares: FleetWorld['spares']): number {
  const { replicas } = shard.spec;
  const { availableReplicas = 0, holders = [] } = shard.status ?? {};
  // A version that was just certified is on its way: the judgement is calmer than the number.
  const live = isTrue(shard, SHARD_CONDITIONS.FullyReplicated)
    ? Math.max(replicas, availableReplicas)
    : availableReplicas;
  if (live !== 1) return Math.max(1, live - 1);
  const wanted = new Set(holders.filter(isWanted).map(({ node }) => node));
  const isFull = findCondition(shard, SHARD_CONDITIONS.Ready)?.reason === REASONS.CapacityExceeded;
  return !isFull && [...spares()].some((node) => !wanted.has(node)) ? 0 : 1;
}
