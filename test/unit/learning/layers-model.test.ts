import { describe, expect, it } from 'vitest';
import type { Architecture } from '../../../src/api/index.ts';
import type { Engine } from '../../../src/learning/engine.ts';
import { layersModelOf } from '../../../src/learning/layers-model.ts';
import type { LearnableModelSpec } from '../../../src/learning/spec.ts';
import { DIGITS, digitsSpec, engine, SPAMBASE, wasm } from './fleet.ts';

/** What TensorFlow.js predicts with the weights of a learner and what stands around them. */
async function predictedByTensorFlow(learner: Engine, spec: LearnableModelSpec, rows: number[][]) {
  const { core, layers } = await wasm();
  const { topology, scaling } = layersModelOf(spec.architecture, spec.data.classes, learner.input);
  const tensors = [...learner.snapshot().tensors, ...scaling];
  const model = await layers.loadLayersModel(
    core.io.fromMemory({
      modelTopology: topology,
      weightSpecs: tensors.map(({ name, shape }) => ({ name, shape: [...shape], dtype: 'float32' })),
      weightData: Float32Array.from(tensors.flatMap(({ data }) => [...data])).buffer,
    }),
  );
  return (model.predict(core.tensor2d(rows)) as { arraySync(): number[][] }).arraySync();
}

const digitRows = [
  Array.from({ length: 64 }, (_, i) => i % 17),
  new Array(64).fill(0),
  Array.from({ length: 64 }, (_, i) => (i * 7) % 16),
];
const mailRows = [
  Array.from({ length: 57 }, (_, i) => i / 10),
  Array.from({ length: 57 }, (_, i) => (i === 56 ? 1500 : 0.3)),
];

describe('a model as TensorFlow.js loads it', { timeout: 60_000 }, () => {
  it.each([
    ['the preset', digitsSpec(), DIGITS, digitRows],
    ['no scale but that of the release', digitsSpec({ data: { scale: undefined } }), DIGITS, digitRows],
    [
      'standardised features',
      digitsSpec({ data: { source: { builtin: 'spambase' }, classes: 2, scale: undefined } }),
      SPAMBASE,
      mailRows,
    ],
    ['logistic regression', digitsSpec({ architecture: { preset: 'logistic' } }), DIGITS, digitRows],
    ['preset cnn', digitsSpec({ architecture: { preset: 'cnn' } }), DIGITS, digitRows],
    [
      'preset cnn, of images whose shape is given',
      digitsSpec({ architecture: { preset: 'cnn' }, data: { shape: [4, 16] } }),
      DIGITS,
      digitRows,
    ],
    [
      'preset pegasos',
      digitsSpec({
        architecture: { preset: 'pegasos' },
        data: { source: { builtin: 'spambase' }, classes: 2, scale: undefined },
      }),
      SPAMBASE,
      mailRows,
    ],
    [
      'preset text',
      digitsSpec({
        architecture: { preset: 'text', vocabulary: 9 },
        data: { source: { configMap: { name: 'texts' } }, classes: 3, scale: undefined, split: { testRows: 10 } },
      }),
      Buffer.from(Array.from({ length: 60 }, (_, i) => `${i % 9},${(i * 5) % 9},${i % 3}`).join('\n')),
      [
        [0, 8],
        [3, 1],
      ],
    ],
    [
      'a convolution with batch normalisation and dropout',
      {
        ...digitsSpec(),
        architecture: {
          layers: [
            { class_name: 'Reshape', config: { target_shape: [8, 8, 1] } },
            { class_name: 'Conv2D', config: { filters: 4, kernel_size: [3, 3], activation: 'relu' } },
            { class_name: 'BatchNormalization' },
            { class_name: 'Flatten' },
            { class_name: 'Dropout', config: { rate: 0.5 } },
            { class_name: 'Dense', config: { units: 10 } },
            { class_name: 'Activation', config: { activation: 'softmax' } },
          ],
        } as Architecture,
      },
      DIGITS,
      digitRows,
    ],
  ])('predicts as its learner does: %s', async (_what, spec, data, rows) => {
    const learner = await engine({ spec, data });
    for (let i = 0; i < 5; i++) learner.update();
    const predicted = await predictedByTensorFlow(learner, spec, rows);
    const expected = learner.predict(rows);
    expect(predicted).toHaveLength(rows.length);
    expected.forEach((row, r) => {
      row.forEach((probability, c) => {
        expect(predicted[r]![c]).toBeCloseTo(probability, 5);
      });
    });
    learner.dispose();
  });

  it('tells one factor where all columns have the same, and both numbers of each where they differ', async () => {
    const uniform = await engine();
    expect(uniform.input).toEqual({ columns: 64, scaling: { factor: 1 / 16 } });
    const spec = digitsSpec({ data: { source: { builtin: 'spambase' }, classes: 2, scale: undefined } });
    const { columns, scaling } = (await engine({ spec, data: SPAMBASE })).input;
    expect([columns, scaling.offset?.length, (scaling.factor as number[]).length]).toEqual([57, 57, 57]);
  });
});
