import path from 'node:path';
import { namesIn, readIfThere, realDisk, removeIfThere, replaceFile } from '../disk/index.ts';
import { type Certificate, decodeCertificate, encodeCertificate } from '../trust/index.ts';

/** Certificates on disk, a file each: `<model uid>/<age>.cert`, the newest few of a model. */
export class CertificateStore {
  readonly #folder: string;
  readonly #kept = new Map<string, Certificate[]>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens the folder; files that are no certificates are left out (a torn one was never the only copy in the network). */
  static async open(folder: string, onUnreadable: (file: string, error: unknown) => void): Promise<CertificateStore> {
    const store = new CertificateStore(folder);
    for (const model of await namesIn(realDisk, folder)) {
      for (const name of await namesIn(realDisk, path.join(folder, model))) {
        if (!name.endsWith('.cert')) continue;
        const file = path.join(folder, model, name);
        try {
          const bytes = await readIfThere(realDisk, file);
          if (bytes !== undefined) store.#keep(decodeCertificate(bytes));
        } catch (error) {
          onUnreadable(file, error);
        }
      }
    }
    return store;
  }

  /** Newest of each model first. */
  list(model?: string): readonly Certificate[] {
    return model === undefined ? [...this.#kept.values()].flat() : (this.#kept.get(model) ?? []);
  }

  /** Keeps one more, in memory at once and then on disk, and forgets the oldest beyond `keep`. */
  async add(certificate: Certificate, keep: number): Promise<void> {
    const kept = this.#keep(certificate);
    const dropped = kept.splice(keep);
    await replaceFile(realDisk, this.#file(certificate), encodeCertificate(certificate));
    for (const old of dropped) await removeIfThere(realDisk, this.#file(old));
  }

  #keep(certificate: Certificate): Certificate[] {
    const kept = (this.#kept.get(certificate.model) ?? []).filter(({ age }) => age !== certificate.age);
    kept.push(certificate);
    kept.sort((a, b) => b.age - a.age);
    this.#kept.set(certificate.model, kept);
    return kept;
  }

  #file({ model, age }: Certificate): string {
    return path.join(this.#folder, path.basename(model), `${age}.cert`);
  }
}
