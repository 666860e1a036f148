import type { CID } from 'multiformats/cid';
import type { HoldingsEvents, Swarm } from '../chunks/index.ts';
import type { World } from './world.ts';

const REPORT_MILLISECONDS = 2_000;
/** What comes together is told together. */
const GATHER_MILLISECONDS = 100;

export interface ReporterParts {
  /** Composes the report of now and gossips it. */
  readonly publish: () => Promise<void>;
  readonly sleep: World['sleep'];
  readonly onError: (error: unknown) => void;
}

/** Tells the others what this validator is and holds: every two seconds, and at once when a version or a chunk came. */
export class Reporter {
  readonly #parts: ReporterParts;
  #wake = new AbortController();

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  /** Something has changed that others wait for. */
  hurry(): void {
    this.#wake.abort();
  }

  /** Runs until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { publish, sleep, onError } = this.#parts;
    while (!signal.aborted) {
      await sleep(REPORT_MILLISECONDS, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined);
      if (this.#wake.signal.aborted) await sleep(GATHER_MILLISECONDS, signal).catch(() => undefined);
      this.#wake = new AbortController();
      if (signal.aborted) return;
      await publish().catch(onError);
    }
  }
}

/** Chunks that come by the hundred are told of when all are here, or in the next report that is due. */
export function tellOfChunks(
  swarm: Pick<Swarm, 'isFetching'>,
  hurry: () => void,
): Pick<HoldingsEvents, 'onFollow' | 'onChunk'> {
  const tell = (version: CID): void => {
    if (!swarm.isFetching(version)) hurry();
  };
  return { onFollow: ({ cid }) => tell(cid), onChunk: tell };
}
