import type { Disk, DiskFile } from './disk.ts';
import { isVolumeFull, VolumeFullError } from './volume-full.ts';

export interface GroupSyncOptions {
  /** Bytes that may be written and not on the disk yet; writers wait beyond. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Files likewise: each is open until it is synced. Default 512. */
  readonly maxFiles?: number;
  /** Files synced at once. Default 4, as many as Node has threads for files. */
  readonly parallel?: number;
}

interface Unsynced {
  readonly file: DiskFile;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Waiting {
  readonly bytes: number;
  readonly go: () => void;
}

const MEBIBYTE = 1024 * 1024;

/**
 * Makes files of one folder durable in the background, in groups: each file is synced, then the folder once for all of them.
 *
 * Guarantees: a file that was added is durable, with its name, when its promise resolves; no more than so many bytes and files
 * are written and not synced. A file that cannot be synced is reported once and closed; what is on the disk of it is not known,
 * and syncing it again would prove nothing (the kernel forgets what it could not write), so whoever added it writes it anew.
 * When the folder cannot be synced, every file renamed into it since the last time counts as not synced.
 *
 * Assumption: the file has its name in the folder when it is added.
 */
export class GroupSync {
  readonly #disk: Pick<Disk, 'open'>;
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #maxFiles: number;
  readonly #parallel: number;
  readonly #waiting: Waiting[] = [];
  readonly #outstanding = new Set<Promise<void>>();
  #queue: Unsynced[] = [];
  #bytes = 0;
  #files = 0;
  #running: Promise<void> | undefined;
  /** The folder, open as long as it can be synced. */
  #handle: DiskFile | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(disk: Pick<Disk, 'open'>, folder: string, options: GroupSyncOptions = {}) {
    this.#disk = disk;
    this.#folder = folder;
    this.#maxBytes = options.maxBytes ?? 64 * MEBIBYTE;
    this.#maxFiles = options.maxFiles ?? 512;
    this.#parallel = options.parallel ?? 4;
  }

  /** Waits until a file of so many bytes may be written. Then {@link GroupSync.add} it, or {@link GroupSync.release} the room. */
  async reserve(bytes: number): Promise<void> {
    if (this.#waiting.length > 0 || !this.#fits(bytes))
      await new Promise<void>((go) => this.#waiting.push({ bytes, go }));
    else this.#take(bytes);
  }

  /** The file for which room was reserved was not written. */
  release(bytes: number): void {
    this.#bytes -= bytes;
    this.#files--;
    for (let next = this.#waiting[0]; next !== undefined && this.#fits(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(next.bytes);
      next.go();
    }
  }

  /**
   * Takes over an open file that was written and renamed. Settles when it is durable or cannot be made so; it is closed then.
   * Nobody needs to wait for it.
   */
  add(file: DiskFile, bytes: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ file, bytes, resolve, reject });
    this.#outstanding.add(promise);
    const done = (): void => void this.#outstanding.delete(promise);
    promise.then(done, done);
    this.#running ??= this.#run();
    return promise;
  }

  /**
   * Resolves when all files that were added before are durable.
   * @throws VolumeFullError or the disk's error if one of them is not, or one since the last flush
   */
  async flush(): Promise<void> {
    const outcomes = await Promise.allSettled([...this.#outstanding]);
    const rejected = outcomes.find((outcome) => outcome.status === 'rejected');
    const failure = rejected === undefined ? this.#failure : { error: rejected.reason };
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
  }

  /** Waits until all is synced, or failed to be, and closes the folder. */
  async close(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    await this.#handle?.close();
    this.#handle = undefined;
  }

  async #run(): Promise<void> {
    while (this.#queue.length > 0) await this.#sync(this.#queue.splice(0));
    this.#running = undefined;
  }

  async #sync(group: readonly Unsynced[]): Promise<void> {
    const synced: Unsynced[] = [];
    const rest = group.values();
    const worker = async (): Promise<void> => {
      for (const one of rest) {
        try {
          await syncAndClose(one.file);
          synced.push(one);
        } catch (error) {
          this.#fail(one, error);
        }
        this.release(one.bytes);
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#parallel, group.length) }, worker));
    if (synced.length === 0) return;
    try {
      await this.#syncFolder();
    } catch (error) {
      for (const one of synced) this.#fail(one, error);
      for (const one of this.#queue.splice(0)) {
        await one.file.close().catch(() => undefined); // what it would say is said already
        this.release(one.bytes);
        this.#fail(one, error);
      }
      return;
    }
    for (const { resolve } of synced) resolve();
  }

  async #syncFolder(): Promise<void> {
    this.#handle ??= await this.#disk.open(this.#folder, 'r');
    try {
      await this.#handle.sync();
    } catch (error) {
      await this.#handle.close().catch(() => undefined); // it is opened afresh the next time
      this.#handle = undefined;
      throw error;
    }
  }

  #fail({ bytes, reject }: Unsynced, cause: unknown): void {
    const error = isVolumeFull(cause) ? new VolumeFullError(this.#folder, bytes, { cause }) : cause;
    this.#failure ??= { error };
    reject(error);
  }

  /** A file larger than all the room there is passes when it is alone. */
  #fits(bytes: number): boolean {
    return this.#files === 0 || (this.#files < this.#maxFiles && this.#bytes + bytes <= this.#maxBytes);
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    this.#files++;
  }
}

async function syncAndClose(file: DiskFile): Promise<void> {
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
