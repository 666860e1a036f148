import {
  type BuiltVersion,
  ChunkStore,
  type Clock,
  Holdings,
  Swarm,
  type SwarmOptions,
  type Unit,
} from '../../../src/chunks/index.ts';
import { MalformedError } from '../../../src/codec/index.ts';
import type { Disk } from '../../../src/disk/index.ts';
import { fill, seeded } from './fixtures.ts';

/** Time that passes when nothing else is left to do. */
export class VirtualTime implements Clock {
  #now = 0;
  #order = 0;
  readonly #due: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];

  now = (): number => this.#now;

  sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) reject(signal.reason);
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.at(this.#now + ms, resolve);
    });

  at(when: number, run: () => void): void {
    const entry = { at: Math.max(when, this.#now), order: this.#order++, run };
    let place = this.#due.length;
    while (place > 0 && later(this.#due[place - 1]!, entry)) place -= 1;
    this.#due.splice(place, 0, entry);
  }

  /** Until the work is done, or nothing is left that could do it. */
  async until<T>(work: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let over = false;
    const end = work.finally(() => {
      over = true;
    });
    end.catch(() => undefined);
    await quiet();
    while (!over) {
      const next = this.#due.shift();
      if (next === undefined || next.at > limitMs) throw new Error(`nothing more happens after ${this.#now} ms`);
      this.#now = next.at;
      next.run();
      await quiet();
    }
    return end;
  }
}

const later = (a: { at: number; order: number }, b: { at: number; order: number }): boolean =>
  a.at > b.at || (a.at === b.at && a.order > b.order);

/** Everything that was begun and waits for no time has been done. */
const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A disk in memory; files keep what they are given, without a copy. */
export function memoryDisk(): Disk {
  const files = new Map<string, Uint8Array>();
  const missing = (path: string) => Object.assign(new Error(`${path} is not there`), { code: 'ENOENT' });
  return {
    mkdir: async () => undefined,
    open: async (path) => ({
      writeFile: async (data) => void files.set(path, data),
      sync: async () => undefined,
      close: async () => undefined,
    }),
    readdir: async (path) =>
      [...files.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1)),
    readFile: async (path) => {
      const data = files.get(path);
      if (data === undefined) throw missing(path);
      return data;
    },
    rename: async (from, to) => {
      const data = files.get(from);
      if (data === undefined) throw missing(from);
      files.delete(from);
      files.set(to, data);
    },
    size: async (path) => files.get(path)?.byteLength ?? 0,
    unlink: async (path) => void files.delete(path),
    space: async () => ({ freeBytes: 1e12, totalBytes: 1e12 }),
  };
}

export interface SimPeer {
  readonly name: string;
  readonly swarm: Swarm;
  readonly store: ChunkStore;
  readonly holdings: Holdings;
}

export interface SimPeerOptions extends Partial<SwarmOptions> {
  /** Uplink, bytes a millisecond. */
  readonly rate?: number;
  /** Changes the frames that leave. */
  readonly tamper?: (to: string, frame: Uint8Array) => Uint8Array | undefined;
  readonly maxBytes?: number;
}

/** Peers on links with a rate and a delay, in virtual time. */
export class SimNet {
  readonly time = new VirtualTime();
  readonly random: () => number;
  readonly #latencyMs: number;
  readonly #ends = new Map<
    string,
    { readonly events: Parameters<SwarmOptions['channels']>[0]; readonly rate: number; freeAt: number }
  >();
  readonly #cut = new Set<string>();

  constructor({ seed = 1, latencyMs = 2 } = {}) {
    this.random = seeded(seed);
    this.#latencyMs = latencyMs;
  }

  async peer(name: string, { rate = 2_500, tamper, maxBytes, ...options }: SimPeerOptions = {}): Promise<SimPeer> {
    const store = await ChunkStore.open(`/${name}`, {
      fs: memoryDisk(),
      ...(maxBytes === undefined ? {} : { maxBytes }),
    });
    const holdings = new Holdings(store);
    const swarm = new Swarm({
      store,
      holdings,
      clock: this.time,
      random: this.random,
      channels: (events) => {
        const end = { events, rate, freeAt: 0 };
        this.#ends.set(name, end);
        return {
          send: (to, parts) => {
            const whole = new Uint8Array(Buffer.concat(parts));
            const frame = tamper === undefined ? whole : tamper(to, whole);
            if (frame === undefined) return true;
            const now = this.time.now();
            end.freeAt = Math.max(now, end.freeAt) + (frame.byteLength + 64) / end.rate;
            this.time.at(end.freeAt + this.#latencyMs, () => this.#deliver(name, to, frame));
            return true;
          },
          close: (to) => this.break(name, to),
        };
      },
      ...options,
    });
    return { name, swarm, store, holdings };
  }

  /** As if this had come from somebody who is no peer of ours. Whatever it is, it may only be called malformed. */
  say(from: string, to: string, parts: readonly Uint8Array[]): void {
    const end = this.#ends.get(to);
    if (end === undefined) throw new Error(`${to} is not here`);
    try {
      end.events.onFrame(from, new Uint8Array(Buffer.concat(parts)));
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      end.events.onClosed(from);
    }
  }

  /** The channel between two ends for both. */
  break(a: string, b: string): void {
    this.#ends.get(a)?.events.onClosed(b);
    this.#ends.get(b)?.events.onClosed(a);
  }

  /** A peer is no longer there. */
  leave(name: string): void {
    this.#cut.add(name);
    for (const other of this.#ends.keys()) if (other !== name) this.break(name, other);
  }

  #deliver(from: string, to: string, frame: Uint8Array): void {
    const end = this.#ends.get(to);
    if (end === undefined || this.#cut.has(from) || this.#cut.has(to)) {
      this.#ends.get(from)?.events.onClosed(to);
      return;
    }
    try {
      end.events.onFrame(from, frame);
    } catch {
      this.break(to, from);
    }
  }
}

export const unitsOf = (built: BuiltVersion, indexes: Iterable<number> = built.chunks.keys()): readonly Unit[] =>
  [...indexes].map((index) => ({ cid: built.chunks[index]!.cid, index, indexes: [index] }));

/** A peer that holds (some of) a version. */
export async function holder(
  net: SimNet,
  name: string,
  built: BuiltVersion,
  options: SimPeerOptions & { indexes?: readonly number[] } = {},
) {
  const { indexes, ...rest } = options;
  const peer = await net.peer(name, rest);
  await fill(peer.store, built, indexes);
  peer.holdings.follow(built.cid, built.manifest);
  return peer;
}

/** A peer that follows a version of which it has nothing but the manifest. */
export const follower = (net: SimNet, name: string, built: BuiltVersion, options: SimPeerOptions = {}) =>
  holder(net, name, built, { ...options, indexes: [] });
