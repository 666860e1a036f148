import { isTrue, NODE_CONDITIONS } from '../../api/index.ts';
import type { Stores } from '../../kube/index.ts';
import type { ValidatorNode } from '../kinds.ts';
import { type Heard, isFresh } from '../network/heard.ts';
import type { Parts } from '../parts.ts';
import { look } from '../watched.ts';

/** A validator that was silent for so long holds nothing that counts; repair begins. ms */
export const LOST_MS = 120_000;
/** A new validator may take so long until it is first heard. ms */
const NEW_MS = 300_000;
/** One whose storage reputation is below this has failed challenges: what it says that it holds does not count. */
const POOR = 0.25;
/** It is given shards again from here on. A newcomer has 0.5. */
const FAIR = 0.4;
/** Reputation of one that nobody has judged. */
const NEUTRAL = 0.5;

/** How the operator hears a network. */
export interface Ears {
  /** Unix ms since when it listens; undefined: not for long enough that silence means something. */
  readonly since: number | undefined;
  /** It hears nobody at all, so that silence says something of the operator and nothing of the validators. */
  readonly deaf: boolean;
}

/** Whether a validator may be a holder, and if not, why. */
export interface Standing {
  readonly is: 'fit' | 'unready' | 'leaving' | 'lost' | 'corrupt';
  /** What it said last is recent. */
  readonly fresh: boolean;
  /** Nobody has reason to doubt what it says that it holds. */
  readonly sound: boolean;
  /** It may be given shards that it does not hold yet. */
  readonly isOpen: boolean;
  /** 0..1: what others say of it, or said when they were last heard. */
  readonly reputation: number;
  /** Unix ms at which it is lost if it stays silent; undefined where silence means nothing. */
  readonly lostAt: number | undefined;
}

/** Where a validator stands as a holder of shards. @param now unix ms */
export function standingOf(node: ValidatorNode, heard: Heard | undefined, ears: Ears, now: number): Standing {
  const recorded = node.status?.reputation;
  // While few have been heard, the median of what they say may be one liar's word: what was recorded counts, and the new
  // word is enough to doubt a copy, not to take it away.
  const known = ears.since === undefined ? undefined : heard?.reputation;
  const storage = known?.storage ?? Number(recorded?.storage ?? NEUTRAL);
  const lostAt = lossOf(node, heard, ears);
  const standing = {
    fresh: isFresh(heard, now),
    sound: Math.min(storage, heard?.reputation?.storage ?? storage) >= POOR,
    isOpen: storage >= FAIR,
    reputation: known?.score ?? Number(recorded?.score ?? NEUTRAL),
    lostAt,
  };
  if (node.metadata.deletionTimestamp !== undefined || node.spec.cordon) return { ...standing, is: 'leaving' };
  if (node.status?.peerId === undefined || !isTrue(node, NODE_CONDITIONS.KeysReady)) {
    return { ...standing, is: 'unready' };
  }
  if (lostAt !== undefined && now >= lostAt) return { ...standing, is: 'lost' };
  return { ...standing, is: storage < POOR ? 'corrupt' : 'fit' };
}

/** One that was not heard yet is silent since the operator listens, and a new one is given time to start. */
function lossOf({ metadata }: ValidatorNode, heard: Heard | undefined, { since, deaf }: Ears): number | undefined {
  if (since === undefined || deaf) return undefined;
  if (heard !== undefined) return heard.at + LOST_MS;
  const created = Date.parse(metadata.creationTimestamp ?? '');
  return Math.max(since + LOST_MS, Number.isNaN(created) ? 0 : created + NEW_MS);
}

/** How the operator hears the network of these validators. */
export function earsFor(parts: Parts, overlay: string, nodes: readonly ValidatorNode[]): Ears {
  const since = parts.view.isListening(overlay) ? parts.view.listeningSince(overlay) : undefined;
  const now = parts.now();
  const deaf = !nodes.some(({ metadata }) => isFresh(parts.view.heard(overlay, metadata.name), now));
  return { since, deaf };
}

/** Names of the validators of a network that may be given shards. */
export function candidatesOf(stores: Stores, parts: Parts, namespace: string, network: string): readonly string[] {
  const overlay = `${namespace}/${network}`;
  const nodes = look.nodesOf(stores, namespace, network);
  const ears = earsFor(parts, overlay, nodes);
  const now = parts.now();
  return nodes
    .filter((node) => standingOf(node, parts.view.heard(overlay, node.metadata.name), ears, now).is === 'fit')
    .map(({ metadata }) => metadata.name);
}
