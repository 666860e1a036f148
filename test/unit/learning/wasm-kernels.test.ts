import type * as Core from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
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
