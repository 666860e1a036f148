import { availableParallelism } from 'node:os';
import { median, round, row } from '../figures.ts';
import { type Engine, type LibtorrentSetting, libtorrent, ours } from './engines.ts';
import type { Row } from './figures.ts';
import { inWords, type Measures, measure, slowest } from './measures.ts';
import { boundMs, crowd, leavers, liars, pair, type Size, slow, staggered } from './scenarios.ts';
import { type Part, swarm } from './swarm.ts';

export interface RaceInit {
  readonly rounds: number;
  readonly libtorrent: readonly LibtorrentSetting[];
  /** Where peers keep their files. */
  readonly folder: string;
  readonly tell: (line: string) => void;
}

type Results = ReadonlyMap<Engine, readonly Measures[]>;

const PAIR_LIMIT_MS = 300_000;

/** Runs the scenarios, programs in turn, and makes figures of them: the median of all rounds. */
export class Race {
  readonly #init: RaceInit;
  readonly #ours = ours();
  #engines: readonly Engine[] | undefined;
  /** Crowds of ours, by size: what disturbed ones are held against. */
  readonly #undisturbed = new Map<string, readonly Measures[]>();

  constructor(init: RaceInit) {
    this.#init = init;
  }

  /** Everyone at once, ours and libtorrent. */
  async crowd16(size: Size): Promise<readonly Row[]> {
    const { mine, best } = await this.#crowd(size);
    const bestMs = boundMs(size);
    const eff = (of: readonly Measures[]): number => median(of.map(({ times }) => bestMs / median(times)));
    const worst = (of: readonly Measures[]): number => median(of.map(({ times }) => bestMs / slowest(times)));
    const beside = (of: (measures: readonly Measures[]) => number) => best && { name: best.name, value: of(best.all) };
    const each = (of: (one: Measures) => number) => (all: readonly Measures[]) => median(all.map(of));
    const figure = (name: Row['name'], unit: string, of: (all: readonly Measures[]) => number, detail: string): Row =>
      row(name, of(mine), unit, detail, beside(of));
    const times = (of: (one: Measures) => number) => mine.map((one) => (of(one) / 1000).toFixed(1)).join(' ');
    const least = `T* ${(bestMs / 1000).toFixed(2)} s`;
    return [
      figure('eff_median_16', 'T*/T', eff, `${least}; ${times(({ times: t }) => median(t))} s`),
      figure('eff_slowest_16', 'T*/T', worst, `${least}; ${times(({ times: t }) => slowest(t))} s`),
      ...(best === undefined
        ? []
        : [
            {
              name: 'eff_vs_libtorrent_16',
              value: round(eff(mine) / eff(best.all)),
              unit: 'ratio',
              peer: best.name,
              peerValue: round(eff(best.all)),
              ratio: round(eff(mine) / eff(best.all)),
              detail: best.field,
            } as const,
          ]),
      figure(
        'seed_egress_16',
        'F',
        each((one) => one.seedEgress),
        'bytes of blocks that the seed sent',
      ),
      figure(
        'duplicates_pct_16',
        '%',
        each((one) => one.wastedPct),
        'of what arrived; wrong bytes too',
      ),
      figure(
        'cpu_ms_per_mb_16',
        'ms/MB',
        each((one) => one.cpuMsPerMb),
        `all processes, both ends, on ${availableParallelism()} cores; RSS at most ${Math.max(...mine.map(({ maxRssMb }) => maxRssMb)).toFixed(0)} MB` +
          `, event loop late at most ${Math.max(...mine.map(({ loopMs }) => loopMs?.max ?? 0)).toFixed(0)} ms`,
      ),
    ];
  }

  async crowd8(size: Size): Promise<readonly Row[]> {
    const { mine, best } = await this.#crowd(size);
    const bestMs = boundMs(size);
    const eff = (of: readonly Measures[]): number => median(of.map(({ times }) => bestMs / median(times)));
    const detail = `T* ${(bestMs / 1000).toFixed(2)} s; slowest ${median(mine.map(({ times }) => bestMs / slowest(times))).toFixed(3)}`;
    return [row('eff_median_8', eff(mine), 'T*/T', detail, best && { name: best.name, value: eff(best.all) })];
  }

  async staggered16(size: Size): Promise<readonly Row[]> {
    const bestMs = boundMs(size);
    const mine = await this.#rounds('staggered joins', size, staggered(size));
    const eff = median(mine.map(({ times }) => bestMs / median(times)));
    const everyS = (bestMs / size.peers / 1000).toFixed(2);
    return [row('eff_median_staggered_16', eff, 'T*/T', `from its own start, one every ${everyS} s`)];
  }

  async leavers16(size: Size): Promise<readonly Row[]> {
    const bestMs = boundMs(size);
    const parts = leavers(size);
    const mine = await this.#rounds('leavers', size, parts);
    const gone = parts.filter(({ leaveMs }) => leaveMs !== undefined).length;
    const eff = median(mine.map(({ times }) => bestMs / median(times)));
    const worst = median(mine.map(({ times }) => bestMs / slowest(times)));
    const detail = `${gone} of ${parts.length} leave at ${(bestMs / 2000).toFixed(1)} s; slowest of the others ${worst.toFixed(3)}`;
    return [row('eff_median_leavers_16', eff, 'T*/T', detail)];
  }

  async slow16(size: Size): Promise<readonly Row[]> {
    const bestMs = boundMs(size);
    const mine = await this.#rounds('slow peers', size, slow(size));
    const eff = median(mine.map(({ times }) => bestMs / median(times)));
    return [
      row('eff_median_slow_16', eff, 'T*/T', 'of the fast ones'),
      await this.#cost('slow_peers_cost_pct', size, mine),
    ];
  }

  async liars16(size: Size): Promise<readonly Row[]> {
    return [await this.#cost('liars_cost_pct', size, await this.#rounds('liars', size, liars(size)))];
  }

  /** Two processes, as fast as they can. */
  async pair(mib: number, chunkKib: number): Promise<readonly Row[]> {
    const shape = { mib, chunkKib, parts: pair, mbit: undefined, bestMs: undefined, limitMs: PAIR_LIMIT_MS };
    const results = await this.#turns('pair', this.#all(), shape);
    const rate = (all: readonly Measures[]): number => (mib * 2 ** 20) / 1e6 / (median(all.map(slowestOf)) / 1000);
    const best = bestOf(results, this.#ours, (all) => rate(all));
    const mine = results.get(this.#ours) ?? [];
    const detail = `${mib} MiB; from the order until all is hashed and on disk; ${median(mine.map(({ cpuMsPerMb }) => cpuMsPerMb)).toFixed(1)} ms CPU/MB`;
    return [row('pair_mb_s', rate(mine), 'MB/s', detail, best && { name: best.name, value: rate(best.all) })];
  }

  /** How much longer the median peer took than in a crowd without those. */
  async #cost(name: 'slow_peers_cost_pct' | 'liars_cost_pct', size: Size, mine: readonly Measures[]): Promise<Row> {
    const without = await this.#without(size);
    const ms = (all: readonly Measures[]): number => median(all.map(({ times }) => median(times)));
    const detail = `median ${(ms(mine) / 1000).toFixed(2)} s against ${(ms(without) / 1000).toFixed(2)} s`;
    return row(name, 100 * (ms(mine) / ms(without) - 1), '%', detail);
  }

  async #without(size: Size): Promise<readonly Measures[]> {
    const known = this.#undisturbed.get(keyOf(size));
    if (known !== undefined) return known;
    const mine = await this.#rounds('flash crowd', size, crowd(size));
    this.#undisturbed.set(keyOf(size), mine);
    return mine;
  }

  async #crowd(size: Size) {
    const results = await this.#turns('flash crowd', this.#all(), shapeOf(size, crowd(size)));
    const mine = results.get(this.#ours) ?? [];
    this.#undisturbed.set(keyOf(size), mine);
    return { mine, best: bestOf(results, this.#ours, (all) => 1 / median(all.map(({ times }) => median(times)))) };
  }

  /** Rounds of ours alone. */
  async #rounds(what: string, size: Size, parts: readonly Part[]): Promise<readonly Measures[]> {
    const results = await this.#turns(what, [this.#ours], shapeOf(size, parts));
    return results.get(this.#ours) ?? [];
  }

  async #turns(what: string, engines: readonly Engine[], shape: Shape): Promise<Results> {
    const { rounds, folder, tell } = this.#init;
    const results = new Map<Engine, Measures[]>();
    for (let turn = 1; turn <= rounds; turn += 1) {
      for (const engine of engines) {
        tell(`  ${what}, round ${turn} of ${rounds}, ${engine.name}`);
        try {
          const outcome = await swarm(
            {
              engine,
              seedRate: shape.mbit,
              parts: shape.parts,
              bytes: shape.mib * 2 ** 20,
              chunkBytes: shape.chunkKib * 2 ** 10,
              limitMs: shape.limitMs,
              folder,
            },
            (line) => tell(`    ${line}`),
          );
          const measures = measure(outcome, shape.mbit);
          tell(`  ${engine.name}: ${inWords(measures, shape.bestMs)}`);
          results.set(engine, [...(results.get(engine) ?? []), measures]);
        } catch (error) {
          // Others' failure is no reason not to measure ours.
          if (engine === this.#ours) throw error;
          process.exitCode = 1;
          tell(`  ${engine.name} failed: ${String(error)}`);
        }
      }
    }
    return results;
  }

  #all(): readonly Engine[] {
    this.#engines ??= [this.#ours, ...this.#init.libtorrent.map(libtorrent)];
    return this.#engines;
  }
}

interface Shape {
  readonly mib: number;
  readonly chunkKib: number;
  readonly mbit: number | undefined;
  readonly parts: readonly Part[];
  readonly bestMs: number | undefined;
  readonly limitMs: number;
}

function shapeOf(size: Size, parts: readonly Part[]): Shape {
  const bestMs = boundMs(size);
  return { ...size, parts, bestMs, limitMs: 60_000 + 10 * bestMs };
}

/** The best of the others. @param score higher is better */
function bestOf(results: Results, mine: Engine, score: (all: readonly Measures[]) => number) {
  const field = [...results]
    .filter(([engine]) => engine !== mine)
    .map(([{ name }, all]) => ({ name, all, score: score(all) }))
    .sort((a, b) => b.score - a.score);
  const [first] = field;
  if (first === undefined) return undefined;
  const words = field.map(({ name, score: s }) => `${name} ${(s / first.score).toFixed(2)}`).join(', ');
  return { name: first.name, all: first.all, field: `the best of: ${words}` };
}

const keyOf = (size: Size): string => JSON.stringify(size);
const slowestOf = ({ times }: Measures): number => slowest(times);
