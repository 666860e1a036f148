import { join } from 'node:path';
import type { Io } from '../io.ts';
import { podLogger } from './log.ts';

/** Flags of `murmur signer`. */
export interface SignerFlags {
  readonly key: string;
  readonly socket: string;
  readonly stateDir: string;
  readonly debug?: boolean;
}

/** Runs the signer until it is told to stop. */
export async function signer(flags: SignerFlags, io: Io): Promise<void> {
  const log = podLogger('signer', flags.debug, io);
  const { startSigner } = await import('../../trust/index.ts');
  const protectionDir = join(flags.stateDir, 'protection');
  const running = await startSigner({
    keyFile: flags.key,
    socket: flags.socket,
    protectionDir,
    log,
    signal: io.signal,
  });
  await running.closed;
}
