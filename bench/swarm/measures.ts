import { availableParallelism } from 'node:os';
import { median, quantile } from '../figures.ts';
import type { SwarmOutcome } from './swarm.ts';

/** What is read off one run. */
export interface Measures {
  /** Times of the peers at the full rate that got the file, in no order. ms */
  readonly times: readonly number[];
  /** Bytes of blocks that the seed sent, over the file's. */
  readonly seedEgress: number;
  /** Bytes of blocks that came and were of no use, over the files' that arrived. % */
  readonly wastedPct: number;
  /** CPU of all processes, over what arrived. ms/MB */
  readonly cpuMsPerMb: number;
  readonly maxRssMb: number;
  /** 99th percentile of the event loop's delay, of the worst peer, and the longest of all; null where there is none. ms */
  readonly loopMs: { readonly p99: number; readonly max: number } | null;
  /** What went over all uplinks, headers and lost packets included, over the files' that arrived. */
  readonly wire: number;
  /** What the rest of the machine used meanwhile, of all its cores: of little worth is what was measured beside much. % */
  readonly othersPct: number;
}

/** @param fullRate Mbit/s; undefined: links are not shaped */
export function measure(outcome: SwarmOutcome, fullRate: number | undefined): Measures {
  const { peers, seed, bytes, cpuMs, machineCpuMs, wallMs } = outcome;
  const everyone = [seed, ...peers];
  const arrived = peers.filter(({ ms }) => ms !== undefined);
  const delivered = arrived.length * bytes;
  const total = (of: (peer: (typeof everyone)[number]) => number): number =>
    everyone.reduce((sum, peer) => sum + of(peer), 0);
  const loops = everyone.flatMap(({ loopMs }) => loopMs ?? []);
  return {
    times: arrived.flatMap(({ ms, part }) => (ms === undefined || part.rate !== fullRate ? [] : [ms])),
    seedEgress: seed.bytesOut / bytes,
    wastedPct: (100 * total(({ wastedBytes }) => wastedBytes)) / delivered,
    cpuMsPerMb: cpuMs / (delivered / 1e6),
    maxRssMb: Math.max(...everyone.map(({ maxRssMb }) => maxRssMb)),
    loopMs:
      loops.length === 0
        ? null
        : { p99: Math.max(...loops.map(({ p99 }) => p99)), max: Math.max(...loops.map(({ max }) => max)) },
    wire: total(({ wire }) => wire.sent) / delivered,
    othersPct: Math.max(0, (100 * (machineCpuMs - cpuMs)) / (wallMs * availableParallelism())),
  };
}

export const slowest = (times: readonly number[]): number => Math.max(...times);

/** One run in a line, for the eyes. @param bestMs the bound; undefined: none */
export function inWords(measures: Measures, bestMs: number | undefined): string {
  const { times, seedEgress, wastedPct, cpuMsPerMb, maxRssMb, loopMs, wire, othersPct } = measures;
  const time = (ms: number): string =>
    `${(ms / 1000).toFixed(2)} s${bestMs === undefined ? '' : ` (${(bestMs / ms).toFixed(3)})`}`;
  return [
    `fastest ${time(quantile(times, 0))}, median ${time(median(times))}, slowest ${time(slowest(times))}`,
    `seed sent ${seedEgress.toFixed(3)} F`,
    `wasted ${wastedPct.toFixed(2)} %`,
    `${cpuMsPerMb.toFixed(1)} ms CPU/MB`,
    `on the wire ${wire.toFixed(3)}`,
    `RSS ${maxRssMb.toFixed(0)} MB`,
    ...(loopMs === null ? [] : [`event loop late p99 ${loopMs.p99.toFixed(0)} ms, max ${loopMs.max.toFixed(0)} ms`]),
    `others used ${othersPct.toFixed(0)} % of the machine`,
  ].join(', ');
}
