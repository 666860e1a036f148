import { createHash, randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { type Disk, errorCode, realDisk, syncFolder, writeSynced } from '../disk/index.ts';
import { ageSchema, nameSchema, publicKeySchema, versionSchema } from './shapes.ts';

/** What somebody wants a signature for. */
export interface Intent {
  readonly network: string;
  readonly model: string;
  readonly age: number;
  /** CID of the manifest. */
  readonly version: string;
}

/** A second, different vote for one (network, model, age), or a vote for an age below the last one signed. Never signed, whatever is tried. */
export class DoubleVoteError extends Error {
  override readonly name = 'DoubleVoteError';
  readonly code = 'DoubleVote';

  constructor(intent: Intent, signed: { readonly age: number; readonly version: string }) {
    super(
      intent.age === signed.age
        ? `refused to sign ${intent.version} for model ${intent.model} at age ${intent.age}: ${signed.version} was signed for that age; vote at a later age`
        : `refused to sign for model ${intent.model} at age ${intent.age}: age ${signed.age} was signed already and ages only grow; vote at a later age`,
    );
  }
}

/** Another signer has opened this protection store after us. We must never sign again. */
export class ProtectionTakenError extends Error {
  override readonly name = 'ProtectionTakenError';
  readonly code = 'ProtectionTaken';

  constructor(dir: string) {
    super(
      `another signer has taken over the protection store ${dir}; this one signs nothing more: run one signer for one key`,
    );
  }
}

/** The newest state is complete but does not fit its checksum: it was damaged after it was written, and what was signed is not known. */
export class ProtectionCorruptError extends Error {
  override readonly name = 'ProtectionCorruptError';
  readonly code = 'ProtectionCorrupt';

  constructor(path: string, why: string) {
    super(
      `the slashing protection state ${path} is damaged (${why}), so what this key has signed is not known and nothing will be signed; ` +
        `restore the file from a backup, or use a new stake key`,
    );
  }
}

const stateSchema = z.strictObject({
  v: z.literal(1),
  owner: z.string().max(64),
  /** The key this store protects. */
  publicKey: publicKeySchema,
  signed: z
    .array(z.strictObject({ network: nameSchema, model: nameSchema, age: ageSchema, version: versionSchema }))
    .max(100_000),
});
type State = z.infer<typeof stateSchema>;

/** What the store needs of a disk: states are never renamed. */
export type ProtectionDisk = Pick<Disk, 'mkdir' | 'open' | 'readdir' | 'readFile' | 'unlink'>;

/** How many states before the newest stay on disk. */
const KEPT = 8;

/**
 * Remembers the last vote of every model so that no second, different one is ever signed.
 *
 * On disk: `state-<seq>`, one JSON line and its SHA-256, never overwritten. A vote is recorded by making the file of the next
 * sequence number (O_EXCL), writing, fsync, fsync of the folder; only then may the signature leave.
 *
 * Guarantees
 * - A crash at any step leaves either the old or the new state. A torn file (short, or with NULs where blocks were not written) is
 *   known as such: its fsync had not ended, so its signature never left, and the state before it holds.
 * - A complete file whose checksum is wrong was damaged later: {@link ProtectionCorruptError}, nothing is signed.
 * - Two stores on one folder cannot both sign: opening writes a state with a new owner, and a store that finds a state which is not
 *   its own before or after recording stops for good with {@link ProtectionTakenError}. Of two that record the same sequence number
 *   O_EXCL lets one through.
 * Assumption: the folder's file system honours O_EXCL and fsync (all local ones and NFS >= 3 do).
 * Caveat: an older backup put back by hand forgets what was signed since. Ages still only grow from there; the network sees the evidence.
 */
export class ProtectionStore {
  readonly #dir: string;
  readonly #fs: ProtectionDisk;
  readonly #owner: string = randomUUID();
  readonly #publicKey: string;
  #seq = 0;
  #signed = new Map<string, Intent>();
  #queue: Promise<unknown> = Promise.resolve();
  #taken = false;

  private constructor(dir: string, publicKey: string, fs: ProtectionDisk) {
    this.#dir = dir;
    this.#publicKey = publicKey;
    this.#fs = fs;
  }

  /**
   * Open the store of a key in a folder (made when missing) and take it over from any earlier process.
   * @throws ProtectionCorruptError when the state is damaged or is another key's
   */
  static async open(
    dir: string,
    publicKey: string,
    options: { readonly fs?: ProtectionDisk } = {},
  ): Promise<ProtectionStore> {
    const store = new ProtectionStore(dir, publicKey, options.fs ?? realDisk);
    await store.#fs.mkdir(dir, { recursive: true });
    const { newest } = await store.#load();
    store.#seq = newest;
    await store.#append(store.#signed);
    // From here on every earlier owner finds our state and stops. What it recorded while we read is read now.
    const { taught } = await store.#load();
    // A newer state is a later owner's, even when it is not written out yet: to count on from it would be to share it.
    await store.#assertOwned();
    if (taught) await store.#append(store.#signed);
    await store.#sweep();
    return store;
  }

  /**
   * Record the intent durably, then call `sign`. Asking again for the vote that was recorded last is answered again.
   * @throws DoubleVoteError, ProtectionTakenError, or the disk's error; in each case nothing was signed
   */
  async protect<T>(intent: Intent, sign: () => T): Promise<T> {
    const turn = this.#queue.then(async () => {
      await this.#record(intent);
      return sign();
    });
    this.#queue = turn.catch(() => undefined); // the caller of this turn gets the error; the next turn starts clean
    return turn;
  }

  /** Whether another signer has taken the store over, as far as this one found out. */
  get taken(): boolean {
    return this.#taken;
  }

  /** The last vote recorded for a model. */
  last(network: string, model: string): Intent | undefined {
    return this.#signed.get(modelKey({ network, model }));
  }

  async #record(intent: Intent): Promise<void> {
    if (this.#taken) throw new ProtectionTakenError(this.#dir);
    const { network, model, age, version } = intent;
    const last = this.#signed.get(modelKey(intent));
    if (last !== undefined && (age < last.age || (age === last.age && version !== last.version)))
      throw new DoubleVoteError(intent, last);
    if (last?.age === age) {
      await this.#assertOwned();
      return;
    }
    await this.#assertOwned();
    const next = new Map(this.#signed).set(modelKey(intent), { network, model, age, version });
    await this.#append(next);
    this.#signed = next;
    await this.#sweep();
  }

  /** Write the next state durably and make sure that nobody else wrote one. */
  async #append(signed: ReadonlyMap<string, Intent>): Promise<void> {
    const mine = ++this.#seq;
    const path = this.#path(mine);
    const line = JSON.stringify({
      v: 1,
      owner: this.#owner,
      publicKey: this.#publicKey,
      signed: [...signed.values()],
    } satisfies State);
    try {
      await writeSynced(this.#fs, path, [Buffer.from(`${line}\n${checksum(line)}\n`)], 'wx');
    } catch (error) {
      if (errorCode(error) === 'EEXIST') throw this.#lost();
      await this.#fs.unlink(path).catch(() => undefined); // may stay behind: the next state has the next number, a reader skips it
      throw error;
    }
    await syncFolder(this.#fs, this.#dir);
    if ((await this.#sequenceNumbers()).at(-1) !== mine) throw this.#lost();
  }

  /** Remove states long overtaken. */
  async #sweep(): Promise<void> {
    for (const old of (await this.#sequenceNumbers()).slice(0, -KEPT))
      await this.#fs.unlink(this.#path(old)).catch(() => undefined); // tried again next time
  }

  async #assertOwned(): Promise<void> {
    if ((await this.#sequenceNumbers()).some((seq) => seq > this.#seq)) throw this.#lost();
  }

  #lost(): ProtectionTakenError {
    this.#taken = true;
    return new ProtectionTakenError(this.#dir);
  }

  /**
   * Take in every state on disk: the latest vote of each model in any of them. Returns the newest number that there is, and
   * whether we learned anything.
   */
  async #load(): Promise<{ readonly newest: number; readonly taught: boolean }> {
    let taught = false;
    let isNewest = true;
    const numbers = await this.#sequenceNumbers();
    for (const seq of numbers.toReversed()) {
      const path = this.#path(seq);
      const state = readState(Buffer.from(await this.#fs.readFile(path)).toString('utf8'));
      if (state === 'torn') continue;
      if (typeof state === 'string' && !isNewest) continue; // an old state is damaged, but newer ones repeat what it said
      if (typeof state === 'string') throw new ProtectionCorruptError(path, state);
      isNewest = false;
      if (state.publicKey !== this.#publicKey)
        throw new ProtectionCorruptError(path, `it belongs to the key ${state.publicKey}, not to ${this.#publicKey}`);
      for (const intent of state.signed) {
        const known = this.#signed.get(modelKey(intent));
        if (known !== undefined && known.age >= intent.age) continue;
        this.#signed.set(modelKey(intent), intent);
        taught = true;
      }
    }
    return { newest: numbers.at(-1) ?? 0, taught };
  }

  async #sequenceNumbers(): Promise<number[]> {
    const names = await this.#fs.readdir(this.#dir);
    return names
      .flatMap((name) => /^state-(\d{12})$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  #path(seq: number): string {
    return join(this.#dir, `state-${String(seq).padStart(12, '0')}`);
  }
}

/** The state in a file's text, `torn`, or why it is damaged. */
function readState(text: string): State | string {
  const complete = /^([^\n]*)\n([0-9a-f]{64})\n$/.exec(text);
  if (complete === null || text.includes('\0')) return 'torn';
  const [, line = '', sum] = complete;
  if (checksum(line) !== sum) return 'its checksum is wrong';
  const parsed = stateSchema.safeParse(JSON.parse(line));
  return parsed.success ? parsed.data : (parsed.error.issues[0]?.message ?? 'its shape is wrong');
}

function checksum(line: string): string {
  return createHash('sha256').update(line).digest('hex');
}

function modelKey({ network, model }: Pick<Intent, 'network' | 'model'>): string {
  return JSON.stringify([network, model]);
}
