import type * as Core from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Architecture, LAYERS } from '../../../src/api/index.ts';
import { buildModel } from '../../../src/learning/architecture.ts';
import { seeded } from '../../../src/learning/random.ts';
import { patchWasmKernels } from '../../../src/learning/wasm-kernels.ts';
import { wasm } from './fleet.ts';

let core: typeof Core;
beforeAll(async () => {
  ({ core } = await wasm());
  await import('@tensorflow/tfjs-backend-cpu');
});

/** Computes on wasm and on cpu; gives the greatest difference. */
async function difference(compute: () => Core.Tensor): Promise<number> {
  const results: number[][] = [];
  for (const backend of ['cpu', 'wasm']) {
    await core.setBackend(backend);
    const values = core.tidy(() => [compute()])[0]!;
    results.push([...values.dataSync()]);
    values.dispose();
  }
  const [cpu, fast] = results;
  expect(fast!.length).toBe(cpu!.length);
  return cpu!.reduce((most, x, i) => Math.max(most, Math.abs(x - fast![i]!)), 0);
}

describe('patched wasm kernels', () => {
  it('multiply transposed matrices like cpu does', async () => {
    for (const [a, b] of [
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      const left = a ? [2, 5, 3] : [2, 3, 5];
      const right = b ? [2, 4, 5] : [2, 5, 4];
      const off = await difference(() =>
        core.matMul(core.randomNormal(left, 0, 1, 'float32', 1), core.randomNormal(right, 0, 1, 'float32', 2), a, b),
      );
      expect(off).toBeLessThan(1e-5);
    }
  });

  it('free what they transposed', async () => {
    await core.setBackend('wasm');
    const held = core.backend().numDataIds();
    const multiply = () =>
      core.dispose(core.tidy(() => core.matMul(core.ones([3, 5]), core.ones([4, 5]), false, true)));
    for (let i = 0; i < 10; i++) multiply();
    expect(core.backend().numDataIds()).toBe(held);
  });

  it.each([
    ['same', 1, 3],
    ['same', 2, 3],
    ['valid', 1, 2],
    ['valid', 2, 3],
  ] as const)('have the gradient of Conv2D by its filter: %s, stride %i, size %i', async (pad, stride, size) => {
    const off = await difference(() => {
      const x = core.randomNormal<Core.Rank.R4>([3, 8, 7, 2], 0, 1, 'float32', 3);
      const filter = core.randomNormal<Core.Rank.R4>([size, size, 2, 4], 0, 1, 'float32', 4);
      return core.grad((w) => core.sum(core.square(core.conv2d(x, w as Core.Tensor4D, stride, pad))))(filter);
    });
    expect(off).toBeLessThan(1e-2);
  });

  it('are put in place once', () => {
    const kernel = core.getKernel('BatchMatMul', 'wasm');
    patchWasmKernels(core);
    expect(core.getKernel('BatchMatMul', 'wasm')).toBe(kernel);
  });
});

const layer = (class_name: string, config: object = {}) => ({ class_name, config });
const dense = layer('Dense', { units: 3 });
const image = layer('Reshape', { target_shape: [8, 8, 1] });
const series = layer('Reshape', { target_shape: [16, 4] });
const conv = layer('Conv2D', { filters: 3, kernel_size: 3, padding: 'same', activation: 'tanh' });
const flat = layer('Flatten');

/** Each layer that a spec may name, in a model where it matters. */
const MODELS: Readonly<Record<(typeof LAYERS)[number], readonly object[]>> = {
  InputLayer: [layer('InputLayer', { batch_input_shape: [null, 64] }), dense],
  Dense: [layer('Dense', { units: 7, activation: 'relu' }), dense],
  Activation: [layer('Dense', { units: 7 }), layer('Activation', { activation: 'sigmoid' }), dense],
  Dropout: [layer('Dropout', { rate: 0 }), dense],
  Flatten: [image, flat, dense],
  Reshape: [image, flat, dense],
  Rescaling: [layer('Rescaling', { scale: 0.5, offset: 1 }), dense],
  Embedding: [layer('Embedding', { input_dim: 5, output_dim: 4 }), flat, dense],
  Conv1D: [series, layer('Conv1D', { filters: 3, kernel_size: 3, strides: 2 }), flat, dense],
  Conv2D: [image, conv, conv, layer('Conv2D', { filters: 2, kernel_size: [2, 3], strides: 2 }), flat, dense],
  MaxPooling1D: [series, layer('Conv1D', { filters: 3, kernel_size: 3 }), layer('MaxPooling1D'), flat, dense],
  MaxPooling2D: [image, conv, layer('MaxPooling2D', { pool_size: 3, strides: 2 }), flat, dense],
  AveragePooling1D: [series, layer('Conv1D', { filters: 3, kernel_size: 3 }), layer('AveragePooling1D'), flat, dense],
  AveragePooling2D: [image, conv, layer('AveragePooling2D', { padding: 'same' }), flat, dense],
  GlobalAveragePooling1D: [layer('Embedding', { input_dim: 5, output_dim: 4 }), layer('GlobalAveragePooling1D'), dense],
  GlobalAveragePooling2D: [image, conv, layer('GlobalAveragePooling2D'), dense],
  GlobalMaxPooling1D: [series, layer('Conv1D', { filters: 3, kernel_size: 3 }), layer('GlobalMaxPooling1D'), dense],
  GlobalMaxPooling2D: [image, conv, layer('GlobalMaxPooling2D'), dense],
  ZeroPadding2D: [
    image,
    conv,
    layer('ZeroPadding2D', {
      padding: [
        [1, 2],
        [0, 1],
      ],
    }),
    conv,
    flat,
    dense,
  ],
  BatchNormalization: [image, conv, layer('BatchNormalization'), flat, dense],
  LayerNormalization: [layer('Dense', { units: 7 }), layer('LayerNormalization'), dense],
};

describe('a model with', { timeout: 60_000 }, () => {
  it.each(LAYERS)('%s has the gradients on wasm that it has on cpu', async (name) => {
    const backend = await wasm();
    const random = seeded(3);
    const records = Array.from({ length: 4 }, () => Array.from({ length: 64 }, () => Math.floor(random() * 5)));
    const weigh = Float32Array.from({ length: 12 }, random);
    const results: number[][] = [];
    for (const use of ['cpu', 'wasm'] as const) {
      await core.setBackend(use);
      const layers = MODELS[name] as NonNullable<Architecture['layers']>;
      const model = await buildModel({ ...backend, name: use }, { layers }, { columns: 64 }, 3, 11);
      const { value, grads } = core.variableGrads(() => {
        const logits = model.apply(core.tensor2d(records), { training: true }) as Core.Tensor;
        return core.sum(core.mul(logits, core.tensor2d(weigh, [4, 3]))) as Core.Scalar;
      });
      expect(Object.keys(grads).length).toBe(model.trainableWeights.length);
      const inOrder = model.trainableWeights.flatMap((weight) => [
        ...(grads[(weight.read() as Core.Variable).name]?.dataSync() ?? []),
      ]);
      results.push([...value.dataSync(), ...inOrder]);
      model.dispose();
    }
    const [cpu = [], fast = []] = results;
    expect(fast.length).toBe(cpu.length);
    expect(cpu.some((value) => value !== 0)).toBe(true);
    cpu.forEach((value, i) => {
      expect(Math.abs(value - (fast[i] ?? Number.NaN))).toBeLessThan(1e-3 * Math.max(1, Math.abs(value)));
    });
  });
});
