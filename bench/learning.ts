/**
 * The learning curves and costs of the learning room, on the bundled data, in one process without a network.
 * `node bench/learning.ts cost|digits|failures|spambase` (all when nothing is named; spambase takes minutes).
 */
import { readFileSync } from 'node:fs';
import { ModelSpec } from '../src/api/index.ts';
import { loadBackend } from '../src/learning/backend.ts';
import { Engine } from '../src/learning/engine.ts';
import { createLearner, type LearnableModelSpec } from '../src/learning/index.ts';
import { type Random, seeded } from '../src/learning/random.ts';

const FILES = {
  digits: readFileSync(new URL('../data/digits.csv.gz', import.meta.url)),
  spambase: readFileSync(new URL('../data/spambase.csv.gz', import.meta.url)),
};
type Table = keyof typeof FILES;

interface Setting {
  readonly table: Table;
  readonly partition: 'iid' | 'byLabel';
  readonly localSteps: number;
  readonly learningRate: string;
  readonly batchSize?: number;
  readonly bits?: 8 | 32;
}

const specOf = ({
  table,
  partition,
  localSteps,
  learningRate,
  batchSize = 32,
  bits = 8,
}: Setting): LearnableModelSpec =>
  ModelSpec.parse({
    architecture: { preset: table === 'digits' ? 'mlp' : 'logistic' },
    data: {
      source: { builtin: table },
      classes: table === 'digits' ? 10 : 2,
      partition,
      split: { testRows: table === 'digits' ? 360 : 461 },
    },
    learning: { localSteps, batchSize, optimizer: { learningRate }, compression: { bits } },
  });

async function fleetOf(of: number, setting: Setting, seed: number): Promise<Engine[]> {
  const backend = await loadBackend(undefined, () => undefined);
  const model = { uid: `bench-${seed}`, name: setting.table, spec: specOf(setting), probeSeed: 7 };
  const slots = Array.from({ length: of }, (_, index) => ({ index, of }));
  return Promise.all(
    slots.map((partition) => Engine.create(backend, { model, partition, data: FILES[setting.table] })),
  );
}

/** What the network does to a message. */
interface Weather {
  /** Share of messages that are lost. */
  readonly drop: number;
  /** Exchanges that a message may take, at most. */
  readonly delay: number;
  /** Share of exchanges in which a validator is there. */
  readonly online: number;
}
const FAIR: Weather = { drop: 0, delay: 0, online: 1 };

class Gossip {
  refused = 0;
  readonly #engines: readonly Engine[];
  readonly #weather: Weather;
  readonly #random: Random;
  #underway: { readonly due: number; readonly to: number; readonly bytes: Uint8Array }[] = [];
  #now = 0;

  constructor(engines: readonly Engine[], seed: number, weather: Weather = FAIR) {
    this.#engines = engines;
    this.#random = seeded(seed);
    this.#weather = weather;
  }

  /** Every validator pushes once to a random neighbour. */
  exchange(): void {
    const { drop, delay, online } = this.#weather;
    this.#now++;
    this.#engines.forEach((engine, from) => {
      if (this.#random() < online && this.#random() >= drop) {
        const to = (from + 1 + Math.floor(this.#random() * (this.#engines.length - 1))) % this.#engines.length;
        this.#underway.push({ due: this.#now + Math.floor(this.#random() * (delay + 1)), to, bytes: engine.message() });
      }
      this.#deliver();
    });
  }

  #deliver(): void {
    const due = this.#underway.filter((message) => message.due <= this.#now);
    this.#underway = this.#underway.filter((message) => message.due > this.#now);
    for (const { to, bytes } of due) {
      const engine = this.#engines[to];
      if (engine === undefined || this.#random() >= this.#weather.online) continue;
      if (!engine.merge(bytes).accepted) this.refused++;
      engine.update();
    }
  }
}

const sample = (engines: readonly Engine[]): number[] => engines.map((engine) => engine.evaluate().accuracy);
const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const print = (label: string, cells: readonly string[]): void => {
  process.stdout.write(`${label.padEnd(58)}${cells.map((cell) => cell.padStart(14)).join('')}\n`);
};

async function digits(): Promise<void> {
  const marks = [30, 100, 200, 300, 500, 1000];
  print(
    'digits, least accuracy of 4, three seeds',
    marks.map((mark) => `${mark} exch.`),
  );
  for (const setting of [
    { table: 'digits', partition: 'iid', localSteps: 10, learningRate: '0.3' },
    { table: 'digits', partition: 'byLabel', localSteps: 2, learningRate: '0.1' },
    { table: 'digits', partition: 'byLabel', localSteps: 2, learningRate: '0.3' },
    { table: 'digits', partition: 'byLabel', localSteps: 10, learningRate: '0.3' },
  ] as const) {
    const least: number[][] = [];
    let refused = 0;
    for (const seed of [1, 2, 3]) {
      const engines = await fleetOf(4, setting, seed);
      const gossip = new Gossip(engines, seed);
      const curve: number[] = [];
      for (let exchange = 1; exchange <= 1000; exchange++) {
        gossip.exchange();
        if (marks.includes(exchange)) curve.push(Math.min(...sample(engines)));
      }
      least.push(curve);
      refused += gossip.refused;
      for (const engine of engines) engine.dispose();
    }
    const cells = marks.map((_, i) => {
      const values = least.map((curve) => curve[i] ?? 0);
      return `${Math.min(...values).toFixed(3)}-${Math.max(...values).toFixed(3)}`;
    });
    const { partition, localSteps, learningRate } = setting;
    print(`${partition}, ${localSteps} steps at ${learningRate} (${refused} of 12000 refused)`, cells);
  }
}

async function failures(): Promise<void> {
  const marks = [100, 300, 600];
  print(
    'digits, least of 4, bad weather',
    marks.map((mark) => `${mark} exch.`),
  );
  const weathers: readonly [string, Weather][] = [
    ['fair', FAIR],
    ['messages 1-5 exchanges late', { ...FAIR, delay: 5 }],
    ['50 % lost, 1-10 late, 90 % online', { drop: 0.5, delay: 10, online: 0.9 }],
  ];
  for (const partition of ['iid', 'byLabel'] as const) {
    const localSteps = partition === 'iid' ? 10 : 2;
    for (const [label, weather] of weathers) {
      const engines = await fleetOf(4, { table: 'digits', partition, localSteps, learningRate: '0.3' }, 1);
      const gossip = new Gossip(engines, 1, weather);
      const cells: string[] = [];
      for (let exchange = 1; exchange <= 600; exchange++) {
        gossip.exchange();
        if (marks.includes(exchange)) cells.push(Math.min(...sample(engines)).toFixed(3));
      }
      print(`${partition}, ${label} (${gossip.refused} refused)`, cells);
      for (const engine of engines) engine.dispose();
    }
  }
}

async function spambase(): Promise<void> {
  const marks = [5, 10, 20, 50, 100, 200];
  print(
    'Spambase, mean error of 100, logistic',
    marks.map((mark) => `${mark} exch.`),
  );
  for (const [partition, bits] of [
    ['iid', 8],
    ['iid', 32],
    ['byLabel', 8],
  ] as const) {
    const setting = { table: 'spambase', partition, localSteps: 4, learningRate: '0.1', batchSize: 10, bits } as const;
    const engines = await fleetOf(100, setting, 1);
    const gossip = new Gossip(engines, 1);
    const cells: string[] = [];
    for (let exchange = 1; exchange <= 200; exchange++) {
      gossip.exchange();
      if (marks.includes(exchange)) cells.push((1 - mean(sample(engines))).toFixed(3));
    }
    print(`${partition}, ${bits} bits (${gossip.refused} of 20000 refused)`, cells);
    for (const engine of engines) engine.dispose();
  }
}

async function cost(): Promise<void> {
  const mebibytes = (): number => process.memoryUsage().rss / 1024 / 1024;
  print('digits, one learner in its worker', ['ready, ms', 'CPU ms/exch.', 'RSS+ MiB', 'bytes sent']);
  for (const localSteps of [2, 10]) {
    const before = mebibytes();
    const started = performance.now();
    const spec = specOf({ table: 'digits', partition: 'iid', localSteps, learningRate: '0.3' });
    const model = { uid: 'bench', name: 'digits', spec, probeSeed: 7 };
    const init = { model, partition: { index: 0, of: 4 }, data: FILES.digits, log: () => undefined };
    const learner = createLearner(init);
    await learner.ready();
    const ready = performance.now() - started;
    const bytes = await learner.message();
    const cpu = process.cpuUsage();
    const exchanges = 1000;
    for (let i = 0; i < exchanges; i++) {
      await learner.merge(await learner.message());
      await learner.update();
    }
    const { user, system } = process.cpuUsage(cpu);
    const milliseconds = (user + system) / 1000 / exchanges;
    const grown = mebibytes() - before;
    print(`${localSteps} steps, backend ${learner.backend}`, [
      ready.toFixed(0),
      milliseconds.toFixed(2),
      grown.toFixed(0),
      String(bytes.length),
    ]);
    await learner.close();
  }
}

const BENCHES: Readonly<Record<string, () => Promise<void>>> = { cost, digits, failures, spambase };
const wanted = process.argv.slice(2);
for (const [name, bench] of Object.entries(BENCHES)) {
  if (wanted.length === 0 || wanted.includes(name)) await bench();
}
