import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { ChunkStore } from '../chunks/index.ts';
import { type CharterStore, fileCharterStore } from '../overlay/index.ts';
import { EvidenceStore, type ReputationBook } from '../trust/index.ts';
import { CertificateStore } from './certificates.ts';
import { CertifiedTimes } from './certified-times.ts';
import type { ValidatorOptions } from './options.ts';
import { loadReputation } from './reputation-file.ts';
import { step } from './start-error.ts';
import type { World } from './world.ts';

/** What a validator keeps on its volume, and where. */
export interface ValidatorState {
  readonly identity: Uint8Array;
  readonly chunks: ChunkStore;
  readonly certificates: CertificateStore;
  readonly times: CertifiedTimes;
  readonly evidence: EvidenceStore;
  readonly charters: CharterStore;
  readonly reputation: ReputationBook;
  readonly reputationFile: string;
  /** Folder of a model's checkpoints. */
  readonly checkpoints: (uid: string) => string;
  /** File of a model's learning curve. */
  readonly curve: (uid: string) => string;
}

const forGood = new AbortController().signal;
const MEBIBYTE = 1024 * 1024;

/**
 * Bytes of a volume that chunks leave to checkpoints, certificates, evidence and reputation: 5 %, at least 64 MiB and at most
 * 4 GiB (two of the largest checkpoints and the next one), but never more than half.
 */
export const leftToOthers = (totalBytes: number): number =>
  Math.floor(Math.min(Math.max(totalBytes / 20, 64 * MEBIBYTE), 4096 * MEBIBYTE, totalBytes / 2));

/** Reads the identity key and opens the state folder; what holds something open is closed by `opened`. @throws StartError */
export async function openState(
  { identity, stateDir, log }: Pick<ValidatorOptions, 'identity' | 'stateDir' | 'log'>,
  world: World,
  opened: AsyncDisposableStack,
): Promise<ValidatorState> {
  const key = await step(
    `read the identity key ${identity}`,
    'see that the Secret of the identity is there and mounted',
    () => readFile(identity),
  );
  const leftOut = (file: string, error: unknown) => log.warn({ file, err: error }, 'cannot be read and is left out');
  const reputationFile = path.join(stateDir, 'reputation.json');
  return step(
    `open the state folder ${stateDir}`,
    'see that the volume is mounted there and can be written',
    async () => {
      await mkdir(stateDir, { recursive: true });
      const { totalBytes } = await world.disk.space(stateDir);
      const chunks = await ChunkStore.open(path.join(stateDir, 'chunks'), {
        fs: world.disk,
        clock: { now: world.monotonic, sleep: (ms, signal = forGood) => world.sleep(ms, signal) },
        minFreeBytes: leftToOthers(totalBytes),
      });
      opened.defer(() => chunks.close());
      return {
        identity: key,
        chunks,
        certificates: await CertificateStore.open(path.join(stateDir, 'certificates'), leftOut),
        times: await CertifiedTimes.open(path.join(stateDir, 'certified-at.json'), leftOut),
        evidence: await EvidenceStore.open(path.join(stateDir, 'evidence')),
        charters: fileCharterStore(path.join(stateDir, 'charter.bin')),
        reputation: await loadReputation(reputationFile, world.monotonic, log),
        reputationFile,
        checkpoints: (uid) => path.join(stateDir, 'models', path.basename(uid)),
        curve: (uid) => path.join(stateDir, 'models', path.basename(uid), 'curve.json'),
      };
    },
  );
}
