import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeChecked, encode, MalformedError } from '../codec/index.ts';
import { type Disk, realDisk, replaceFile } from '../disk/index.ts';
import { type SignedVote, signedVoteSchema, verifyVote } from './vote.ts';

export const MAX_EVIDENCE_BYTES = 4 * 1024;

const evidenceSchema = z.strictObject({ v: z.literal(1), a: signedVoteSchema, b: signedVoteSchema }).readonly();

/** Two different votes by one key for one (network, model, age). Proves itself to anybody: nothing else is needed to check it. */
export type Evidence = z.infer<typeof evidenceSchema>;

/** The evidence in two votes, if they are any. The order of the two does not matter. */
export function evidenceOf(one: SignedVote, other: SignedVote): Evidence | undefined {
  const [a, b] = one.vote.version < other.vote.version ? [one, other] : [other, one];
  const evidence: Evidence = { v: 1, a, b };
  return verifyEvidence(evidence) ? evidence : undefined;
}

export function verifyEvidence({ a, b }: Evidence): boolean {
  return (
    a.vote.voter === b.vote.voter &&
    a.vote.network === b.vote.network &&
    a.vote.model === b.vote.model &&
    a.vote.age === b.vote.age &&
    a.vote.version < b.vote.version &&
    verifyVote(a) &&
    verifyVote(b)
  );
}

/** Name of the deed: the same for any two of the voter's votes at that height, so that it is kept once. */
export function evidenceId({ a }: Evidence): string {
  const { network, model, age, voter } = a.vote;
  return createHash('sha256')
    .update(encode([network, model, age, voter]))
    .digest('hex')
    .slice(0, 32);
}

export function encodeEvidence(evidence: Evidence): Uint8Array {
  return encode(evidence);
}

/** Throws MalformedError, also for well-formed votes that prove nothing. */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  const evidence = decodeChecked(bytes, evidenceSchema, { what: 'evidence', maxBytes: MAX_EVIDENCE_BYTES });
  if (!verifyEvidence(evidence))
    throw new MalformedError('evidence', 'the two votes do not contradict each other, or are not signed');
  return evidence;
}

/** How many deeds are kept; a fleet that has more has no need of the next. */
const MAX_KEPT = 1_000;

/** Evidence, kept on disk: one file a deed. */
export class EvidenceStore {
  readonly #dir: string;
  readonly #fs: Disk;
  readonly #kept = new Map<string, Evidence>();

  private constructor(dir: string, fs: Disk) {
    this.#dir = dir;
    this.#fs = fs;
  }

  /** Open the folder (made when missing). Files that prove nothing, torn ones too, are left out. */
  static async open(dir: string, options: { readonly fs?: Disk } = {}): Promise<EvidenceStore> {
    const store = new EvidenceStore(dir, options.fs ?? realDisk);
    await store.#fs.mkdir(dir, { recursive: true });
    for (const name of await store.#fs.readdir(dir)) {
      if (!name.endsWith('.evidence')) continue;
      try {
        const evidence = decodeEvidence(await store.#fs.readFile(join(dir, name)));
        store.#kept.set(evidenceId(evidence), evidence);
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
      }
    }
    return store;
  }

  /** Keep evidence; false when the deed is known already. Throws RangeError for what proves nothing. */
  async add(evidence: Evidence): Promise<boolean> {
    if (!verifyEvidence(evidence)) throw new RangeError('these two votes prove nothing');
    const id = evidenceId(evidence);
    if (this.#kept.has(id) || this.#kept.size >= MAX_KEPT) return false;
    this.#kept.set(id, evidence);
    try {
      await replaceFile(this.#fs, join(this.#dir, `${id}.evidence`), encodeEvidence(evidence));
    } catch (error) {
      this.#kept.delete(id);
      throw error;
    }
    return true;
  }

  list(): readonly Evidence[] {
    return [...this.#kept.values()];
  }
}
