import type { Report } from '../../overlay/index.ts';

/** The chunks of one version that a validator says it holds. */
export interface Held {
  /** Chunks of the whole version. */
  readonly chunks: number;
  /** How many of the chunks in `from`..`to` (exclusive) are held. */
  count(from: number, to: number): number;
}

/** The map of this version in the report, if there is one. */
export function heldOf(report: Report, cid: string): Held | undefined {
  const found = report.held.find((held) => held.cid === cid);
  if (found === undefined) return undefined;
  const { chunks, bitmap } = found;
  const has = (index: number): boolean => ((bitmap[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
  return {
    chunks,
    count: (from, to) => {
      let held = 0;
      for (let index = Math.max(0, from); index < Math.min(to, chunks); index++) if (has(index)) held++;
      return held;
    },
  };
}
