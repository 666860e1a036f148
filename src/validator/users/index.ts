/** Users on the validator's side: what they send, how long it stays, and how they are answered. For assembly.ts. */
import path from 'node:path';
import type { Logger } from 'pino';
import type { Overlay } from '../../overlay/index.ts';
import { type Opener, openerOf } from '../../user/index.ts';
import { step } from '../start-error.ts';
import type { World } from '../world.ts';
import { UserRows } from './rows.ts';

export { type DeskParts, UserDesk } from './desk.ts';
export { UserRows } from './rows.ts';

const mib = 1024 * 1024;
/** Rows of users take at most a hundredth of the volume, and no more than this of volume and memory. */
const MAX_BYTES = 64 * mib;

/** Opens what users have sent before a restart. @throws StartError */
export async function openUserRows(
  { stateDir, network, log }: { readonly stateDir: string; readonly network: string; readonly log: Logger },
  identity: Uint8Array,
  overlay: Pick<Overlay, 'peerId'>,
  world: Pick<World, 'disk' | 'now'>,
): Promise<{ readonly opener: Opener; readonly rows: UserRows }> {
  const folder = path.join(stateDir, 'users');
  const fix = 'see that the volume is mounted there and can be written';
  return step(`open the rows of users in ${folder}`, fix, async () => {
    const opener = await openerOf(identity, network);
    const { totalBytes } = await world.disk.space(stateDir);
    const maxBytes = Math.min(MAX_BYTES, Math.floor(totalBytes / 100));
    const { disk, now } = world;
    const rows = await UserRows.open({ folder, disk, opener, network, self: overlay.peerId, maxBytes, now, log });
    return { opener, rows };
  });
}
