import { dirname } from 'node:path';
import type { Disk, DiskFile, Space } from '../../../src/disk/index.ts';

export type Step =
  | 'mkdir'
  | 'open'
  | 'write'
  | 'sync'
  | 'sync folder'
  | 'rename'
  | 'read'
  | 'size'
  | 'unlink'
  | 'space';

interface File {
  data: Uint8Array;
  /** What is on the platter; `undefined`: nothing yet. */
  durable: Uint8Array | undefined;
}

const failure = (code: string, what: string): Error => Object.assign(new Error(`${code}: ${what}`), { code });

/**
 * A disk in memory with a cache that is lost with the power: bytes are on the platter once their file was synced, names once
 * their folder was. It can be filled, told to fail, told to lose power after so many steps, and held still at a step.
 */
export class VolatileDisk implements Disk {
  readonly #folders = new Set<string>();
  /** What is seen. */
  readonly #names = new Map<string, File>();
  /** What is on the platter. */
  readonly #durableNames = new Map<string, File>();
  /** What was done, in order. */
  readonly done: { readonly step: Step; readonly path: string }[] = [];
  /** Steps until power is lost. */
  stepsLeft = Number.POSITIVE_INFINITY;
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Error code of a step that fails. */
  fails: (step: Step, path: string) => string | undefined = () => undefined;
  /** Awaited before each step. */
  before: (step: Step, path: string) => Promise<unknown> | undefined = () => undefined;
  /** Files that are open now, and the most that were. */
  openFiles = 0;
  mostOpenFiles = 0;

  /** Power was lost and is back: of what was not synced, parts are there. */
  restart(random: () => number): void {
    this.stepsLeft = Number.POSITIVE_INFINITY;
    for (const path of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
      const file = random() < 0.5 ? this.#names.get(path) : this.#durableNames.get(path);
      if (file === undefined) this.#names.delete(path);
      else this.#names.set(path, file);
    }
    for (const file of this.#names.values()) {
      file.data = file.durable ?? torn(file.data, random);
      file.durable = file.data;
    }
    this.#durableNames.clear();
    for (const [path, file] of this.#names) this.#durableNames.set(path, file);
    this.openFiles = 0;
  }

  count(step: Step, under = '/'): number {
    return this.done.filter((one) => one.step === step && one.path.startsWith(under)).length;
  }

  get usedBytes(): number {
    return [...this.#names.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  }

  /** Changes a file behind everybody's back. */
  rot(path: string, data: Uint8Array): void {
    this.#names.set(path, { data, durable: data });
  }

  async mkdir(path: string): Promise<void> {
    await this.#step('mkdir', path);
    this.#folders.add(path);
  }

  async open(path: string, flags: 'r' | 'w' | 'wx'): Promise<DiskFile> {
    await this.#step('open', path);
    this.openFiles++;
    this.mostOpenFiles = Math.max(this.mostOpenFiles, this.openFiles);
    const close = async (): Promise<void> => void this.openFiles--;
    if (flags === 'r') {
      const sync = async (): Promise<void> => {
        await this.#step('sync folder', path);
        for (const name of new Set([...this.#names.keys(), ...this.#durableNames.keys()])) {
          const file = this.#names.get(name);
          if (dirname(name) !== path) continue;
          if (file === undefined) this.#durableNames.delete(name);
          else this.#durableNames.set(name, file);
        }
      };
      return { writeFile: () => Promise.reject(failure('EBADF', path)), sync, close };
    }
    if (flags === 'wx' && this.#names.has(path)) throw failure('EEXIST', path);
    const file: File = { data: new Uint8Array(), durable: undefined };
    this.#names.set(path, file);
    return {
      writeFile: async (data) => {
        await this.#step('write', path);
        const room = Math.max(0, this.capacityBytes - this.usedBytes);
        file.data = Buffer.concat([file.data, data.subarray(0, room)]);
        if (data.byteLength > room) throw failure('ENOSPC', path);
      },
      sync: async () => {
        await this.#step('sync', path);
        file.durable = file.data;
      },
      close,
    };
  }

  async readdir(path: string): Promise<string[]> {
    return [...this.#names.keys()].filter((name) => dirname(name) === path).map((name) => name.slice(path.length + 1));
  }

  async readFile(path: string): Promise<Uint8Array> {
    await this.#step('read', path);
    return Uint8Array.from(this.#file(path).data);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step('rename', to);
    this.#names.set(to, this.#file(from));
    this.#names.delete(from);
  }

  async size(path: string): Promise<number> {
    await this.#step('size', path);
    return this.#file(path).data.byteLength;
  }

  async space(path: string): Promise<Space> {
    await this.#step('space', path);
    return { freeBytes: this.capacityBytes - this.usedBytes, totalBytes: this.capacityBytes };
  }

  async unlink(path: string): Promise<void> {
    await this.#step('unlink', path);
    this.#file(path);
    this.#names.delete(path);
  }

  #file(path: string): File {
    const file = this.#names.get(path);
    if (file === undefined) throw failure('ENOENT', path);
    return file;
  }

  async #step(step: Step, path: string): Promise<void> {
    await this.before(step, path);
    this.done.push({ step, path });
    if (this.stepsLeft-- <= 0) throw failure('EIO', `no power at ${step} ${path}`);
    const code = this.fails(step, path);
    if (code !== undefined) throw failure(code, `${step} ${path}`);
  }
}

/** Bytes that were in the cache at a power loss: none, a part, or all of them with a part still zero. */
function torn(data: Uint8Array, random: () => number): Uint8Array {
  const from = Math.floor(random() * (data.length + 1));
  if (random() < 0.5) return data.slice(0, from);
  const to = random() < 0.5 ? data.length : from + Math.floor(random() * (data.length - from));
  return Uint8Array.from(data).fill(0, from, to);
}
