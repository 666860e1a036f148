/**
 * How the bench talks to a validator in a process of its own, over the channel that Node opens to a child. The process is
 * given a ValidatorConfig (JSON) as its only argument. It ends when the channel does, so none outlives a bench that was killed.
 *
 *     up -> held -> go -> held        count and leave at any time
 */

/** What a validator is told; paths are files and folders that are made already, besides the charter. */
export interface ValidatorConfig {
  readonly name: string;
  /** Overlay to join. */
  readonly network: string;
  /** Peer id of who signs charters. */
  readonly authority: string;
  /** Has identity.key and stake.key; state goes there too. */
  readonly folder: string;
  /** Where the charter will lie. */
  readonly charter: string;
  /** Folder of volumes. */
  readonly mounts: string;
}

export type Command =
  /** Learn until so many updates are done in all; for good where it is not said. */
  | { readonly do: 'go'; readonly updates?: number }
  | { readonly do: 'count' }
  /** Stop as a pod does, with a last checkpoint. */
  | { readonly do: 'leave' };

export type Event =
  /** It listens, and waits for its charter. */
  | { readonly event: 'up'; readonly addresses: readonly string[]; readonly url: string }
  /** It is ready for its next update, which it was not told to do. */
  | ({ readonly event: 'held' } & Count)
  | ({ readonly event: 'counted' } & Count)
  | { readonly event: 'failed'; readonly why: string };

/** Updates (each of `localSteps` mini-batches) since the start. */
export interface Count {
  readonly updates: number;
  /** When the last one was done: milliseconds of CLOCK_MONOTONIC, which all processes of a machine share. */
  readonly at: number;
  /** CPU time of the process until then, all its threads, user and system. ms */
  readonly cpuMs: number;
}

/** Milliseconds of CLOCK_MONOTONIC. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

/** The times of a count, now. */
export function times(): Omit<Count, 'updates'> {
  const { user, system } = process.cpuUsage();
  return { at: monotonicMs(), cpuMs: (user + system) / 1000 };
}
