import type { Logger } from 'pino';
import type { ChunkStore, Holdings } from '../chunks/index.ts';
import { decodeSignedCharter, type Overlay } from '../overlay/index.ts';
import type { ReputationBook } from '../trust/index.ts';
import { followFile } from './charter-file.ts';
import type { Curves } from './curves.ts';
import type { Market } from './market.ts';
import type { Neighbours } from './neighbours.ts';
import { repeat } from './repeat.ts';
import type { Replicas } from './replicas.ts';
import type { Reporter } from './reporter.ts';
import type { Rest } from './rest.ts';
import { challengeSomebody } from './storage-challenges.ts';
import type { UserDesk } from './users/index.ts';
import type { Versions } from './versions.ts';
import type { World } from './world.ts';

const second = 1000;
const CHARTER_FILE_MILLISECONDS = 2 * second;
const VERSIONS_MILLISECONDS = 1 * second;
const REPLICAS_MILLISECONDS = 1 * second;
const CHALLENGE_MILLISECONDS = 5 * second;
const MARKET_MILLISECONDS = 5 * second;
const USERS_MILLISECONDS = 1 * second;
const REPUTATION_MILLISECONDS = 30 * second;
/** As often as models are evaluated. */
const CURVES_MILLISECONDS = 2 * second;
const SAVE_CURVES_MILLISECONDS = 30 * second;

export interface LoopsParts {
  readonly overlay: Overlay;
  /** File where the newest charter is mounted. */
  readonly charterFile: string;
  readonly reporter: Reporter;
  readonly versions: Versions;
  readonly replicas: Replicas;
  readonly market: Market;
  readonly desk: UserDesk;
  readonly store: ChunkStore;
  readonly holdings: Holdings;
  readonly neighbours: Neighbours;
  readonly peers: () => readonly string[];
  readonly reputation: ReputationBook;
  readonly curves: Curves;
  readonly saveCurves: () => Promise<unknown>;
  readonly rest: Rest;
  readonly saveReputation: () => Promise<unknown>;
  readonly world: Pick<World, 'sleep' | 'random' | 'nonce'>;
  readonly log: Logger;
}

/** What a validator does again and again beside learning, until aborted. Settles when all has ended. */
export async function runLoops(parts: LoopsParts, until: AbortSignal): Promise<void> {
  const { overlay, reporter, versions, replicas, market, desk, curves, rest, world, log } = parts;
  const { sleep } = world;
  const again = (milliseconds: number, what: string, act: () => Promise<unknown> | unknown): Promise<void> => {
    const onError = (error: unknown) => log.error({ err: error }, `could not ${what}; tries again`);
    return repeat(milliseconds, async () => void (await act()), { sleep, onError }, until);
  };
  const mountedCharter = {
    everyMilliseconds: CHARTER_FILE_MILLISECONDS,
    sleep,
    onBytes: async (bytes: Uint8Array) => void (await overlay.adopt(decodeSignedCharter(bytes))),
    onError: (error: unknown) => log.error({ err: error }, 'the mounted charter cannot be used'),
  };
  await Promise.allSettled([
    reporter.run(until),
    followFile(parts.charterFile, mountedCharter, until),
    again(VERSIONS_MILLISECONDS, 'look after versions', () => versions.tick()),
    again(REPLICAS_MILLISECONDS, 'hold what is placed here', () => replicas.sync(until)),
    again(MARKET_MILLISECONDS, 'tell what is here', () => market.sync()),
    again(USERS_MILLISECONDS, 'forget what users sent', () => desk.sweep()),
    again(CHALLENGE_MILLISECONDS, 'challenge a neighbour', () => challengeSomebody({ ...parts, ...world }, until)),
    again(CURVES_MILLISECONDS, 'look after learning curves', () => curves.look()),
    again(CURVES_MILLISECONDS, 'judge whether to learn on', () => rest.look()),
    again(SAVE_CURVES_MILLISECONDS, 'save learning curves', parts.saveCurves),
    again(REPUTATION_MILLISECONDS, 'save reputation', parts.saveReputation),
  ]);
}
