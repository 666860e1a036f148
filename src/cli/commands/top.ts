import { inWords, withConnection } from '../cluster/connection.ts';
import { CommandError, misused, reasonOf } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import { readFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { fleetText } from '../render/fleet.ts';
import { LiveBlock } from '../render/live.ts';

/** Flags of `murmur top`. */
export interface TopFlags extends ClusterFlags {
  /** Milliseconds between two looks. */
  readonly every: number;
}

/** Redraws the state of a namespace until Ctrl-C. An API server that is away for a while is said, and waited for. */
export async function top(flags: TopFlags, io: Io): Promise<void> {
  if (io.out.isTTY !== true) {
    throw misused(
      'murmur top redraws a terminal, and this is none.',
      'Use `murmur status`, or `murmur status -o json`.',
    );
  }
  const block = new LiveBlock(io.out);
  await withConnection(flags, io, async ({ client, namespace, server }) => {
    let seen = false;
    while (!io.signal.aborted) {
      try {
        const state = await readFleets(client, namespace, io.now, io.signal);
        block.draw([...fleetText(state, io.out.columns ?? 80), '', 'Ctrl-C ends this.']);
        seen = true;
      } catch (error) {
        if (io.signal.aborted) break;
        const said = inWords(error, server);
        if (!seen || !(said instanceof CommandError)) throw said;
        block.draw([reasonOf(said), 'Trying again. Ctrl-C ends this.']);
      }
      await io.wait(flags.every, io.signal).catch(() => undefined);
    }
  });
}
