import { difference, grid, type Row, round } from './figures.ts';
import { softmaxError } from './linear.ts';
import type { Settings } from './measures.ts';
import { Fleet, type Straggler } from './simulator.ts';
import { bundled, type Prepared, softmaxes } from './tables.ts';

const STEPS = { localSteps: 4, batchSize: 10, learningRate: 0.3 } as const;
/** A wait is one second. */
const WAITS = 200;
/** Seconds of an update. */
const WORK = 0.2;
const TEN_TIMES_SLOWER: Straggler = { slower: 10 };
const HALF_A_SECOND_AWAY: Straggler = { delay: 0.5 };

/** What became of those validators that are not slow. */
export interface Others {
  /** Steps of one of them in a second. */
  readonly stepsPerSecond: number;
  readonly error: number;
}

export interface StragglerOptions {
  readonly learning: object;
  readonly seed: number;
  readonly nodes?: number;
  readonly waits?: number;
  /** Whether the last but one is ten times slower, and half a second lies between the last and each other. */
  readonly isSlow: boolean;
}

/** A fleet on Spambase whose last two validators are slow, or not; the others are looked at. */
export async function besideStragglers(data: Prepared, options: StragglerOptions): Promise<Others> {
  const { learning, seed, nodes = 10, waits = WAITS, isSlow } = options;
  const trainees = softmaxes(data, nodes, 'iid', STEPS);
  const fleet = new Fleet({
    learning: { waitMilliseconds: 1000, ...learning },
    trainees,
    start: new Float32Array(trainees[0]?.layout.size ?? 0),
    seed,
    work: WORK,
    stragglers: isSlow ? { [nodes - 2]: TEN_TIMES_SLOWER, [nodes - 1]: HALF_A_SECOND_AWAY } : {},
  });
  await fleet.run(waits);
  fleet.stop();
  const others = fleet.peers.slice(0, nodes - 2);
  const steps = fleet.steps.slice(0, others.length).reduce((sum, one) => sum + one, 0);
  const errors = others.map(({ participant }) => softmaxError(participant.average, data.table, data.test));
  return {
    stepsPerSecond: steps / others.length / waits,
    error: errors.reduce((sum, error) => sum + error, 0) / errors.length,
  };
}

const STRATEGIES: Readonly<Record<string, object>> = {
  gossip: {},
  outer: { strategy: 'outer' },
  federated: { strategy: 'federated' },
  grouped: { strategy: 'grouped' },
};

/** What slow validators cost the others. */
export async function stragglers({ seed, nodes, tell }: Settings): Promise<readonly Row[]> {
  const data = await bundled('spambase');
  const cells: string[][] = [];
  const rows: Row[] = [];
  for (const [name, learning] of Object.entries(STRATEGIES)) {
    const options = { learning, seed, nodes: Math.max(4, Math.min(10, nodes)) };
    const without = await besideStragglers(data, { ...options, isSlow: false });
    const beside = await besideStragglers(data, { ...options, isSlow: true });
    const lost = 1 - beside.stepsPerSecond / without.stepsPerSecond;
    cells.push([
      name,
      without.stepsPerSecond.toFixed(2),
      beside.stepsPerSecond.toFixed(2),
      `${(100 * lost).toFixed(1)} %`,
      without.error.toFixed(3),
      beside.error.toFixed(3),
    ]);
    tell(`  ${cells.at(-1)?.join('  ')}`);
    if (name !== 'gossip') continue;
    const detail = `${beside.stepsPerSecond.toFixed(2)} steps a second beside stragglers, ${without.stepsPerSecond.toFixed(2)} without`;
    rows.push({ name: 'straggler_steps_lost', value: round(lost), unit: 'share', detail });
    const errors = `${beside.error.toFixed(3)} less ${without.error.toFixed(3)}`;
    rows.push(difference('straggler_error_cost', beside.error - without.error, errors));
  }
  const head = ['the others', 'steps a second', 'beside stragglers', 'lost', 'error', 'beside stragglers'];
  tell(grid(head, cells));
  return rows;
}
