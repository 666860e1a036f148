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

  hear(from: string, report: Report): void {
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

  /** Peers with a fresh report. */
  peers(): readonly string[] {
    return [...this.#heard.keys()].filter((peer) => this.report(peer) !== undefined);
  }
}
