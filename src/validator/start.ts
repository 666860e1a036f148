import { assemble } from './assembly.ts';
import type { ValidatorOptions } from './options.ts';
import { realWorld } from './world.ts';

/** A validator that runs. */
export interface RunningValidator {
  readonly peerId: string;
  /** Base URL of its HTTP server. */
  readonly url: string;
  /** Base URL of the server that gives blocks of models. */
  readonly blocksUrl: string;
  /** Multiaddrs that it listens on. */
  readonly addresses: readonly string[];
  /** Settles when it has stopped and everything worth keeping is on disk. */
  readonly stopped: Promise<void>;
}

/**
 * Starts a validator; it runs until `options.signal` is aborted.
 * @throws StartError when it cannot start: key, disk, backend or port. What was opened is closed again.
 */
export async function startValidator(options: ValidatorOptions): Promise<RunningValidator> {
  const { log, signal } = options;
  const opened = new AsyncDisposableStack();
  const close = async () => {
    try {
      await opened.disposeAsync();
    } catch (error) {
      log.warn({ err: error }, 'not everything could be closed as it should');
    }
  };
  try {
    const running = await assemble(options, { ...realWorld, ...options.world }, opened);
    const stopped = new Promise<void>((resolve) => {
      const stop = async () => {
        log.info('stopping');
        await close();
        log.info('stopped');
        resolve();
      };
      if (signal.aborted) void stop();
      else signal.addEventListener('abort', () => void stop(), { once: true });
    });
    return { ...running, stopped };
  } catch (error) {
    await close();
    throw error;
  }
}
