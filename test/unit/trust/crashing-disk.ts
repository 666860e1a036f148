import { basename } from 'node:path';
import type { DiskFile } from '../../../src/disk/index.ts';
import type { ProtectionDisk } from '../../../src/trust/index.ts';

/** The machine lost power: nothing after this happens. */
export class PowerLossError extends Error {}

interface File {
  data: Uint8Array;
  /** What is on the platter; `undefined`: nothing yet. */
  durable: Uint8Array | undefined;
  /** The folder's entry is on the platter. */
  linked: boolean;
  /** Removed, but the folder was not synced since. */
  unlinked: boolean;
}

/**
 * One folder on a disk with a cache, that loses power at a chosen step. What was not synced is then there, in part, as zeros or not
 * at all, as `random` decides. Every call is one step and may be delayed by `turn`, so that a test can interleave two users.
 */
export class CrashingDisk implements ProtectionDisk {
  readonly #files = new Map<string, File>();
  readonly #random: () => number;
  readonly #turn: (what: string) => Promise<unknown>;
  /** Steps until power is lost. */
  stepsLeft: number = Number.POSITIVE_INFINITY;
  steps = 0;

  constructor(random: () => number, turn: (what: string) => Promise<unknown> = async () => undefined) {
    this.#random = random;
    this.#turn = turn;
  }

  /** Power is back: what survived is all there is. */
  restart(): void {
    this.stepsLeft = Number.POSITIVE_INFINITY;
    for (const [name, file] of this.#files) {
      const entrySurvives = file.unlinked ? this.#random() < 0.5 : file.linked || this.#random() < 0.5;
      if (!entrySurvives) {
        this.#files.delete(name);
        continue;
      }
      file.data = file.durable ?? this.#torn(file.data);
      file.durable = file.data;
      file.linked = true;
      file.unlinked = false;
    }
  }

  async mkdir(): Promise<void> {
    await this.#step('mkdir');
  }

  async readdir(): Promise<string[]> {
    await this.#step('readdir');
    return [...this.#files].filter(([, file]) => !file.unlinked).map(([name]) => name);
  }

  async readFile(path: string): Promise<Uint8Array> {
    await this.#step('readFile');
    const file = this.#files.get(basename(path));
    if (file === undefined || file.unlinked) throw failure('ENOENT');
    return file.data;
  }

  async unlink(path: string): Promise<void> {
    await this.#step('unlink');
    const file = this.#files.get(basename(path));
    if (file === undefined || file.unlinked) throw failure('ENOENT');
    file.unlinked = true;
  }

  async open(path: string, flags: 'r' | 'w' | 'wx'): Promise<DiskFile> {
    await this.#step(`open ${flags}`);
    if (flags === 'r')
      return { writeFile: async () => undefined, sync: () => this.#syncFolder(), close: async () => undefined };
    const name = basename(path);
    if (this.#files.get(name)?.unlinked === false) throw failure('EEXIST');
    const file: File = { data: new Uint8Array(), durable: undefined, linked: false, unlinked: false };
    this.#files.set(name, file);
    return {
      writeFile: async (data) => {
        await this.#step('write', () => {
          file.data = data.subarray(0, Math.floor(this.#random() * data.length));
        });
        file.data = data.slice();
      },
      sync: async () => {
        await this.#step('sync');
        file.durable = file.data;
      },
      close: async () => undefined,
    };
  }

  async #syncFolder(): Promise<void> {
    await this.#step('sync folder');
    for (const [name, file] of this.#files) {
      file.linked = true;
      if (file.unlinked) this.#files.delete(name);
    }
  }

  /** Data in the cache at a power loss: a part of it, or its whole length with some of its pages still zero. */
  #torn(data: Uint8Array): Uint8Array {
    const from = Math.floor(this.#random() * (data.length + 1));
    if (this.#random() < 0.5) return data.slice(0, from);
    const to = this.#random() < 0.5 ? data.length : from + Math.floor(this.#random() * (data.length - from));
    return data.slice().fill(0, from, to);
  }

  async #step(what: string, partly: () => void = () => undefined): Promise<void> {
    await this.#turn(what);
    this.steps++;
    if (this.stepsLeft-- > 0) return;
    partly();
    this.stepsLeft = 0;
    throw new PowerLossError(what);
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}
