import { describe, expect, it } from 'vitest';
import { ModelSpec } from '../../../src/api/index.ts';
import type { Engine } from '../../../src/learning/engine.ts';
import { BadInputError, DataError, ModelError } from '../../../src/learning/errors.ts';
import { decodeFrame } from '../../../src/learning/frame.ts';
import { layoutOf } from '../../../src/learning/layout.ts';
import { seeded } from '../../../src/learning/random.ts';
import type { LearnableModelSpec } from '../../../src/learning/spec.ts';
import { idx } from './data-files.ts';
import { digits, digitsSpec, engine, featuresOf, fleet, gossip, SPAMBASE } from './fleet.ts';

const alone = { index: 0, of: 1 };

function trained(learner: Engine, updates: number): Engine {
  for (let i = 0; i < updates; i++) learner.update();
  return learner;
}

describe('preset cnn', { timeout: 120_000 }, () => {
  const architecture = { preset: 'cnn' };

  it('tells digits apart on the wasm backend, from the square that 64 columns are', async () => {
    const learner = await engine({ spec: digitsSpec({ architecture }), partition: alone });
    expect(learner.snapshot().tensors.map(({ shape }) => [...shape])).toEqual([
      [3, 3, 1, 8],
      [8],
      [3, 3, 8, 16],
      [16],
      [64, 10],
      [10],
    ]);
    expect(trained(learner, 50).evaluate().accuracy).toBeGreaterThan(0.95);
    learner.dispose();
  });

  it('takes the shape of the images in the file', async () => {
    const table = await digits();
    const pixels = [...featuresOf(table)].map((value) => Math.min(255, value * 16));
    const data = {
      records: idx([table.rows, 8, 8], pixels),
      labels: idx([table.rows], [...table.labels]),
    };
    const source = { claim: { claimName: 'digits', path: 'digits-idx3-ubyte' } };
    const spec = digitsSpec({
      architecture,
      data: { source, scale: undefined, labels: { file: 'digits-idx1-ubyte' } },
    });
    const learner = await engine({ spec, data, partition: alone });
    expect(learner.input).toEqual({ columns: 64, shape: [8, 8], scaling: { factor: Math.fround(1 / 255) } });
    expect(trained(learner, 25).evaluate().accuracy).toBeGreaterThan(0.9);
    learner.dispose();
  });

  it('says what it needs where records are no images', async () => {
    const spec = digitsSpec({ architecture, data: { source: { builtin: 'spambase' }, classes: 2 } });
    const problem = await engine({ spec, data: SPAMBASE }).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(ModelError);
    expect((problem as Error).message).toContain(
      '57 numbers are no square. Set data.shape to [height, width, channels]',
    );
  });
});

/** Sentences of twelve tokens: a few of the topic's own words among those that all topics have; 0 fills short ones. */
function sentences(count: number): Buffer {
  const random = seeded(5);
  const pick = (from: number, size: number): number => from + Math.floor(random() * size);
  const rows = Array.from({ length: count }, () => {
    const topic = pick(0, 3);
    const words = Array.from({ length: 12 }, (_, at) => {
      if (at >= 9) return 0;
      return random() < 0.3 ? pick(100 + 30 * topic, 30) : pick(1, 99);
    });
    return [...words, topic].join(',');
  });
  return Buffer.from(rows.join('\n'));
}

describe('preset text', { timeout: 120_000 }, () => {
  const spec: LearnableModelSpec = ModelSpec.parse({
    architecture: { preset: 'text', vocabulary: 200 },
    data: { source: { claim: { claimName: 'texts', path: 'tokens.csv' } }, classes: 3, split: { testRows: 300 } },
    learning: { optimizer: { name: 'adam', learningRate: '0.01' } },
  });

  it('learns the topic of sentences from token ids, on the wasm backend', async () => {
    const learner = await engine({ spec, data: sentences(1800), partition: alone });
    expect(learner.input).toEqual({ columns: 12, scaling: { factor: 1 } });
    expect(trained(learner, 40).evaluate().accuracy).toBeGreaterThan(0.9);
    const [topics] = learner.predict([[130, 5, 131, 7, 140, 9, 10, 145, 12, 0, 0, 0]]);
    expect(topics?.[1]).toBeGreaterThan(0.9);
    learner.dispose();
  });

  it('refuses ids that the embedding does not have, in data and in questions', async () => {
    const outside = Buffer.concat([sentences(400), Buffer.from('\n1,2,3,200,0,0,0,0,0,0,0,0,1')]);
    const problem = await engine({ spec, data: outside }).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(DataError);
    expect((problem as Error).message).toContain(
      'Record 400 has 200 at position 3; token ids are whole numbers from 0 to 199',
    );
    const learner = await engine({ spec, data: sentences(400) });
    for (const id of [200, -1, 1.5]) {
      expect(() => learner.predict([[id, ...new Array<number>(11).fill(0)]])).toThrow(BadInputError);
    }
    learner.dispose();
  });

  it('refuses to scale ids', async () => {
    const scaled = { ...spec, data: { ...spec.data, scale: '2' } };
    await expect(engine({ spec: scaled, data: sentences(400) })).rejects.toThrow('token ids, which are not scaled');
  });
});

describe('preset pegasos', { timeout: 120_000 }, () => {
  const spec = (lambda?: string, learning: object = {}): LearnableModelSpec =>
    ModelSpec.parse({
      architecture: { preset: 'pegasos', lambda },
      data: { source: { builtin: 'spambase' }, classes: 2, split: { testRows: 461 } },
      learning,
    });

  it('comes to an error near 0.10 on Spambase', async () => {
    const learner = await engine({ spec: spec(), data: SPAMBASE, partition: alone });
    const { accuracy } = trained(learner, 300).evaluate();
    expect(1 - accuracy).toBeLessThan(0.12);
    learner.dispose();
  });

  it('learns by gossip as well', async () => {
    const four = await fleet(4, { spec: spec(), data: SPAMBASE });
    gossip(four, 60);
    for (const learner of four) expect(1 - learner.evaluate().accuracy).toBeLessThan(0.12);
    for (const learner of four) learner.dispose();
  });

  it('does the steps of the paper', async () => {
    // One record (x, y) a class, one step a call: w1 = y x / lambda, held to 1 / sqrt(lambda).
    const data = Buffer.from('3,4,1\n3,4,1\n-3,-4,0\n-3,-4,0\n');
    const small = ModelSpec.parse({
      architecture: { preset: 'pegasos', lambda: '0.01' },
      data: { source: { claim: { claimName: 'c', path: 'x.csv' } }, classes: 2, scale: '1', split: { testRows: 1 } },
      learning: { localSteps: 1, batchSize: 1, compression: { bits: 32 } },
    });
    const learner = await engine({ spec: small, data, partition: alone });
    const layout = layoutOf([{ name: '0_dense/kernel', shape: [2, 2] }]);
    const weights = () => {
      const decoded = decodeFrame(learner.frame(), 'uid-1', layout);
      return decoded.isValid
        ? Array.from(decoded.parcel.weights ?? [], (value) => Number(value.toFixed(4)))
        : decoded.reason;
    };
    expect(learner.update().loss).toBe(1);
    // |y x / lambda| = 500 is held to 10: w = (6, 8), of which each class has a half.
    expect(weights()).toEqual([-3, 3, -4, 4]);
    // The margin is 50 now: the second and third step only shrink, by 1 - 1/2 and 1 - 1/3.
    expect(learner.update().loss).toBe(0);
    expect(weights()).toEqual([-1.5, 1.5, -2, 2]);
    learner.update();
    expect(weights()).toEqual([-1, 1, -1.3333, 1.3333]);
    learner.dispose();
  });

  it('is refused for more than two classes', () => {
    const parsed = ModelSpec.safeParse({
      architecture: { preset: 'pegasos' },
      data: { source: { builtin: 'digits' }, classes: 10 },
    });
    expect(parsed.error?.issues[0]?.message).toContain('set data.classes to 2');
  });
});
