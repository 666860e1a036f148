import type { HolderState, ModelShardStatus } from '../../api/index.ts';

export type Holder = NonNullable<ModelShardStatus['holders']>[number];

/** What is known of a validator's copy. */
export interface Copy {
  /** Chunks of the shard that it reports as held, checked. */
  readonly chunks: number;
  /** Its report is fresh: the copy can be fetched now. */
  readonly live: boolean;
}

export interface HoldersInput {
  /** Holders of the last status. */
  readonly before: readonly Holder[];
  /** Who should hold it now, best first. */
  readonly wanted: readonly string[];
  readonly replicas: number;
  /** Chunks of the shard in the present version; undefined while no version is certified. */
  readonly chunks: number | undefined;
  readonly copies: ReadonlyMap<string, Copy>;
  /** Validators that still exist, pod or not: a copy on another one is lost. */
  readonly existing: ReadonlySet<string>;
}

/**
 * The holders after this moment. Copy, verify, then remove: a holder that is no longer wanted goes on (Draining) until
 * as many wanted ones as can be had hold every chunk. (Invariant 4: test/unit/operator/holders.test.ts.)
 */
export function nextHolders(input: HoldersInput): readonly Holder[] {
  const wanted = input.wanted.map((node) => wantedHolder(node, input));
  const enough = Math.min(input.replicas, wanted.length);
  const isSafe =
    input.chunks === undefined ||
    (enough > 0 && wanted.filter((holder) => isLiveCopy(holder, input)).length >= enough && enough >= input.replicas);
  if (isSafe) return sorted(wanted);
  const draining = input.before
    .filter(({ node }) => !input.wanted.includes(node) && input.existing.has(node))
    .map((holder): Holder => ({ ...holder, state: 'Draining', chunks: chunksOf(holder.node, holder, input) }));
  return sorted([...wanted, ...draining]);
}

/** Holders that have every chunk and can be asked for them now. */
export function availableReplicas(holders: readonly Holder[], input: HoldersInput): number {
  if (input.chunks === undefined) return 0;
  return holders.filter((holder) => isLiveCopy(holder, input)).length;
}

const isLiveCopy = ({ node, chunks }: Holder, input: HoldersInput): boolean =>
  input.chunks !== undefined && chunks >= input.chunks && (input.copies.get(node)?.live ?? false);

function wantedHolder(node: string, input: HoldersInput): Holder {
  const before = input.before.find((holder) => holder.node === node);
  const chunks = chunksOf(node, before, input);
  return { node, state: stateOf(chunks, input.chunks), chunks };
}

function stateOf(chunks: number, all: number | undefined): HolderState {
  if (all === undefined) return 'Assigned';
  if (chunks >= all) return 'Verified';
  return chunks > 0 ? 'Fetching' : 'Assigned';
}

/** What was last known of a silent validator stays written; whether it counts is another question. */
function chunksOf(node: string, before: Holder | undefined, { copies, chunks }: HoldersInput): number {
  if (chunks === undefined) return 0;
  return Math.min(chunks, copies.get(node)?.chunks ?? before?.chunks ?? 0);
}

const sorted = (holders: readonly Holder[]): readonly Holder[] =>
  [...holders].sort((a, b) => (a.node < b.node ? -1 : 1));
