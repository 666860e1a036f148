import type { Logger } from 'pino';
import type { World } from './world.ts';

/** How one validator is set: what `murmur validator` takes from the pod's arguments. Paths are files or folders in the pod. */
export interface ValidatorOptions {
  /** Name of the ValidatorNode. */
  readonly name: string;
  /** Overlay to join, as `namespace/network`. */
  readonly network: string;
  /** Peer id of the authority key; it carries the public key that every charter is checked against. */
  readonly authority: string;
  /** File with the libp2p identity key. */
  readonly identity: string;
  /** File where the newest charter is mounted; may not exist yet. */
  readonly charter: string;
  /** Folder that outlives the pod: charter, chunks, checkpoints, certificates, reputation. */
  readonly stateDir: string;
  /** Unix socket of the signer. */
  readonly signer: string;
  /** Multiaddr to listen on. */
  readonly listen: string;
  /** `host:port` of health, metrics, status and serving. */
  readonly http: string;
  /** `host:port` of the blocks of models, for who is in the pod. */
  readonly blocks: string;
  /** Folder under which data volumes are mounted (`configmap/<name>`, `claim/<name>`, `own`). */
  readonly mounts: string;
  /** File with this validator's own data, for models with `partition: own`. */
  readonly ownData?: string;
  /** `MURMURATION_BACKEND` chooses the tensor backend; the best that loads where it is not set. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder of the bundled data sets; default: the package's own `data`. */
  readonly dataDir?: string;
  /** Folder for data that are too large for memory; default: the system's temporary folder. */
  readonly scratch?: string;
  readonly log: Logger;
  /** Parts of time, randomness and disk that are not the machine's own. */
  readonly world?: Partial<World>;
  /** Aborted to stop the validator. */
  readonly signal: AbortSignal;
}
