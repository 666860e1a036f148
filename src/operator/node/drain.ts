import { ANNOTATIONS, findCondition, REASONS } from '../../api/index.ts';
import type { ModelShard } from '../kinds.ts';
import { isCertified, isWanted } from '../shard/holders.ts';
import { type Judgement, no, yes } from '../verdicts.ts';
import type { NodeWorld } from './world.ts';

/** Where a validator stands on its way out. */
export interface Drain {
  /** Its pod may be deleted (asked only where the ValidatorNode is being deleted). */
  readonly mayGo: boolean;
  readonly condition: Judgement;
}

/**
 * A validator is drained once no shard with a certified version counts on it: then as many others as there should be hold
 * every chunk. One that is only cordoned waits for that as long as it takes, and stays where that is not to be had. One that
 * a person deletes goes when all the others that can hold its shards do, be they fewer; or when a person says that it may.
 */
export function drainOf(world: NodeWorld): Drain {
  const { node, holding, namespaceTerminating } = world;
  const { name, uid, annotations, deletionTimestamp } = node.metadata;
  const isDeleted = deletionTimestamp !== undefined;
  if (!node.spec.cordon && !isDeleted) {
    return { mayGo: false, condition: no('Drained', REASONS.Reconciled, 'In service.') };
  }
  if (namespaceTerminating) return { mayGo: true, condition: yes('Drained', REASONS.Deleting, 'The namespace goes.') };
  const all = holding.filter(isCertified).map((shard) => handoverOf(shard, name));
  if (all.length === 0) {
    return { mayGo: true, condition: yes('Drained', REASONS.Drained, 'All that it held is held elsewhere.') };
  }
  const open = all.filter(({ isDone }) => !isDone);
  const mayGo = open.length === 0 || annotations?.[ANNOTATIONS.skipDrain] === uid;
  const homeless = all.filter(({ isShort }) => isShort).map(({ shard }) => shard);
  if (homeless.length > 0 && (open.length === 0 || !isDeleted)) {
    return { mayGo, condition: no('Drained', ...whyHomeless(homeless)) };
  }
  const waiting = open.length === 0 ? all.map(({ shard }) => shard.metadata.name) : open.map(inWords);
  const how = isDeleted
    ? ` To let it go at once, and with it what only it holds: annotate it with ${ANNOTATIONS.skipDrain}=${uid}.`
    : '';
  const message = `Waiting for ${waiting.join(', ')} to be copied to other validators.${how}`;
  return { mayGo, condition: no('Drained', REASONS.Draining, message) };
}

/** How far a shard is with being held by others. */
interface Handover {
  readonly shard: ModelShard;
  /** Others that hold every chunk, checked, and answer. */
  readonly whole: number;
  /** Others that are to hold it. */
  readonly others: number;
  /** Every other one that is to hold it does. */
  readonly isDone: boolean;
  /** It is known that fewer are to hold it than should. */
  readonly isShort: boolean;
}

function handoverOf(shard: ModelShard, name: string): Handover {
  const { spec, status } = shard;
  const holders = status?.holders ?? [];
  const others = holders.filter((holder) => holder.node !== name && isWanted(holder));
  const whole = others.filter(({ state }) => state === 'Verified').length;
  // Until it is no holder to count on, nobody has looked for another place yet.
  const isPlanned = holders.every((holder) => holder.node !== name || !isWanted(holder));
  return {
    shard,
    whole,
    others: others.length,
    isDone: isPlanned && whole >= Math.min(spec.replicas, others.length),
    isShort: isPlanned && others.length < spec.replicas,
  };
}

const inWords = ({ shard, whole, others }: Handover): string =>
  `${shard.metadata.name} (${whole} of ${Math.max(others, shard.spec.replicas)} hold it)`;

function whyHomeless(shards: readonly ModelShard[]): readonly ['UnderReplicated' | 'CapacityExceeded', string] {
  const names = shards.map((shard) => shard.metadata.name).join(', ');
  const full = shards.find((shard) => findCondition(shard, 'Ready')?.reason === REASONS.CapacityExceeded);
  if (full !== undefined) {
    return [
      REASONS.CapacityExceeded,
      `Other validators have no room for ${names}. Enlarge their storage.size, add validators, lower shards.replicas or ` +
        `versions.keep of the Model, or delete this ValidatorNode to go below the replica count.`,
    ];
  }
  return [
    REASONS.UnderReplicated,
    `There are too few other validators to hold the replicas of ${names}. Add validators, lower shards.replicas of the ` +
      `Model, or delete this ValidatorNode to go below the replica count.`,
  ];
}
