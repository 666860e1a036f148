import type { HolderState, ModelShardStatus } from '../../api/index.ts';
import type { ModelShard } from '../kinds.ts';

export type Holder = NonNullable<ModelShardStatus['holders']>[number];

/** What is known of a validator's copy. */
export interface Copy {
  /** Chunks of the shard that it reports as held, checked. */
  readonly chunks: number;
  /** Its report is fresh: the copy can be fetched now. */
  readonly live: boolean;
  /** It does not fail storage challenges: what it reports is believed. */
  readonly sound: boolean;
}

/** Where a validator's pod is. */
export interface Location {
  readonly machine: string;
  readonly zone: string | undefined;
}

export interface HoldersInput {
  /** Holders of the last status. */
  readonly before: readonly Holder[];
  /** Who should hold it now, best first. */
  readonly wanted: readonly string[];
  /** False: it is placed on nobody, and what there is of it stays where it is. */
  readonly isPlaced: boolean;
  readonly replicas: number;
  /** Chunks of the shard in the present version; undefined while no version is certified. */
  readonly chunks: number | undefined;
  /** Absent where a validator was not heard. */
  readonly copies: ReadonlyMap<string, Copy>;
  /** Validators that still exist, pod or not: a copy on another one is lost. */
  readonly existing: ReadonlySet<string>;
  /** Of these, those whose copies do not count any more, and why. */
  readonly failed: ReadonlyMap<string, 'Lost' | 'Corrupt'>;
  /** Silence means something. */
  readonly listening: boolean;
  readonly locations: ReadonlyMap<string, Location>;
}

/**
 * The holders after this moment. Copy, verify, then remove: a holder that is no longer wanted goes on until as many
 * wanted ones as there should be hold every chunk. (Invariant 4: test/unit/operator/holders.test.ts.)
 */
export function nextHolders(input: HoldersInput): readonly Holder[] {
  // Validators keep chunks that are placed on nobody, and take no more of them.
  if (!input.isPlaced) return [];
  const wanted = input.wanted.map((node) => wantedHolder(node, input));
  const isSafe =
    input.chunks === undefined || wanted.filter((holder) => isWhole(holder, input)).length >= input.replicas;
  if (isSafe) return sorted(wanted);
  const waiting = input.before
    .filter(({ node }) => !input.wanted.includes(node) && input.existing.has(node))
    .map((holder): Holder => {
      const state = input.failed.get(holder.node) ?? 'Draining';
      return { ...located(holder.node, holder, input), state, chunks: chunksOf(holder.node, holder, input) };
    })
    .toSorted((a, b) => b.chunks - a.chunks)
    .slice(0, MOST_HOLDERS - wanted.length);
  return sorted([...wanted, ...waiting]);
}

/** A status has room for no more. */
const MOST_HOLDERS = 128;

/** Holders that have every chunk, are believed, and can be asked for them now. */
export function availableReplicas(holders: readonly Holder[], input: HoldersInput): number {
  return holders.filter((holder) => isWhole(holder, input)).length;
}

/** Chunks that are where they should be, and all that should be. */
export function progressOf(
  holders: readonly Holder[],
  { replicas, chunks = 0 }: { readonly replicas: number; readonly chunks?: number | undefined },
): { readonly held: number; readonly wanted: number } {
  const wanted = chunks * replicas;
  const held = holders.filter(isWanted).reduce((sum, holder) => sum + holder.chunks, 0);
  return { held: Math.min(held, wanted), wanted };
}

/** Whether there is something to hold: chunks of a version that was certified. */
export const isCertified = ({ status }: ModelShard): boolean =>
  status?.versionCid !== undefined && (status.chunks ?? 0) > 0;

const WAITING: ReadonlySet<HolderState> = new Set(['Draining', 'Lost', 'Corrupt']);

/** Whether the holder is to go on holding its copy. */
export const isWanted = ({ state }: Pick<Holder, 'state'>): boolean => !WAITING.has(state);

function isWhole({ node, chunks }: Holder, input: HoldersInput): boolean {
  const copy = input.copies.get(node);
  return input.chunks !== undefined && chunks >= input.chunks && copy?.live === true && copy.sound;
}

function wantedHolder(node: string, input: HoldersInput): Holder {
  const before = input.before.find((holder) => holder.node === node);
  const chunks = chunksOf(node, before, input);
  return { ...located(node, before, input), state: stateOf(node, before, chunks, input), chunks };
}

function stateOf(node: string, before: Holder | undefined, chunks: number, input: HoldersInput): HolderState {
  if (input.chunks === undefined) return 'Assigned';
  const copy = input.copies.get(node);
  const silent = copy === undefined ? input.listening && chunks > 0 : !copy.live;
  if (silent) return 'Stale';
  // Not heard since the operator began to listen: what was known of it stands.
  if (copy === undefined && before?.state === 'Stale') return 'Stale';
  if (chunks >= input.chunks) return 'Verified';
  return chunks > 0 ? 'Fetching' : 'Assigned';
}

/** What was last known of a silent validator stays written; whether it counts is another question. */
function chunksOf(node: string, before: Holder | undefined, { copies, chunks }: HoldersInput): number {
  if (chunks === undefined) return 0;
  return Math.min(chunks, copies.get(node)?.chunks ?? before?.chunks ?? 0);
}

/** Where it is; while its pod is on no machine, where it was: a pod that is restarted moves no chunks. */
function located(
  node: string,
  before: Holder | undefined,
  { locations }: HoldersInput,
): Pick<Holder, 'node' | 'machine' | 'zone'> {
  const { machine, zone } = locations.get(node) ?? before ?? {};
  return { node, ...(machine === undefined ? {} : { machine }), ...(zone === undefined ? {} : { zone }) };
}

const sorted = (holders: readonly Holder[]): readonly Holder[] =>
  [...holders].sort((a, b) => (a.node < b.node ? -1 : 1));
