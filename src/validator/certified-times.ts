import { z } from 'zod';
import { readIfThere, realDisk, replaceFile } from '../disk/index.ts';

const stored = z.record(z.string().max(128), z.int().min(0));

/** When this validator came to know that a version is certified: a small file with an entry for each kept version. */
export class CertifiedTimes {
  readonly #file: string;
  readonly #times: Map<string, number>;
  /** Saves wait for each other: they write one file. */
  #saving: Promise<void> = Promise.resolve();

  private constructor(file: string, times: ReadonlyMap<string, number>) {
    this.#file = file;
    this.#times = new Map(times);
  }

  /** Opens the file; one that cannot be read is replaced at the next save, since only a time of day is lost with it. */
  static async open(file: string, onUnreadable: (file: string, error: unknown) => void): Promise<CertifiedTimes> {
    const bytes = await readIfThere(realDisk, file);
    if (bytes === undefined) return new CertifiedTimes(file, new Map());
    try {
      const times = stored.parse(JSON.parse(Buffer.from(bytes).toString()));
      return new CertifiedTimes(file, new Map(Object.entries(times)));
    } catch (error) {
      onUnreadable(file, error);
      return new CertifiedTimes(file, new Map());
    }
  }

  /** Unix milliseconds; 0 where it is not known. */
  of(version: string): number {
    return this.#times.get(version) ?? 0;
  }

  /** A version is certified; the first time counts. */
  saw(version: string, at: number): void {
    if (!this.#times.has(version)) this.#times.set(version, at);
  }

  /** Forgets all other versions and saves. */
  async keepOnly(versions: ReadonlySet<string>): Promise<void> {
    for (const version of this.#times.keys()) if (!versions.has(version)) this.#times.delete(version);
    const saved = this.#saving.then(() =>
      replaceFile(realDisk, this.#file, Buffer.from(JSON.stringify(Object.fromEntries(this.#times)))),
    );
    this.#saving = saved.catch(() => undefined);
    await saved;
  }
}
