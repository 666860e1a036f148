import type { ValidatorOptions } from '../../validator/index.ts';
import type { Io } from '../io.ts';
import { podLogger } from './log.ts';

/** Flags of `murmur validator`, as the operator writes them into the pod. */
export interface ValidatorFlags extends Omit<ValidatorOptions, 'env' | 'dataDir' | 'log' | 'world' | 'signal'> {
  readonly debug?: boolean;
}

/** Runs one validator until it is told to stop. */
export async function validator(flags: ValidatorFlags, io: Io): Promise<void> {
  const { debug, ...options } = flags;
  const log = podLogger('validator', debug, io).child({ node: flags.name, network: flags.network });
  const { startValidator } = await import('../../validator/index.ts');
  const running = await startValidator({ ...options, env: io.env, log, signal: io.signal });
  await running.stopped;
}
