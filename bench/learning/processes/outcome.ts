import { median } from '../../figures.ts';
import { type FigureName, type Row, round } from '../figures.ts';
import type { Count } from './contract.ts';
import { nameOf, type Run, stepsOf } from './runs.ts';

/** What became of a run. */
export interface Outcome {
  /** Of each model on the rows held out, 0..1. */
  readonly accuracies: readonly number[];
  /** From the word to go to the end of the last update of the last validator. */
  readonly seconds: number;
  /** Of models that were sent. */
  readonly bytes: number;
  /** Mini-batches, all validators together. */
  readonly steps: number;
}

/** A run on the fleet, and what it is held against. */
export interface Comparison {
  readonly run: Run;
  readonly validators: number;
  readonly fleet: Outcome;
  /** One process with all the data, as many mini-batches as the fleet together. */
  readonly central: Outcome;
  /** One process with all the data, as many mini-batches as one validator of the fleet. */
  readonly short: Outcome;
  readonly flower?: Outcome;
}

export const FLOWER = 'Flower 1.41.0';
const ACCURACY = 'accuracy';

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Names of the figures that a run gives. */
export function figuresOf({ task, preset, partition }: Pick<Run, 'task' | 'preset' | 'partition'>): FigureName[] {
  if (partition !== 'iid') return [];
  const beside = ['digits_mlp_accuracy', 'digits_mlp_seconds', 'digits_mlp_mb'] as const;
  return [`${task}_${preset}_gap_to_central`, ...(task === 'digits' && preset === 'mlp' ? beside : [])];
}

/** The figures of a comparison. */
export function rowsOf({ run, validators, fleet, central, flower }: Comparison): readonly Row[] {
  const samples = `${stepsOf(run, validators)} mini-batches on ${validators} processes`;
  const [own, whole] = [mean(fleet.accuracies), mean(central.accuracies)];
  const values: Partial<Record<FigureName, Omit<Row, 'name'>>> = {
    digits_mlp_accuracy: beside(own, flower && mean(flower.accuracies), ACCURACY, samples),
    digits_mlp_seconds: beside(fleet.seconds, flower?.seconds, 's', samples),
    digits_mlp_mb: beside(fleet.bytes / 1e6, flower && flower.bytes / 1e6, 'MB', `models that were sent, ${samples}`),
  };
  const gap = {
    value: round(whole - own),
    unit: ACCURACY,
    peer: 'centralized',
    peerValue: round(whole),
    detail: `mean ${round(own)}, worst ${round(Math.min(...fleet.accuracies))}, ${samples}`,
  };
  return figuresOf(run).map((name) => ({ name, ...(values[name] ?? gap) }));
}

function beside(value: number, others: number | undefined, unit: string, detail: string): Omit<Row, 'name'> {
  const peer = others !== undefined && { peer: FLOWER, peerValue: round(others), ratio: round(value / others) };
  return { value: round(value), unit, ...peer, detail };
}

/** An outcome as a line of progress. */
export function inWords(name: string, { accuracies, seconds, bytes, steps }: Outcome): string {
  const [all, worst] = [mean(accuracies).toFixed(3), Math.min(...accuracies).toFixed(3)];
  const sent = `${(bytes / 1e6).toFixed(1)} MB of models sent`;
  return `${name}: ${steps} mini-batches in ${seconds.toFixed(1)} s, accuracy ${all}, worst ${worst}, ${sent}`;
}

/** Head and lines of a table of all that was compared. */
export function tableOf(compared: readonly Comparison[]): [readonly string[], readonly (readonly string[])[]] {
  const head = ['run', 'who', 'accuracy', 'worst', 'mini-batches', 'wall time, s', 'mini-batches/s', 'models sent, MB'];
  const line = (name: string, who: string, { accuracies, seconds, bytes, steps }: Outcome): readonly string[] => [
    name,
    who,
    mean(accuracies).toFixed(3),
    Math.min(...accuracies).toFixed(3),
    String(steps),
    seconds.toFixed(1),
    (steps / seconds).toFixed(0),
    (bytes / 1e6).toFixed(1),
  ];
  const lines = compared.flatMap(({ run, validators, fleet, central, short, flower }) => [
    line(nameOf(run), `${validators} validators`, fleet),
    line('', 'one process, as much in all', central),
    line('', 'one process, as much as one of them', short),
    ...(flower === undefined ? [] : [line('', FLOWER, flower)]),
  ]);
  return [head, lines];
}

/** How fast validators train, all together. */
export interface Speed {
  /** Mini-batches a second. */
  readonly perSecond: number;
  /** Mini-batches a second of CPU time: also comparable where others use the machine too. */
  readonly perCpuSecond: number;
}

/**
 * The speed of a fleet, each validator's over the time between its own last updates of both counts.
 * @throws RangeError where one has done no update in between
 */
export function speedOf(before: readonly Count[], after: readonly Count[], localSteps: number): Speed {
  let [perSecond, steps, cpuMs] = [0, 0, 0];
  after.forEach((count, index) => {
    const since = before[index] ?? { updates: 0, at: 0, cpuMs: 0 };
    const own = (count.updates - since.updates) * localSteps;
    if (own <= 0) throw new RangeError('a validator has done no update in the time: give --seconds more');
    perSecond += (own * 1000) / (count.at - since.at);
    steps += own;
    cpuMs += count.cpuMs - since.cpuMs;
  });
  return { perSecond, perCpuSecond: (steps * 1000) / cpuMs };
}

/** One round: validators that gossip, and lone trainers. */
export interface Pair {
  readonly gossip: Speed;
  readonly lone: Speed;
}

/** What gossip leaves of the mini-batches a second that lone trainers do on the same cores; median of rounds. */
export function utilisationRow(rounds: readonly Pair[], detail: string): Row {
  const shares = (of: keyof Speed): readonly number[] =>
    rounds.map(({ gossip, lone }) => (100 * gossip[of]) / lone[of]);
  const speed = (of: keyof Pair): string => median(rounds.map((one) => one[of].perSecond)).toFixed(1);
  const told = (of: keyof Speed): string =>
    shares(of)
      .map((share) => share.toFixed(1))
      .join(' ');
  return {
    name: 'utilisation_pct',
    value: round(median(shares('perSecond'))),
    unit: '%',
    detail: `${speed('gossip')} of ${speed('lone')} mini-batches/s; rounds ${told('perSecond')}; by CPU time ${told('perCpuSecond')}; ${detail}`,
  };
}
