import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { CID } from 'multiformats/cid';
import {
  type Disk,
  readIfThere,
  realDisk,
  removeIfThere,
  replaceFile,
  syncFolder,
  VolumeFullError,
} from '../disk/index.ts';
import { type Codec, cidOf, isBlockCid, matches, parseBlockCid, RAW } from './cid.ts';
import { WrongBytesError } from './errors.ts';

export interface ChunkStoreOptions {
  /** The file system; the machine's own unless told. */
  readonly fs?: Disk;
  /** Blocks beyond this many bytes are refused with VolumeFullError, before the disk itself is full. */
  readonly maxBytes?: number;
}

export interface ChunkStoreEvents {
  /** A block is here and checked. */
  readonly onHave?: (cid: CID) => void;
  /** A block is gone: deleted, or found corrupt and removed. */
  readonly onLost?: (cid: CID, why: 'deleted' | 'corrupt') => void;
}

/** What a look at every file after opening found. */
export interface Verification {
  readonly checked: number;
  /** Files whose bytes did not hash to their name; they are removed. */
  readonly corrupt: number;
}

/** Blocks that {@link ChunkStore.putAll} writes at once. */
const WRITERS = 16;

interface Entry {
  readonly cid: CID;
  readonly bytes: number;
  /** Its bytes were hashed since the store was opened. */
  checked: boolean;
}

/**
 * Blocks on disk, named by their CID.
 *
 * Guarantees: a block is written whole or not at all (temporary file, fsync, rename, fsync of the folder); its bytes are hashed
 * before they are written and again each time they are read, so {@link ChunkStore.get} never returns wrong bytes; a corrupt file
 * is removed and then simply missing. A file that was there before the store was opened is not trusted for existing: `has` and
 * `list` speak of it only after its bytes were checked, which happens in the background after opening or when it is first asked for.
 *
 * Assumption: one process uses the folder.
 */
export class ChunkStore {
  readonly #dir: string;
  readonly #fs: Disk;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #listeners = new Set<ChunkStoreEvents>();
  readonly #closed = new AbortController();
  #verification: Promise<Verification> = Promise.resolve({ checked: 0, corrupt: 0 });
  #runningSync: Promise<void> = Promise.resolve();
  #nextSync: Promise<void> | undefined;
  #usedBytes = 0;
  #reservedBytes = 0;

  private constructor(dir: string, options: ChunkStoreOptions) {
    this.#dir = dir;
    this.#fs = options.fs ?? realDisk;
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Open the store in a folder, which is made when missing. What a crash left half written is removed. */
  static async open(dir: string, options: ChunkStoreOptions = {}): Promise<ChunkStore> {
    const store = new ChunkStore(dir, options);
    await store.#load();
    store.#verification = store.#verifyAll();
    return store;
  }

  /** Bytes of all blocks on disk. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Settles when every file that was there at opening has been checked (or the store was closed). */
  get verified(): Promise<Verification> {
    return this.#verification;
  }

  /** Hear of blocks that come and go. Returns how to stop hearing. */
  listen(events: ChunkStoreEvents): () => void {
    this.#listeners.add(events);
    return () => this.#listeners.delete(events);
  }

  /** Keep one's own bytes; returns their name. Throws VolumeFullError. */
  async put(bytes: Uint8Array, codec: Codec = RAW): Promise<CID> {
    const cid = cidOf(bytes, codec);
    await this.#write(cid, bytes);
    return cid;
  }

  /** Keep somebody's bytes if they are what their name says. Throws WrongBytesError before a byte is written, or VolumeFullError. */
  async putVerified(cid: CID, bytes: Uint8Array): Promise<void> {
    if (!matches(cid, bytes)) throw new WrongBytesError(cid.toString(), bytes.byteLength);
    await this.#write(cid, bytes);
  }

  /** Keep many blocks, several at a time: the disk makes them durable together, which is many times faster than one by one. Throws as `putVerified`. */
  async putAll(blocks: Iterable<{ readonly cid: CID; readonly bytes: Uint8Array }>): Promise<void> {
    const rest = blocks[Symbol.iterator]();
    const worker = async (): Promise<void> => {
      for (let next = rest.next(); next.done !== true; next = rest.next())
        await this.putVerified(next.value.cid, next.value.bytes);
    };
    await Promise.all(Array.from({ length: WRITERS }, worker));
  }

  /** The bytes of a block, hashed just now; `undefined` when it is not here or was corrupt. */
  async get(cid: CID): Promise<Uint8Array | undefined> {
    const key = cid.toString();
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const bytes = await readIfThere(this.#fs, this.#path(key));
    if (bytes === undefined) {
      this.#forget(key, 'corrupt');
      return undefined;
    }
    if (!matches(cid, bytes)) {
      await this.#remove(key, 'corrupt');
      return undefined;
    }
    if (!entry.checked && this.#entries.get(key) === entry) {
      entry.checked = true;
      this.#tell((events) => events.onHave?.(cid));
    }
    return bytes;
  }

  /** Whether the block is here and was checked since the store was opened. */
  has(cid: CID): boolean {
    return this.#entries.get(cid.toString())?.checked === true;
  }

  /** Whether the block is here, checking it now if that was not done yet. */
  async check(cid: CID): Promise<boolean> {
    return this.has(cid) || (await this.get(cid)) !== undefined;
  }

  /** Remove a block; false when it was not here. */
  async delete(cid: CID): Promise<boolean> {
    const key = cid.toString();
    await this.#writing.get(key)?.catch(() => undefined); // the writer reports its own failure
    if (!this.#entries.has(key)) return false;
    await this.#remove(key, 'deleted');
    return true;
  }

  /** All blocks that are here and checked. */
  list(): readonly CID[] {
    return [...this.#entries.values()].filter((entry) => entry.checked).map((entry) => entry.cid);
  }

  /** Stop the background check and wait for writes under way. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.allSettled([this.#verification, ...this.#writing.values()]);
    this.#listeners.clear();
  }

  async #load(): Promise<void> {
    await this.#fs.mkdir(join(this.#dir, 'tmp'), { recursive: true });
    for (const name of await this.#fs.readdir(join(this.#dir, 'tmp')))
      await this.#fs.unlink(join(this.#dir, 'tmp', name));
    await this.#fs.mkdir(join(this.#dir, 'blocks'), { recursive: true });
    for (const name of await this.#fs.readdir(join(this.#dir, 'blocks'))) {
      const cid = parseBlockCid(name);
      if (cid !== undefined) this.#add({ cid, bytes: await this.#fs.size(this.#path(name)), checked: false });
    }
  }

  async #verifyAll(): Promise<Verification> {
    let checked = 0;
    let corrupt = 0;
    for (const { cid, checked: already } of [...this.#entries.values()]) {
      if (this.#closed.signal.aborted) break;
      if (already || !this.#entries.has(cid.toString())) continue;
      try {
        if ((await this.get(cid)) === undefined) corrupt++;
      } catch {
        continue; // an unreadable file stays unchecked: it is not announced, and get() reports the failure to whoever asks
      }
      checked++;
      await new Promise(setImmediate); // let the network have its turn between two files
    }
    return { checked, corrupt };
  }

  async #write(cid: CID, bytes: Uint8Array): Promise<void> {
    if (!isBlockCid(cid)) throw new WrongBytesError(cid.toString(), bytes.byteLength);
    const key = cid.toString();
    const underWay = this.#writing.get(key);
    if (underWay !== undefined) return underWay;
    if (this.#entries.get(key)?.checked === true) return;
    const written = this.#writeFile(cid, key, bytes).finally(() => this.#writing.delete(key));
    this.#writing.set(key, written);
    return written;
  }

  async #writeFile(cid: CID, key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(key);
    if (this.#usedBytes + this.#reservedBytes + bytes.byteLength > this.#maxBytes)
      throw new VolumeFullError(this.#dir, bytes.byteLength);
    this.#reservedBytes += bytes.byteLength;
    try {
      await replaceFile(this.#fs, path, bytes, {
        temporary: join(this.#dir, 'tmp', `${key}.${randomUUID()}`),
        syncFolder: () => this.#syncFolder(),
      });
    } finally {
      this.#reservedBytes -= bytes.byteLength;
    }
    this.#add({ cid, bytes: bytes.byteLength, checked: true });
    this.#tell((events) => events.onHave?.(cid));
  }

  /** Make the names of finished files durable. Everybody who waits while one sync runs shares the next: one sync for many blocks. */
  async #syncFolder(): Promise<void> {
    this.#nextSync ??= this.#runningSync.then(async () => {
      this.#nextSync = undefined;
      await syncFolder(this.#fs, join(this.#dir, 'blocks'));
    });
    const sync = this.#nextSync;
    this.#runningSync = sync.catch(() => undefined); // those who wait for it hear of it; the next one is tried afresh
    await sync;
  }

  #add(entry: Entry): void {
    const key = entry.cid.toString();
    this.#usedBytes += entry.bytes - (this.#entries.get(key)?.bytes ?? 0);
    this.#entries.set(key, entry);
  }

  async #remove(key: string, why: 'deleted' | 'corrupt'): Promise<void> {
    this.#forget(key, why);
    await removeIfThere(this.#fs, this.#path(key));
  }

  #forget(key: string, why: 'deleted' | 'corrupt'): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#usedBytes -= entry.bytes;
    this.#tell((events) => events.onLost?.(entry.cid, why));
  }

  #tell(call: (events: ChunkStoreEvents) => void): void {
    for (const events of this.#listeners) call(events);
  }

  #path(key: string): string {
    return join(this.#dir, 'blocks', key);
  }
}
