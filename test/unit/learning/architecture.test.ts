import { describe, expect, it } from 'vitest';
import type { Architecture } from '../../../src/api/index.ts';
import { ModelError } from '../../../src/learning/errors.ts';
import { digitsSpec, engine, wasm } from './fleet.ts';

const layers = (...list: { class_name: string; config?: object }[]) => ({ preset: undefined, layers: list });
const dense = (units: number, activation = 'softmax') => ({ class_name: 'Dense', config: { units, activation } });
const built = (architecture: object) =>
  engine({ spec: { ...digitsSpec(), architecture: architecture as Architecture } });

describe('an architecture', { timeout: 60_000 }, () => {
  it('as layers in Keras’ form is the same model as the preset', async () => {
    const preset = await engine();
    const spelledOut = await built(layers(dense(32, 'relu'), dense(10)));
    const split = await built(
      layers(dense(32, 'relu'), dense(10, 'linear'), { class_name: 'Activation', config: { activation: 'softmax' } }),
    );
    expect(spelledOut.snapshot()).toEqual(preset.snapshot());
    expect(split.snapshot()).toEqual(preset.snapshot());
  });

  it('takes the whole pasted output of Keras, names and input shape included', async () => {
    const pasted = layers(
      {
        class_name: 'Dense',
        config: { ...dense(8, 'tanh').config, name: 'dense_1', batch_input_shape: [null, 3], use_bias: false },
      },
      { class_name: 'Dropout', config: { rate: 0.1 } },
      dense(10),
    );
    expect((await built(pasted)).snapshot().tensors.map(({ shape }) => [...shape])).toEqual([[64, 8], [8, 10], [10]]);
  });

  it('trains a small convolutional network with batch normalisation on wasm', { timeout: 60_000 }, async () => {
    const network = await built(
      layers(
        { class_name: 'Reshape', config: { target_shape: [8, 8, 1] } },
        { class_name: 'Conv2D', config: { filters: 8, kernel_size: [3, 3], activation: 'relu', padding: 'same' } },
        { class_name: 'BatchNormalization' },
        { class_name: 'MaxPooling2D', config: { pool_size: [2, 2] } },
        { class_name: 'Flatten' },
        dense(10),
      ),
    );
    expect(network.snapshot().tensors.map(({ name }) => name)).toContain('2_batchnormalization/moving_variance');
    const { core } = await wasm();
    network.update();
    const { numTensors } = core.memory();
    for (let i = 0; i < 25; i++) network.update();
    expect(core.memory().numTensors).toBe(numTensors);
    expect(network.evaluate().accuracy).toBeGreaterThan(0.85);
  });

  it.each<[string, object, RegExp]>([
    ['gives another number of classes', layers(dense(9)), /gives \[9\] numbers a record.*units: 10/],
    [
      'ends without a layer of classes',
      layers(dense(10), { class_name: 'Reshape', config: { target_shape: [5, 2] } }),
      /gives \[5, 2\] numbers/,
    ],
    ['ends in another activation', layers(dense(10, 'sigmoid')), /set it to softmax/],
    [
      'has layers that do not fit',
      layers({ class_name: 'Conv2D', config: { filters: 2, kernel_size: 3 } }, dense(10)),
      /do not make a model/,
    ],
    [
      'reshapes to another size',
      layers({ class_name: 'Reshape', config: { target_shape: [9, 9] } }, dense(10)),
      /do not make a model/,
    ],
    ['has a layer without its arguments', layers({ class_name: 'Dense' }, dense(10)), /do not make a model/],
    [
      'is a softmax alone',
      layers({ class_name: 'Activation', config: { activation: 'softmax' } }),
      /add a Dense layer/,
    ],
    ['has an unknown activation', layers(dense(4, 'swoosh'), dense(10)), /do not make a model/],
  ])('that %s is refused with what to change', async (_, architecture, says) => {
    const problem = await built(architecture).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(ModelError);
    expect((problem as Error).message).toMatch(says);
  });
});
