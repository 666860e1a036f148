import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster } from '../../test/e2e/cluster.ts';
import { type Census, copies, takeCensus, type Volume } from './census.ts';

const EVERY_MS = 2_000;

/** Counts copies on all disks every two seconds, until it is stopped. */
export class Watch {
  /** Fewest live copies that any chunk had at any moment. */
  least = Number.POSITIVE_INFINITY;
  /** Bytes of chunks that were written to disks. */
  moved = 0;
  /** Times that it looked. */
  looks = 0;
  readonly #cluster: Cluster;
  readonly #machines: readonly string[];
  #chunks: readonly string[];
  readonly #before = new Map<string, Volume>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(cluster: Cluster, machines: readonly string[], chunks: readonly string[]) {
    this.#cluster = cluster;
    this.#machines = machines;
    this.#chunks = chunks;
  }

  /** Counts the chunks of another version from now on. */
  follow(chunks: readonly string[]): void {
    this.#chunks = chunks;
    this.least = Number.POSITIVE_INFINITY;
  }

  /** @param first what there was before anything happened */
  start(first: Census): void {
    this.#take(first);
    this.#running = this.#run();
  }

  /** Rejects where it could not look. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    if (this.looks < 2) throw this.#failure ?? new Error('nobody looked');
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const census = await takeCensus(this.#cluster, this.#machines).catch((error: unknown) => {
        this.#failure = error; // an API server that is slow for a moment is asked again
      });
      if (census !== undefined) this.#take(census);
      await sleep(EVERY_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined);
    }
  }

  #take(census: Census): void {
    this.looks += 1;
    this.least = Math.min(this.least, ...copies(this.#chunks, census));
    for (const volume of census.volumes) {
      const before = this.#before.get(volume.folder);
      // The folder of a new volume appears with its first block.
      const known = before?.blocks ?? (this.looks === 1 ? volume.blocks : undefined);
      for (const cid of this.#chunks) {
        const file = volume.blocks.get(cid);
        if (file !== undefined && known?.get(cid)?.inode !== file.inode) this.moved += file.bytes;
      }
      this.#before.set(volume.folder, volume);
    }
  }
}
