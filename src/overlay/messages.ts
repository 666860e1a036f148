import { z } from 'zod';
import { bytesUpTo, decodeChecked, encodeChecked } from '../codec/index.ts';
import { maxGossipBytes } from './limits.ts';
import { cidText, count, nameText, peerIdText, uidText } from './shapes.ts';

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

/** How one model does on one validator. Numbers that are not known yet are null (DAG-CBOR has no NaN). */
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
  /** Unix milliseconds on the sender's clock. Keep the newest of a sender: an old report may come again. */
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

/** Most entries of each list in a report. The whole must still stay under 16 KiB. */
export const reportLimits = {
  models: 16,
  reputation: 64,
  held: 48,
  problems: 16,
  bitmapBytes: 4096,
  message: 512,
} as const;

const unit = z.number().min(0).max(1);

const problem = z.object({
  reason: z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/, 'is no CamelCase word'),
  message: z.string().max(reportLimits.message),
});

const held = z
  .object({ model: uidText, cid: cidText, chunks: count, bitmap: bytesUpTo(reportLimits.bitmapBytes) })
  .refine((h) => h.bitmap.byteLength === Math.ceil(h.chunks / 8), 'bitmap has not one bit a chunk');

const report = z.object({
  v: z.literal(1),
  node: nameText,
  at: count,
  charterSeq: count,
  peers: count.max(10_000),
  backend: z.string().max(32),
  disk: z.object({ usedBytes: count, freeBytes: count }),
  models: z
    .array(
      z.object({
        uid: uidText,
        age: count,
        loss: z.number().min(-1e12).max(1e12).nullable(),
        accuracy: unit.nullable(),
        divergence: z.number().min(0).max(1e12).nullable(),
        certified: z
          .object({ cid: cidText, age: count, bytes: count, chunks: count, voters: count, at: count })
          .exactOptional(),
        problem: problem.exactOptional(),
      }),
    )
    .max(reportLimits.models),
  reputation: z
    .array(z.object({ peerId: peerIdText, storage: unit, learning: unit, interactions: unit }))
    .max(reportLimits.reputation),
  held: z.array(held).max(reportLimits.held),
  problems: z.array(problem).max(reportLimits.problems),
});

// One byte less than the limit of gossip: a report that decodes can always be published.
const limit = { what: 'report', maxBytes: maxGossipBytes - 1 } as const;

/** @throws MalformedError when a field is out of range, a list too long or the whole 16 KiB or more. */
export function encodeReport(value: Report): Uint8Array {
  return encodeChecked(value, report, limit);
}

/** @throws MalformedError */
export function decodeReport(bytes: Uint8Array): Report {
  return decodeChecked(bytes, report, limit);
}
