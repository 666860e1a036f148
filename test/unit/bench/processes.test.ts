import { afterEach, describe, expect, it, vi } from 'vitest';
import { isReached, table } from '../../../bench/learning/figures.ts';
import { PROCESS_FLAGS, processFlags } from '../../../bench/learning/processes/flags.ts';
import { Gate } from '../../../bench/learning/processes/gate.ts';
import { idxFile, mnistImages } from '../../../bench/learning/processes/mnist.ts';
import {
  type Comparison,
  FLOWER,
  figuresOf,
  inWords,
  type Outcome,
  rowsOf,
  speedOf,
  tableOf,
  utilisationRow,
} from '../../../bench/learning/processes/outcome.ts';
import { modelOf, nameOf, runOf, stepsOf, USUAL_RUNS } from '../../../bench/learning/processes/runs.ts';
import { readTable } from '../../../src/learning/tables.ts';

describe('a gate before updates', () => {
  const forGood = new AbortController().signal;
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('holds the first until it is opened, and the one after the last', async () => {
    let now = 100;
    const held: unknown[] = [];
    const gate = new Gate(
      () => ({ at: now, cpuMs: now / 2 }),
      (count) => held.push(count),
    );
    let passed = 0;
    const loop = async () => {
      for (;;) {
        await gate.pass(forGood);
        passed++;
        now += 10;
      }
    };
    void loop();
    await turn();
    expect([passed, held]).toEqual([0, [{ updates: 0, at: 100, cpuMs: 50 }]]);
    gate.open(3);
    await turn();
    const at3 = { updates: 3, at: 130, cpuMs: 65 };
    expect([passed, held.at(-1), gate.count]).toEqual([3, at3, at3]);
    gate.open(4);
    await turn();
    expect([passed, held.at(-1)]).toEqual([4, { updates: 4, at: 140, cpuMs: 70 }]);
  });

  it('lets go who is stopped while it is held', async () => {
    const stop = new AbortController();
    const gate = new Gate(
      () => ({ at: 0, cpuMs: 0 }),
      () => undefined,
    );
    const passing = gate.pass(stop.signal);
    stop.abort(new Error('stops'));
    await expect(passing).rejects.toThrow('stops');
    await expect(gate.pass(stop.signal)).rejects.toThrow('stops');
  });
});

describe('a run', () => {
  it('is read from its name, and its terms may be changed', () => {
    expect(runOf('mnist/cnn')).toMatchObject({ task: 'mnist', preset: 'cnn', partition: 'iid', localSteps: 10 });
    expect(runOf('digits/mlp/byLabel')).toMatchObject({ partition: 'byLabel', localSteps: 2, learningRate: '0.1' });
    expect(runOf('digits/mlp/iid', { updates: 7 })).toMatchObject({ updates: 7, localSteps: 10 });
    expect(USUAL_RUNS.map((name) => nameOf(runOf(name)))).toEqual(USUAL_RUNS);
  });

  it.each([
    ['letters/mlp', '"letters" can be digits or mnist'],
    ['mnist', '"" can be mlp or cnn'],
    ['mnist/cnn/own', '"own" can be iid or byLabel'],
    ['mnist/cnn/iid/8', 'more than three words'],
  ])('is refused: %s', (text, why) => {
    expect(() => runOf(text)).toThrow(why);
  });

  it('is a model as an operator would write it, of which no version comes due', () => {
    const { spec } = modelOf(runOf('mnist/cnn/byLabel'));
    expect(spec.data).toMatchObject({ format: 'idx', classes: 10, partition: 'byLabel', split: { testRows: 1000 } });
    expect(spec.learning).toMatchObject({ waitMilliseconds: 10, localSteps: 2, batchSize: 32, strategy: 'gossip' });
    expect(spec.versions.everyAge).toBe(1_000_000_000);
  });
});

describe('flags', () => {
  const usual = Object.fromEntries(
    Object.entries(PROCESS_FLAGS).map(([name, flag]) => [name, 'default' in flag ? flag.default : undefined]),
  ) as Parameters<typeof processFlags>[0];

  afterEach(() => void vi.restoreAllMocks());

  it('have defaults', () => {
    expect(processFlags(usual)).toEqual({
      runs: USUAL_RUNS,
      changed: {},
      rounds: 3,
      seconds: 20,
      minutes: 30,
      isWithFlower: true,
    });
    expect(processFlags({ ...usual, updates: '5', flower: 'none' })).toMatchObject({
      changed: { updates: 5 },
      isWithFlower: false,
    });
  });

  it.each([
    [{ runs: 'digits/tree' }, '--runs: "digits/tree" is no run: "tree" can be mlp or cnn.'],
    [{ flower: 'rose' }, '--flower rose: give flwr or none.'],
    [{ minutes: '0' }, '--minutes 0: give a whole number above 0.'],
  ])('are refused: %o', (wrong, why) => {
    const told: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((line) => void told.push(line));
    vi.spyOn(process, 'exit').mockImplementation((code) => {
      throw new Error(`ends with ${code}`);
    });
    expect(() => processFlags({ ...usual, ...wrong })).toThrow('ends with 2');
    expect(told).toEqual([why]);
  });
});

describe('MNIST', () => {
  it('is ten thousand digits of the package, in files that a validator reads', async () => {
    const { pixels, labels } = mnistImages();
    expect(labels).toHaveLength(10_000);
    const few = { pixels: pixels.subarray(0, 3 * 784), labels: Uint8Array.of(0, 7, 9) };
    const records = idxFile(few.pixels, [3, 28, 28]);
    const { spec } = modelOf(runOf('mnist/cnn'));
    const read = await readTable({ records, labels: idxFile(few.labels, [3]) }, 'images', spec.data);
    expect(read).toMatchObject({ rows: 3, columns: 784, shape: [28, 28], kind: 'uint8' });
    expect([...read.labels]).toEqual([0, 7, 9]);
    // The package has .992 for a stroke of 253.
    expect(Math.max(...read.read(Int32Array.of(0, 1, 2)))).toBeGreaterThan(250);
  });
});

describe('figures of a comparison', () => {
  const run = runOf('digits/mlp/iid', { updates: 100 });
  const outcome = (accuracies: number[], seconds: number, bytes = 0): Outcome => {
    return { accuracies, seconds, bytes, steps: stepsOf(run, 2) };
  };
  const compared: Comparison = {
    run,
    validators: 2,
    fleet: outcome([0.9, 0.94], 10, 4e6),
    central: outcome([0.95], 20),
    short: outcome([0.91], 10),
    flower: outcome([0.96], 40, 16e6),
  };

  it('are the gap to one process with as much in all, and what Flower came to', () => {
    expect(rowsOf(compared)).toEqual([
      expect.objectContaining({
        name: 'digits_mlp_gap_to_central',
        value: 0.03,
        unit: 'accuracy',
        peer: 'centralized',
        peerValue: 0.95,
        detail: 'mean 0.92, worst 0.9, 2000 mini-batches on 2 processes',
      }),
      expect.objectContaining({ name: 'digits_mlp_accuracy', value: 0.92, peer: FLOWER, peerValue: 0.96 }),
      expect.objectContaining({ name: 'digits_mlp_seconds', value: 10, unit: 's', peerValue: 40, ratio: 0.25 }),
      expect.objectContaining({ name: 'digits_mlp_mb', value: 4, unit: 'MB', peerValue: 16, ratio: 0.25 }),
    ]);
  });

  it('stand alone where Flower did not run, and are none for parts by label', () => {
    const { flower: _, ...alone } = compared;
    expect(rowsOf(alone).map(({ peer }) => peer)).toEqual(['centralized', undefined, undefined, undefined]);
    expect(figuresOf(runOf('mnist/cnn/iid'))).toEqual(['mnist_cnn_gap_to_central']);
    expect(figuresOf(runOf('mnist/cnn/byLabel'))).toEqual([]);
  });

  it('are told as soon as they are known', () => {
    expect(inWords('digits', compared.fleet)).toBe(
      'digits: 2000 mini-batches in 10.0 s, accuracy 0.920, worst 0.900, 4.0 MB of models sent',
    );
  });

  it('have a table with a line for each that learned', () => {
    const [, lines] = tableOf([compared]);
    expect(lines).toEqual([
      ['digits/mlp/iid', '2 validators', '0.920', '0.900', '2000', '10.0', '200', '4.0'],
      ['', 'one process, as much in all', '0.950', '0.950', '2000', '20.0', '100', '0.0'],
      ['', 'one process, as much as one of them', '0.910', '0.910', '2000', '10.0', '200', '0.0'],
      ['', FLOWER, '0.960', '0.960', '2000', '40.0', '50', '16.0'],
    ]);
  });
});

describe('utilisation', () => {
  it('goes by the time between last updates, whenever one looks', () => {
    const before = [
      { updates: 2, at: 1000, cpuMs: 100 },
      { updates: 5, at: 1500, cpuMs: 200 },
    ];
    const after = [
      { updates: 6, at: 3000, cpuMs: 800 },
      { updates: 6, at: 2500, cpuMs: 500 },
    ];
    expect(speedOf(before, after, 10)).toEqual({ perSecond: 20 + 10, perCpuSecond: 50 });
    expect(() => speedOf(before, before, 10)).toThrow('give --seconds more');
  });

  it('is the median of rounds, and has to be 95 at least', () => {
    const speed = (perSecond: number) => ({ perSecond, perCpuSecond: perSecond / 2 });
    const rounds = [
      { gossip: speed(90), lone: { perSecond: 100, perCpuSecond: 90 } },
      { gossip: speed(48), lone: speed(50) },
      { gossip: speed(33), lone: speed(30) },
    ];
    const row = utilisationRow(rounds, '2 cores');
    expect(row).toMatchObject({ name: 'utilisation_pct', value: 96, unit: '%' });
    expect(row.detail).toBe(
      '48.0 of 50.0 mini-batches/s; rounds 90.0 96.0 110.0; by CPU time 50.0 96.0 110.0; 2 cores',
    );
    expect([isReached(row), isReached({ ...row, value: 94.9 })]).toEqual([true, false]);
    expect(table([row])).toContain('| >= 95 | yes     |');
  });

  it('has company without a goal in the table', () => {
    const gap = { name: 'mnist_cnn_gap_to_central', value: 0.5, unit: 'accuracy', detail: '' } as const;
    expect(table([gap]).split('\n')[2]).toBe(
      '| mnist_cnn_gap_to_central | 0.5 accuracy |        |      |         |  |',
    );
  });
});
