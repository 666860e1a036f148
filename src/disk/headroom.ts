import type { Disk } from './disk.ts';
import { VolumeFullError } from './volume-full.ts';

/** The volume is looked at again after so many bytes, */
const LOOK_BYTES = 64 * 1024 * 1024;
/** and after so long: others write there too. */
const LOOK_MILLISECONDS = 5_000;

/**
 * Room on a volume that one writer leaves to others. The volume is looked at now and then, and whenever it seems to be full:
 * what was freed counts at once, what others wrote within seconds.
 */
export class Headroom {
  readonly #disk: Pick<Disk, 'space'>;
  readonly #folder: string;
  readonly #keepFreeBytes: number;
  readonly #now: () => number;
  /** What may be taken before the next look. */
  #left = 0;
  /** Taken, and not in the disk's own count yet. */
  #underWay = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  /**
   * @param keepFreeBytes what stays free; 0 or less: the volume is not looked at
   * @param now milliseconds, never going back
   */
  constructor(disk: Pick<Disk, 'space'>, folder: string, keepFreeBytes: number, now: () => number) {
    this.#disk = disk;
    this.#folder = folder;
    this.#keepFreeBytes = keepFreeBytes;
    this.#now = now;
  }

  /** Takes room for a file; give it back with {@link Headroom.release} when it is written, or not. @throws VolumeFullError, or the disk's error */
  async take(bytes: number): Promise<void> {
    if (this.#keepFreeBytes <= 0) return;
    if (bytes > this.#left || this.#now() - this.#lookedAt >= LOOK_MILLISECONDS) {
      this.#looking ??= this.#look();
      await this.#looking;
    }
    if (bytes > this.#left)
      throw new VolumeFullError(this.#folder, bytes, {
        because: `the volume has ${Math.max(0, this.#left)} bytes left beside ${this.#keepFreeBytes} that stay free for other files`,
      });
    this.#left -= bytes;
    this.#underWay += bytes;
  }

  release(bytes: number): void {
    if (this.#keepFreeBytes > 0) this.#underWay -= bytes;
  }

  async #look(): Promise<void> {
    try {
      const { freeBytes } = await this.#disk.space(this.#folder);
      this.#lookedAt = this.#now();
      const left = freeBytes - this.#keepFreeBytes - this.#underWay;
      this.#left = Math.min(left, LOOK_BYTES);
    } finally {
      this.#looking = undefined;
    }
  }
}
