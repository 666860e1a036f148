/** What a validator has certified of a model. */
export interface CertifiedReport {
  readonly cid: string;
  readonly age: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly voters: number;
  /** Unix milliseconds. */
  readonly at: number;
}

/** Something that a person should know: `reason` in CamelCase (stable), `message` a sentence with the fix. */
export interface ProblemReport {
  readonly reason: string;
  readonly message: string;
}

/** How one model does on one validator. Numbers that are not known yet are null (dag-cbor has no NaN). */
export interface ModelReport {
  readonly uid: string;
  readonly age: number;
  readonly loss: number | null;
  /** 0..1 */
  readonly accuracy: number | null;
  /** >= 0 */
  readonly divergence: number | null;
  readonly certified?: CertifiedReport;
  readonly problem?: ProblemReport;
}

/** What the sender thinks of a peer, each part 0..1. */
export interface ReputationReport {
  readonly peerId: string;
  readonly storage: number;
  readonly learning: number;
  readonly interactions: number;
}

/** The chunks of one version that the sender holds. */
export interface HeldReport {
  /** uid of the model. */
  readonly model: string;
  /** CID of the version's manifest. */
  readonly cid: string;
  /** Chunks of the whole version. */
  readonly chunks: number;
  /** ceil(chunks / 8) bytes; chunk i is bit (i % 8), lowest first, of byte floor(i / 8). */
  readonly bitmap: Uint8Array;
}

/** What a validator says of itself on the topic `reports`. */
export interface Report {
  readonly v: 1;
  /** Name of the ValidatorNode. */
  readonly node: string;
  /** Unix milliseconds on the sender's clock. */
  readonly at: number;
  readonly charterSeq: number;
  readonly peers: number;
  /** Tensor backend, such as `wasm` or `tensorflow`. */
  readonly backend: string;
  readonly disk: { readonly usedBytes: number; readonly freeBytes: number };
  readonly models: readonly ModelReport[];
  readonly reputation: readonly ReputationReport[];
  readonly held: readonly HeldReport[];
  readonly problems: readonly ProblemReport[];
}

/** When thrown, bytes from a peer (or a report to be sent) break the limits of the format. */
export class MalformedMessageError extends Error {
  override readonly name = 'MalformedMessageError';
}

/** @throws MalformedMessageError when a field is out of range or the whole is over 16 KiB. */
export function encodeReport(_report: Report): Uint8Array {
  throw new Error('not written yet');
}

/** @throws MalformedMessageError */
export function decodeReport(_bytes: Uint8Array): Report {
  throw new Error('not written yet');
}
