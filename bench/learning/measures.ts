import { Guard } from '../../src/learning/guard.ts';
import { ATTACKS, type AttackName } from './attackers.ts';
import { difference, grid, type Row, row } from './figures.ts';
import { Pegasos, pegasosError, pegasosLayout, softmaxError } from './linear.ts';
import { EXTREME, FAIR, Fleet, type FleetOptions, type Peer, type Weather } from './simulator.ts';
import { bundled, fromFile, type Partition, type Prepared, softmaxes } from './tables.ts';

export interface Settings {
  /** At most so many validators. */
  readonly nodes: number;
  readonly seed: number;
  /** A data set instead of the bundled one, and its label's column. */
  readonly data?: string;
  readonly label?: string;
  readonly tell: (line: string) => void;
}

const dataOf = ({ data, label }: Settings, name: 'digits' | 'spambase'): Promise<Prepared> =>
  data === undefined ? bundled(name) : fromFile(data, label);

const meanOver = (peers: readonly Peer[], error: (weights: Float32Array) => number): number =>
  peers.reduce((sum, { participant }) => sum + error(participant.average), 0) / peers.length;

const digits = (value: number): string => value.toFixed(3);

const CYCLES = [1, 5, 10, 50, 100, 200] as const;
/** The design's own numbers. */
const MERGE_UPDATE = [0.462, 0.266, 0.163, 0.084, 0.079, 0.077] as const;
const EXTREME_FAILURES = [0.607, 0.539, 0.412, 0.206, 0.119, 0.096] as const;

/** Mean error after so many cycles of Pegasos with one record a validator. */
async function curve(settings: Settings, weather: Weather): Promise<readonly number[]> {
  const data = await dataOf(settings, 'spambase');
  const rows = [...data.train].slice(0, settings.nodes);
  const fleet = new Fleet({
    learning: { localSteps: 1, clip: 'none' },
    trainees: rows.map((row) => new Pegasos(data, Int32Array.of(row), 1e-4)),
    start: new Float32Array(pegasosLayout(data.table.columns).size),
    seed: settings.seed,
    weather,
  });
  const errors: number[] = [];
  let passed = 0;
  for (const cycles of CYCLES) {
    await fleet.run(cycles - passed);
    passed = cycles;
    errors.push(meanOver(fleet.peers, (weights) => pegasosError(weights, data.table, data.test)));
    settings.tell(`  after ${cycles} cycles: ${digits(errors.at(-1) ?? Number.NaN)}`);
  }
  fleet.stop();
  return errors;
}

/** Table 1: one record a validator. */
export async function cycles(settings: Settings): Promise<readonly Row[]> {
  const fair = await curve(settings, FAIR);
  const extreme = await curve(settings, EXTREME);
  const cells = [
    ['merge+update', fair, MERGE_UPDATE],
    ['the same, extreme failures', extreme, EXTREME_FAILURES],
  ] as const;
  settings.tell(
    grid(
      ['mean error after cycles', ...CYCLES.map(String)],
      cells.flatMap(([name, ours, design]) => [
        [name, ...ours.map(digits)],
        ['  in the design', ...design.map(digits)],
      ]),
    ),
  );
  const at = (of: readonly number[], cycle: (typeof CYCLES)[number]): number => of[CYCLES.indexOf(cycle)] ?? Number.NaN;
  return [
    ...([10, 50, 100, 200] as const).map((cycle) =>
      row(`mu_err_${cycle}`, at(fair, cycle), 'design', at(MERGE_UPDATE, cycle), 'Pegasos, one record a validator'),
    ),
    row('mu_af_err_200', at(extreme, 200), 'design', 0.096, '50 % lost, 1-10 cycles late, 90 % online'),
    difference('mu_af_cost_200', at(extreme, 200) - at(fair, 200), 'extreme failures less fault-free'),
  ];
}

const TRANSFERS = [5, 10, 20, 50, 100, 200] as const;
/** Learning rates that each side is tried with; the best at 100 transfers counts. */
const RATES = [0.1, 0.3, 1] as const;
const STEPS = { localSteps: 4, batchSize: 10 } as const;
const FLEET = 100;

/** Mean error after so many models sent or received by a validator, of 100 with logistic regression. */
async function transfers(
  settings: Settings,
  partition: Partition,
  learning: object,
  learningRate: number,
): Promise<readonly number[]> {
  const data = await dataOf(settings, 'spambase');
  const trainees = softmaxes(data, Math.min(FLEET, settings.nodes), partition, { ...STEPS, learningRate });
  const start = new Float32Array(trainees[0]?.layout.size ?? 0);
  const fleet = new Fleet({ learning, partition, trainees, start, seed: settings.seed });
  const errors: number[] = [];
  for (const count of TRANSFERS) {
    while (fleet.messages < count * trainees.length) await fleet.run(0.5);
    errors.push(meanOver(fleet.peers, (weights) => softmaxError(weights, data.table, data.test)));
  }
  fleet.stop();
  return errors;
}

const AT_100 = TRANSFERS.indexOf(100);

async function best(settings: Settings, partition: Partition, learning: object): Promise<readonly number[]> {
  const curves: (readonly number[])[] = [];
  for (const rate of RATES) {
    curves.push(await transfers(settings, partition, learning, rate));
    settings.tell(`  ${partition} ${JSON.stringify(learning)} at ${rate}: ${curves.at(-1)?.map(digits).join(' ')}`);
  }
  return curves.toSorted((a, b) => (a[AT_100] ?? 1) - (b[AT_100] ?? 1))[0] ?? [];
}

/** Table 2: gossip beside federated averaging. */
export async function fedavg(settings: Settings): Promise<readonly Row[]> {
  const names = { iid: 'fedavg_gap_iid_100', byLabel: 'fedavg_gap_single_100' } as const;
  const cells: string[][] = [];
  const rows: Row[] = [];
  for (const partition of ['iid', 'byLabel'] as const) {
    const central = await best(settings, partition, { strategy: 'federated' });
    const gossip = await best(settings, partition, { strategy: 'gossip' });
    cells.push(['FedAvg', partition, ...central.map(digits)], ['age merge, int8', partition, ...gossip.map(digits)]);
    const gap = (gossip[AT_100] ?? Number.NaN) - (central[AT_100] ?? Number.NaN);
    rows.push(difference(names[partition], gap, `${digits(gossip[AT_100] ?? 0)} less ${digits(central[AT_100] ?? 0)}`));
  }
  settings.tell(grid(['mean error after transfers', 'partition', ...TRANSFERS.map(String)], cells));
  return rows;
}

/** What eight bits cost beside thirty-two. */
export async function int8(settings: Settings): Promise<readonly Row[]> {
  const at = async (bits: 8 | 32): Promise<number> =>
    (await transfers(settings, 'iid', { compression: { bits } }, 0.3))[AT_100] ?? Number.NaN;
  const [eight, floats] = [await at(8), await at(32)];
  return [difference('int8_cost', eight - floats, `8 bits ${digits(eight)}, 32 bits ${digits(floats)}, 100 transfers`)];
}

const ROUNDS = 60;
/** Few local steps: the digits have fourteen records for each of a hundred. */
const DIGITS_STEPS = { localSteps: 2, batchSize: 32, learningRate: 0.3 } as const;

/** What stands before a merge. */
const DEFENCES: Readonly<Record<string, Pick<FleetOptions, 'guard' | 'reputation'> & { readonly learning: object }>> = {
  'mean, no guard': {
    learning: { merge: 'mean' },
    reputation: false,
    guard: () => ({ judge: () => ({ distance: 0, lossBefore: Number.NaN, lossAfter: Number.NaN, force: 1 }) }),
  },
  'ball alone': {
    learning: {},
    reputation: false,
    guard: () => new Guard({ guessing: 1, probe: () => 0 }, { clips: true, alike: false }),
  },
  'probe, ball, reputation': { learning: {} },
};

/** Mean error of the honest under one attack. */
async function attacked(
  settings: Settings,
  partition: Partition,
  share: number,
  attack: AttackName | undefined,
  { learning, ...defence }: (typeof DEFENCES)[string],
): Promise<number> {
  const data = await dataOf(settings, 'digits');
  const all = Math.min(FLEET, settings.nodes);
  const attackers = attack === undefined ? 0 : Math.round(all * share);
  const rolled = attack === 'label roll' ? attackers : 0;
  const trainees = softmaxes(data, all, partition, DIGITS_STEPS, rolled);
  const fleet = new Fleet({
    learning: { fanout: 3, ...learning },
    partition,
    trainees,
    start: new Float32Array(trainees[0]?.layout.size ?? 0),
    seed: settings.seed,
    attackers,
    ...(attack === undefined ? {} : { attack: ATTACKS[attack] }),
    ...defence,
  });
  await fleet.run(ROUNDS);
  fleet.stop();
  return meanOver(fleet.honest, (weights) => softmaxError(weights, data.table, data.test));
}

const ALL_ATTACKS = Object.keys(ATTACKS) as AttackName[];

async function worst(
  settings: Settings,
  partition: Partition,
  share: number,
  defence: (typeof DEFENCES)[string],
): Promise<{ readonly error: number; readonly by: string }> {
  let found = { error: 0, by: '' };
  for (const attack of ALL_ATTACKS) {
    const error = await attacked(settings, partition, share, attack, defence);
    settings.tell(`  ${partition}, ${share * 100} % ${attack}: ${digits(error)}`);
    if (error > found.error) found = { error, by: attack };
  }
  return found;
}

const FULL = 'probe, ball, reputation';

/** A third of attackers, each attack. */
export async function byz33(settings: Settings): Promise<readonly Row[]> {
  const defence = DEFENCES[FULL] ?? { learning: {} };
  const clean = await attacked(settings, 'iid', 0, undefined, defence);
  settings.tell(`  iid, no attacker: ${digits(clean)}`);
  const { error, by } = await worst(settings, 'iid', 0.33, defence);
  return [difference('byz33_cost_iid', error - clean, `${digits(error)} by ${by}, ${digits(clean)} without attackers`)];
}

/** Table 3, all of it: takes long. */
export async function byzantine(settings: Settings): Promise<readonly Row[]> {
  const columns = [
    ['iid', [0, 0.2, 0.33, 0.45]],
    ['byLabel', [0, 0.2, 0.33]],
  ] as const;
  const head = columns.flatMap(([partition, shares]) => shares.map((share) => `${partition} ${share * 100} %`));
  const cells: string[][] = [];
  for (const [name, defence] of Object.entries(DEFENCES)) {
    const line = [name];
    for (const [partition, shares] of columns) {
      for (const share of shares) {
        const error =
          share === 0
            ? await attacked(settings, partition, 0, undefined, defence)
            : (await worst(settings, partition, share, defence)).error;
        line.push(digits(error));
      }
    }
    cells.push(line);
    settings.tell(line.join('  '));
  }
  settings.tell(grid(['mean error of the honest, worst attack', ...head], cells));
  return [];
}
