import { BufferMap } from '../chunks/index.ts';
import { MalformedError } from '../codec/index.ts';
import type { HeldReport, Report } from '../overlay/index.ts';

/** How old a neighbour's report may be before what it says no longer counts. */
const STALE_MILLISECONDS = 20_000;

/** What the other members last said of themselves; the newest report of each, forgotten when it is stale. */
export class Neighbours {
  readonly #heard = new Map<string, { readonly report: Report; readonly at: number }>();
  readonly #clock: () => number;

  /** @param clock milliseconds, monotonic enough to judge ages of seconds */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Keeps the newest; an older one that comes again (gossip may repeat it) counts only after a silence. */
  hear(from: string, report: Report): void {
    const known = this.report(from);
    if (known !== undefined && report.at < known.at) return;
    this.#heard.set(from, { report, at: this.#clock() });
  }

  /** Forgets everybody who is no member any more. */
  keepOnly(members: ReadonlySet<string>): void {
    for (const peer of this.#heard.keys()) if (!members.has(peer)) this.#heard.delete(peer);
  }

  report(peer: string): Report | undefined {
    const heard = this.#heard.get(peer);
    return heard !== undefined && this.#clock() - heard.at <= STALE_MILLISECONDS ? heard.report : undefined;
  }

  /** What a peer said that it holds of a version. */
  held(peer: string, version: string): HeldReport | undefined {
    return this.report(peer)?.held.find((held) => held.cid === version);
  }

  /** The same as a buffer map of a version of `chunks` chunks; undefined where the peer said nothing, or nonsense. */
  map(peer: string, version: string, chunks: number): BufferMap | undefined {
    const held = this.held(peer, version);
    if (held?.chunks !== chunks) return undefined;
    try {
      return BufferMap.fromBits(chunks, held.bitmap);
    } catch (error) {
      if (error instanceof MalformedError) return undefined; // bits beyond the end: as good as no word
      throw error;
    }
  }
}
