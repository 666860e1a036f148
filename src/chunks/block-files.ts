import type { Disk, DiskFile } from '../disk/index.ts';
import {
  errorCode,
  GroupSync,
  Headroom,
  isVolumeFull,
  readIfThere,
  removeIfThere,
  VolumeFullError,
} from '../disk/index.ts';
import { isBlockName } from './cid.ts';

export interface BlockFilesOptions {
  /** Bytes of the volume that stay free for other files. */
  readonly minFreeBytes: number;
  /** Bytes that may be written and not durable yet. */
  readonly maxUnsyncedBytes: number;
  /** Milliseconds, never going back. */
  readonly now: () => number;
}

/** Files whose size is asked for at once at opening. */
const SIZES_AT_ONCE = 64;

/**
 * The files of a chunk store: `blocks/<CID>` a block, `tmp/` while they are written, `scrub` with the place that the check of all
 * files came to. Hashes nothing.
 */
export class BlockFiles {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #headroom: Headroom;
  readonly #syncs: GroupSync;
  /** Temporary files are numbered: one process uses the folder. */
  #written = 0;

  constructor(disk: Disk, dir: string, { minFreeBytes, maxUnsyncedBytes, now }: BlockFilesOptions) {
    this.#disk = disk;
    this.#dir = dir;
    this.#headroom = new Headroom(disk, dir, minFreeBytes, now);
    this.#syncs = new GroupSync(disk, `${dir}/blocks`, { maxBytes: maxUnsyncedBytes });
  }

  /** Makes the folders, removes what a crash left half written, and finds the blocks: names and sizes, bytes. */
  async load(): Promise<ReadonlyMap<string, number>> {
    const temporary = `${this.#dir}/tmp`;
    await this.#disk.mkdir(temporary, { recursive: true });
    for (const name of await this.#disk.readdir(temporary)) await this.#disk.unlink(`${temporary}/${name}`);
    await this.#disk.mkdir(`${this.#dir}/blocks`, { recursive: true });
    const names = await this.#disk.readdir(`${this.#dir}/blocks`);
    const found = new Map<string, number>();
    const rest = names.filter(isBlockName).values();
    const worker = async (): Promise<void> => {
      for (const name of rest) found.set(name, await this.#disk.size(this.#path(name)));
    };
    await Promise.all(Array.from({ length: SIZES_AT_ONCE }, worker));
    return found;
  }

  /**
   * Writes a block whole under another name and renames it: it is there when this resolves, and on the disk when `durable` does.
   * Waits while too much is unsynced.
   * @throws VolumeFullError or the disk's error; nothing is left behind then
   */
  async write(name: string, bytes: Uint8Array): Promise<{ readonly durable: Promise<void> }> {
    const size = bytes.byteLength;
    await this.#headroom.take(size);
    try {
      await this.#syncs.reserve(size);
      let file: DiskFile;
      try {
        file = await this.#writeFile(name, bytes);
      } catch (cause) {
        this.#syncs.release(size);
        throw isVolumeFull(cause) ? new VolumeFullError(this.#dir, size, { cause }) : cause;
      }
      return { durable: this.#syncs.add(file, size) };
    } finally {
      this.#headroom.release(size);
    }
  }

  /** The bytes of a block; undefined where there is no file. */
  read(name: string): Promise<Uint8Array | undefined> {
    return readIfThere(this.#disk, this.#path(name));
  }

  /** Removes a block, or finds it gone. */
  remove(name: string): Promise<void> {
    return removeIfThere(this.#disk, this.#path(name));
  }

  /** Resolves when all blocks that were written before are durable. @throws VolumeFullError or the disk's error where one is not */
  flush(): Promise<void> {
    return this.#syncs.flush();
  }

  /** Waits until all is durable, or failed to be. */
  close(): Promise<void> {
    return this.#syncs.close();
  }

  /** The name that the check of an earlier process came to. Only a hint: it may be torn or missing. */
  async place(): Promise<string | undefined> {
    try {
      const bytes = await readIfThere(this.#disk, `${this.#dir}/scrub`);
      return bytes && Buffer.from(bytes).toString();
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
      return undefined; // the check begins at the beginning
    }
  }

  async keepPlace(name: string): Promise<void> {
    try {
      const file = await this.#disk.open(`${this.#dir}/scrub`, 'w');
      await file.writeFile(Buffer.from(name)).finally(() => file.close());
    } catch (error) {
      if (errorCode(error) === undefined) throw error; // a disk that is full or broken is told by those who need it
    }
  }

  /** The file stays open, to be synced. */
  async #writeFile(name: string, bytes: Uint8Array): Promise<DiskFile> {
    const temporary = `${this.#dir}/tmp/${this.#written++}`;
    const file = await this.#disk.open(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await this.#disk.rename(temporary, this.#path(name));
      return file;
    } catch (error) {
      await file.close().catch(() => undefined); // the first error says more
      await this.#disk.unlink(temporary).catch(() => undefined); // not there, or the next opening removes it
      throw error;
    }
  }

  #path(name: string): string {
    return `${this.#dir}/blocks/${name}`;
  }
}
