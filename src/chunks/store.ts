import type { CID } from 'multiformats/cid';
import { errorCode, realDisk, VolumeFullError } from '../disk/index.ts';
import { BlockCache } from './block-cache.ts';
import { BlockFiles } from './block-files.ts';
import { type Codec, cidOf, isBlockCid, matches, parseBlockCid, RAW } from './cid.ts';
import { realClock } from './clock.ts';
import { WrongBytesError } from './errors.ts';
import { type Look, Scrub, type ScrubCounts, type Verification } from './scrub.ts';
import type { ChunkStoreEvents, ChunkStoreOptions, Loss } from './store-options.ts';

export type { ScrubCounts, Verification } from './scrub.ts';
export type { ChunkStoreEvents, ChunkStoreOptions, Loss } from './store-options.ts';

/** Blocks that {@link ChunkStore.putAll} writes at once. */
const WRITERS = 16;
const CACHE_BYTES = 16 * 1024 * 1024;
const UNSYNCED_BYTES = 64 * 1024 * 1024;

interface Entry {
  readonly bytes: number;
  /** Its bytes were hashed since the store was opened. */
  checked: boolean;
  /** Settles when it is durable, or lost: whoever comes later hears that too. Undefined once it is durable. */
  durable: Promise<void> | undefined;
}

/**
 * Blocks on disk, named by their CID.
 *
 * Guarantees: the bytes of a block are hashed before they are written and again each time they are read from the disk, so
 * {@link ChunkStore.get} never returns wrong bytes; a corrupt file is removed and then simply missing. A block is *here* once its
 * file has its name (it is written whole under another one and renamed) and *durable* soon after: files are synced in groups
 * behind the writers' backs, and writers wait when too much is unsynced. {@link ChunkStore.put}, {@link ChunkStore.putAll} and
 * {@link ChunkStore.flush} resolve when blocks are durable. A power cut before that may leave a file that is missing, empty or torn
 * under a block's name; the check of all files after opening finds and removes it. A file that was there before the store was
 * opened is not trusted for existing: `has` and `list` speak of it only after its bytes were checked, which happens in the
 * background after opening or when it is first asked for. All files are hashed again later, slowly, for ever.
 *
 * Assumptions: one process uses the folder. Nobody changes bytes that were put here or came from here: they are shared with
 * whoever asks for the block next.
 *
 * Caveats: a block that cannot be made durable is removed and told by `onLost`, also when it was announced. A block that a process
 * wrote just before it was killed is here after the restart, and durable only when the system has written it by itself.
 */
export class ChunkStore {
  readonly #dir: string;
  readonly #files: BlockFiles;
  readonly #cache: BlockCache;
  readonly #maxBytes: number;
  /** By name, not by CID: a CID is a dozen objects, and may keep the message in memory that it came in. */
  readonly #entries = new Map<string, Entry>();
  readonly #writing = new Map<string, Promise<Entry>>();
  readonly #reading = new Map<string, Promise<Uint8Array | undefined>>();
  readonly #removing = new Map<string, Promise<void>>();
  readonly #listeners = new Set<ChunkStoreEvents>();
  readonly #closed = new AbortController();
  readonly #scrub: Scrub;
  #verification: Promise<Verification> = Promise.resolve({ checked: 0, corrupt: 0 });
  #scrubbing: Promise<void> = Promise.resolve();
  #usedBytes = 0;
  #reservedBytes = 0;

  private constructor(dir: string, options: ChunkStoreOptions) {
    const clock = options.clock ?? realClock;
    this.#dir = dir;
    this.#files = new BlockFiles(options.fs ?? realDisk, dir, {
      minFreeBytes: options.minFreeBytes ?? 0,
      maxUnsyncedBytes: options.maxUnsyncedBytes ?? UNSYNCED_BYTES,
      now: () => clock.now(),
    });
    this.#cache = new BlockCache(options.cacheBytes ?? CACHE_BYTES);
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#scrub = new Scrub({
      clock,
      signal: this.#closed.signal,
      names: () => [...this.#entries.keys()],
      usedBytes: () => this.#usedBytes,
      sizeOf: (name) => this.#entries.get(name)?.bytes,
      look: (name, when) => this.#look(name, when),
      bytesPerSecond: options.scrubBytesPerSecond,
      keepPlace: (name) => this.#files.keepPlace(name),
    });
  }

  /** Open the store in a folder, which is made when missing. What a crash left half written is removed. */
  static async open(dir: string, options: ChunkStoreOptions = {}): Promise<ChunkStore> {
    const store = new ChunkStore(dir, options);
    for (const [name, bytes] of await store.#files.load())
      store.#add(name, { bytes, checked: false, durable: undefined });
    store.#verification = store.#scrub.first(await store.#files.place());
    store.#scrubbing = store.#verification.then(() => store.#scrub.forever());
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

  /** What the checks of all files found so far. */
  get scrubbed(): ScrubCounts {
    return this.#scrub.counts;
  }

  /** Hear of blocks that come and go. Returns how to stop hearing. */
  listen(events: ChunkStoreEvents): () => void {
    this.#listeners.add(events);
    return () => this.#listeners.delete(events);
  }

  /** Keep one's own bytes, durably; returns their name. Throws VolumeFullError. */
  async put(bytes: Uint8Array, codec: Codec = RAW): Promise<CID> {
    const cid = cidOf(bytes, codec);
    await (await this.#write(cid, bytes)).durable;
    return cid;
  }

  /**
   * Keep somebody's bytes if they are what their name says. Nobody may change them afterwards.
   * @param options.durable false: resolves when the block is here; ask {@link ChunkStore.flush} or hear `onLost` for the rest. Default true
   * @throws WrongBytesError before a byte is written, VolumeFullError, or the disk's error
   */
  async putVerified(cid: CID, bytes: Uint8Array, options: { readonly durable?: boolean } = {}): Promise<void> {
    if (!matches(cid, bytes)) throw new WrongBytesError(cid.toString(), bytes.byteLength);
    const entry = await this.#write(cid, bytes);
    if (options.durable !== false) await entry.durable;
  }

  /** Keep many blocks durably, several at a time: they are synced together, which is many times faster than one by one. Throws as `putVerified`. */
  async putAll(blocks: Iterable<{ readonly cid: CID; readonly bytes: Uint8Array }>): Promise<void> {
    const rest = blocks[Symbol.iterator]();
    const durable: (Promise<void> | undefined)[] = [];
    let failed = false;
    const worker = async (): Promise<void> => {
      try {
        for (let next = rest.next(); next.done !== true && !failed; next = rest.next()) {
          const { cid, bytes } = next.value;
          if (!matches(cid, bytes)) throw new WrongBytesError(cid.toString(), bytes.byteLength);
          durable.push((await this.#write(cid, bytes)).durable);
        }
      } catch (error) {
        failed = true;
        throw error;
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, worker));
    await Promise.all(durable);
  }

  /**
   * Resolves when every block that is here is durable.
   * @throws VolumeFullError or the disk's error when one of them was lost meanwhile, or one before that no flush threw for; onLost tells which
   */
  async flush(): Promise<void> {
    const [written] = await Promise.allSettled([this.#files.flush(), ...this.#writing.values()]);
    if (written.status === 'rejected') throw written.reason;
    await this.#files.flush(); // what was being written; the writers report their own failures
  }

  /** The bytes of a block, hashed when they were put or read; `undefined` when it is not here or was corrupt. Nobody may change them. */
  async get(cid: CID): Promise<Uint8Array | undefined> {
    const key = cid.toString();
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const underWay = this.#reading.get(key);
    if (underWay !== undefined) return underWay;
    if (!this.#entries.has(key)) return undefined;
    const reading = this.#readAndCache(cid, key).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  /** Whether the block is here and was checked since the store was opened. */
  has(cid: CID): boolean {
    return this.#entries.get(cid.toString())?.checked === true;
  }

  /** Whether the block is here, checking it now if that was not done yet. */
  async check(cid: CID): Promise<boolean> {
    return this.has(cid) || (await this.#read(cid, cid.toString())) instanceof Uint8Array;
  }

  /** Remove a block; false when it was not here. It is not here from the call on, unless it is being written. */
  async delete(cid: CID): Promise<boolean> {
    const key = cid.toString();
    for (let writing = this.#writing.get(key); writing !== undefined; writing = this.#writing.get(key))
      await writing.catch(() => undefined); // the writer reports its own failure
    if (!this.#entries.has(key)) return false;
    await this.#remove(cid, key, 'deleted');
    return true;
  }

  /** All blocks that are here and checked. Makes a CID of each name: {@link ChunkStore.names} costs less. */
  list(): readonly CID[] {
    return this.names().flatMap((name) => parseBlockCid(name) ?? []);
  }

  /** All blocks that are here and checked: their CIDs as text. */
  names(): readonly string[] {
    const names: string[] = [];
    for (const [name, { checked }] of this.#entries) if (checked) names.push(name);
    return names;
  }

  /** Stop the background check, wait for writes under way and make everything durable. */
  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.allSettled([this.#verification, this.#scrubbing, ...this.#writing.values()]);
    await Promise.allSettled([...this.#entries.values()].flatMap(({ durable }) => durable ?? []));
    await Promise.allSettled(this.#removing.values());
    await this.#files.close();
    await this.#scrub.keepPlace();
    this.#listeners.clear();
    this.#cache.clear();
  }

  async #look(name: string, when: 'first' | 'again'): Promise<Look> {
    const cid = parseBlockCid(name);
    if (cid === undefined || (when === 'first' && this.#entries.get(name)?.checked === true)) return 'passed over';
    try {
      const found = await this.#read(cid, name);
      return found instanceof Uint8Array ? 'sound' : found === 'corrupt' ? 'corrupt' : 'passed over';
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return 'unreadable'; // it stays as it is: get() reports the failure to whoever asks
    }
  }

  async #write(cid: CID, bytes: Uint8Array): Promise<Entry> {
    if (!isBlockCid(cid)) throw new WrongBytesError(cid.toString(), bytes.byteLength);
    const key = cid.toString();
    for (;;) {
      const underWay = this.#writing.get(key);
      if (underWay !== undefined) return underWay;
      const entry = this.#entries.get(key);
      if (entry?.checked === true) return entry;
      const removing = this.#removing.get(key);
      if (removing === undefined) break;
      await removing;
    }
    const written = this.#keep(cid, key, bytes).finally(() => this.#writing.delete(key));
    this.#writing.set(key, written);
    return written;
  }

  async #keep(cid: CID, key: string, bytes: Uint8Array): Promise<Entry> {
    const size = bytes.byteLength;
    if (this.#usedBytes + this.#reservedBytes + size > this.#maxBytes)
      throw new VolumeFullError(this.#dir, size, {
        because: `blocks take ${this.#usedBytes + this.#reservedBytes} bytes of the ${this.#maxBytes} that they may take`,
      });
    let written: { readonly durable: Promise<void> };
    this.#reservedBytes += size;
    try {
      written = await this.#files.write(key, bytes);
    } finally {
      this.#reservedBytes -= size;
    }
    const entry: Entry = { bytes: size, checked: true, durable: undefined };
    this.#add(key, entry);
    this.#cache.set(key, bytes);
    entry.durable = written.durable.then(
      () => {
        entry.durable = undefined;
      },
      (error: unknown) => this.#notDurable(cid, key, entry, error),
    );
    entry.durable.catch(() => undefined); // onLost and flush tell of it where nobody waits
    this.#tell((events) => events.onHave?.(cid));
    return entry;
  }

  async #notDurable(cid: CID, key: string, entry: Entry, error: unknown): Promise<never> {
    if (this.#entries.get(key) === entry) {
      // A file that cannot even be removed is checked at the next opening, like all others.
      await this.#remove(cid, key, 'not durable', error).catch(() => undefined);
    }
    throw error;
  }

  async #readAndCache(cid: CID, key: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#read(cid, key);
    if (!(bytes instanceof Uint8Array)) return undefined;
    if (this.#entries.has(key)) this.#cache.set(key, bytes);
    return bytes;
  }

  /** A block from the disk, hashed. A corrupt one is removed. */
  async #read(cid: CID, key: string): Promise<Uint8Array | 'corrupt' | 'gone'> {
    for (;;) {
      const entry = this.#entries.get(key);
      if (entry === undefined) return 'gone';
      const bytes = await this.#files.read(key);
      if (bytes !== undefined && matches(cid, bytes)) {
        if (!entry.checked && this.#entries.get(key) === entry) {
          entry.checked = true;
          this.#tell((events) => events.onHave?.(cid));
        }
        return bytes;
      }
      const writing = this.#writing.get(key);
      if (writing !== undefined) await writing.catch(() => undefined); // what was read may be what it has replaced
      if (writing !== undefined || this.#entries.get(key) !== entry) continue;
      await this.#remove(cid, key, 'corrupt');
      this.#scrub.alarm();
      return 'corrupt';
    }
  }

  #add(key: string, entry: Entry): void {
    this.#usedBytes += entry.bytes - (this.#entries.get(key)?.bytes ?? 0);
    this.#entries.set(key, entry);
  }

  /** Forgets a block at once and removes its file. A writer of the same block waits until that is done. */
  async #remove(cid: CID, key: string, why: Loss, error?: unknown): Promise<void> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#cache.delete(key);
    this.#usedBytes -= entry.bytes;
    const removed = this.#files.remove(key).finally(() => this.#removing.delete(key));
    this.#removing.set(
      key,
      removed.catch(() => undefined), // reported below
    );
    this.#tell((events) => (error === undefined ? events.onLost?.(cid, why) : events.onLost?.(cid, why, error)));
    await removed;
  }

  #tell(call: (events: ChunkStoreEvents) => void): void {
    for (const events of this.#listeners) call(events);
  }
}
