import { mkdirSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { grid, type Row } from '../figures.ts';
import { monotonicMs } from './contract.ts';
import { judge } from './data.ts';
import type { ProcessFlags } from './flags.ts';
import { Fleet } from './fleet.ts';
import { flower } from './flower.ts';
import { writeMnist } from './mnist.ts';
import {
  type Comparison,
  figuresOf,
  inWords,
  type Outcome,
  type Pair,
  rowsOf,
  type Speed,
  speedOf,
  tableOf,
  utilisationRow,
} from './outcome.ts';
import { MNIST_CLAIM, modelOf, nameOf, type Run, runOf, stepsOf } from './runs.ts';

const VALIDATORS = 8;
const TOLD_EVERY_MILLISECONDS = 10_000;
/** Before utilisation is measured: the first updates compile and make room. */
const WARM_UP_MILLISECONDS = 5000;
/** What utilisation is measured with: the one that computes most. */
const UTILISATION_RUN = 'mnist/cnn/iid';

export interface ProcessSettings extends ProcessFlags {
  /** At most so many validators. */
  readonly nodes: number;
  /** Names of parts and figures that are wanted; empty: all. */
  readonly only: ReadonlySet<string>;
  readonly tell: (line: string) => void;
}

/** Validators in processes of their own, against one process with all the data, lone trainers and Flower. */
export async function processes(settings: ProcessSettings): Promise<readonly Row[]> {
  const { only, tell, minutes } = settings;
  const signal = AbortSignal.timeout(minutes * 60_000);
  const folder = await mkdtemp(join(settings.folder ?? tmpdir(), 'murmuration-learning-'));
  const stage = new Stage(settings, folder, signal);
  const isWanted = (name: string): boolean => only.size === 0 || only.has('processes') || only.has(name);
  const compared: Comparison[] = [];
  const rows: Row[] = [];
  const attempt = async (what: string, measure: () => Promise<unknown>): Promise<void> => {
    try {
      await measure();
    } catch (error) {
      process.exitCode = 1; // the others' figures are worth having
      tell(signal.aborted ? `  ${what}: not done within ${minutes} minutes` : `  ${what} failed: ${String(error)}`);
    }
  };
  try {
    if (isWanted('utilisation_pct'))
      await attempt('utilisation_pct', async () => rows.push(await stage.utilisation(settings.rounds)));
    for (const run of settings.runs.map((name) => runOf(name, settings.changed))) {
      if (isWanted('processes') || figuresOf(run).some(isWanted))
        await attempt(nameOf(run), async () => compared.push(await stage.compare(run)));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
  if (compared.length > 0) tell(grid(...tableOf(compared)));
  return [...rows, ...compared.flatMap(rowsOf).filter(({ name }) => isWanted(name))];
}

/** Starts fleets one after another, and lets them learn. */
class Stage {
  readonly #settings: ProcessSettings;
  readonly #folder: string;
  readonly #mounts: string;
  readonly #signal: AbortSignal;
  readonly #validators: number;
  #folders = 0;

  constructor(settings: ProcessSettings, folder: string, signal: AbortSignal) {
    this.#settings = settings;
    this.#folder = folder;
    this.#mounts = join(folder, 'mounts');
    this.#signal = signal;
    this.#validators = Math.min(VALIDATORS, settings.nodes);
    writeMnist(join(this.#mounts, 'claim', MNIST_CLAIM));
  }

  /** A run on the fleet and on one process, and with Flower where it has that model. */
  async compare(run: Run): Promise<Comparison> {
    const { isWithFlower, tell } = this.#settings;
    const validators = this.#validators;
    const fleet = await this.#learn(run, validators);
    const central = await this.#learn({ ...run, updates: run.updates * validators }, 1);
    const short = await this.#learn(run, 1);
    const compared = { run, validators, fleet, central, short };
    if (!isWithFlower || run.preset !== 'mlp' || run.partition !== 'iid') return compared;
    tell(`  ${nameOf(run)}: Flower, ${run.updates} rounds of ${validators} clients`);
    const { accuracy, ...rest } = await flower({
      run,
      model: modelOf(run),
      clients: validators,
      folder: this.#newFolder(),
      mounts: this.#mounts,
      signal: this.#signal,
    });
    return { ...compared, flower: { accuracies: [accuracy], steps: stepsOf(run, validators), ...rest } };
  }

  /** Fleets with gossip and lone trainers in turn, who begins changing from round to round. */
  async utilisation(rounds: number): Promise<Row> {
    const run = runOf(UTILISATION_RUN, this.#settings.changed);
    const pairs: Pair[] = [];
    for (let round = 0; round < rounds; round++) {
      const begins = round % 2 === 0 ? 'gossip' : 'lone';
      const first = await this.#speed(run, begins, round);
      const second = await this.#speed(run, begins === 'gossip' ? 'lone' : 'gossip', round);
      pairs.push(begins === 'gossip' ? { gossip: first, lone: second } : { gossip: second, lone: first });
    }
    const cores = availableParallelism();
    const detail = `${nameOf(run)}, ${run.localSteps} mini-batches an exchange, ${this.#validators} processes, ${cores} cores`;
    return utilisationRow(pairs, detail);
  }

  async #learn(run: Run, validators: number): Promise<Outcome> {
    const name = `${nameOf(run)} on ${validators} process${validators === 1 ? '' : 'es'}`;
    const model = modelOf(run);
    await using fleet = await this.#start(run, validators, false);
    const progress = new AbortController();
    const started = monotonicMs();
    fleet.go(run.updates);
    const telling = this.#tellOf(name, fleet, run, validators, progress.signal);
    const held = await fleet.held().finally(() => progress.abort());
    await telling;
    const seconds = (Math.max(...held.map(({ at }) => at)) - started) / 1000;
    const bytes = await fleet.sentBytes();
    await fleet.stop();
    const found = await judge(model, await fleet.snapshots(), this.#mounts, this.#signal);
    const accuracies = found.map(({ accuracy }) => accuracy);
    const steps = stepsOf(run, validators);
    const outcome = { accuracies, seconds, bytes, steps };
    // At once: what comes after may not be done in time.
    this.#settings.tell(`  ${inWords(name, outcome)}`);
    return outcome;
  }

  async #speed(run: Run, kind: keyof Pair, round: number): Promise<Speed> {
    await using fleet = await this.#start(run, this.#validators, kind === 'lone');
    fleet.go();
    await sleep(WARM_UP_MILLISECONDS, undefined, { signal: this.#signal });
    const before = await fleet.counts();
    await sleep(this.#settings.seconds * 1000, undefined, { signal: this.#signal });
    const speed = speedOf(before, await fleet.counts(), run.localSteps);
    const [all, each] = [speed.perSecond.toFixed(1), speed.perCpuSecond.toFixed(1)];
    this.#settings.tell(`  round ${round + 1}, ${kind}: ${all} mini-batches/s, ${each} a second of CPU time`);
    return speed;
  }

  #start(run: Run, validators: number, isLone: boolean): Promise<Fleet> {
    const [model, folder] = [modelOf(run), this.#newFolder()];
    return Fleet.start({ validators, model, isLone, folder, mounts: this.#mounts, signal: this.#signal });
  }

  /** Says from time to time how far they are. */
  async #tellOf(name: string, fleet: Fleet, run: Run, validators: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(TOLD_EVERY_MILLISECONDS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const counts = await fleet.counts().catch(() => []);
      const done = counts.reduce((sum, { updates }) => sum + updates, 0);
      this.#settings.tell(`  ${name}: ${((100 * done) / (run.updates * validators)).toFixed(0)} %`);
    }
  }

  #newFolder(): string {
    this.#folders += 1;
    const folder = join(this.#folder, String(this.#folders));
    mkdirSync(folder);
    return folder;
  }
}
