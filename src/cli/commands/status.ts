import { withConnection } from '../cluster/connection.ts';
import type { ClusterFlags, OutputFlags } from '../flags.ts';
import { readFleets } from '../fleet/read.ts';
import type { Io } from '../io.ts';
import { fleetText } from '../render/fleet.ts';
import { printJson } from '../render/json.ts';

/** Prints the state of a namespace once. */
export async function status(flags: ClusterFlags & OutputFlags, io: Io): Promise<void> {
  const state = await withConnection(flags, io, ({ client, namespace }) =>
    readFleets(client, namespace, io.now, io.signal),
  );
  if (flags.output === 'json') printJson(io.out, 'FleetState', state);
  else io.out.write(`${fleetText(state, io.out.columns ?? Number.POSITIVE_INFINITY).join('\n')}\n`);
}
