import type * as Core from '@tensorflow/tfjs-core';
import type { KernelConfig, KernelFunc, Tensor, Tensor4D, TensorInfo } from '@tensorflow/tfjs-core';

const BACKEND = 'wasm';
const MATMUL_KERNELS = ['BatchMatMul', '_FusedMatMul'] as const;

/**
 * Repairs tfjs-backend-wasm 4.22 for training; call before the backend starts. Calling it again changes nothing.
 * - Its matMul is up to 12 times slower on transposed arguments, which every gradient has: transpose first.
 * - It has no gradient of Conv2D by the filter: composed from strided slices and matMul (agrees with cpu to 1e-4).
 */
export function patchWasmKernels(core: typeof Core): void {
  if (core.getKernel('Conv2DBackpropFilter', BACKEND) !== undefined) return;
  for (const kernelName of MATMUL_KERNELS) {
    const kernel = core.getKernel(kernelName, BACKEND);
    core.unregisterKernel(kernelName, BACKEND);
    core.registerKernel({ ...kernel, kernelFunc: transposingFirst(core, kernel) });
  }
  core.registerKernel({
    kernelName: 'Conv2DBackpropFilter',
    backendName: BACKEND,
    kernelFunc: (args) => conv2dBackpropFilter(core, args),
  });
}

/** What the wasm backend is to its kernels. */
interface DataDisposer {
  disposeData(dataId: object): unknown;
}

function transposingFirst(core: typeof Core, kernel: KernelConfig): KernelFunc {
  const transpose = core.getKernel('Transpose', BACKEND);
  return ({ inputs, backend, attrs }) => {
    const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
    const made: TensorInfo[] = [];
    const upright = (x: TensorInfo): TensorInfo => {
      const rank = x.shape.length;
      const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
      const turned = transpose.kernelFunc({ inputs: { x }, backend, attrs: { perm } }) as TensorInfo;
      made.push(turned);
      return turned;
    };
    const output = kernel.kernelFunc({
      inputs: { ...inputs, a: attrs?.transposeA ? upright(a) : a, b: attrs?.transposeB ? upright(b) : b },
      backend,
      attrs: { ...attrs, transposeA: false, transposeB: false },
    });
    for (const turned of made) (backend as DataDisposer).disposeData(turned.dataId);
    return output;
  };
}

/** dW[i, j] = sum over positions of x[position + (i, j)]^T dy[position], one matMul a filter cell. NHWC only. */
const conv2dBackpropFilter = (core: typeof Core, { inputs, attrs }: Parameters<KernelFunc>[0]): TensorInfo => {
  const { x, dy } = inputs as unknown as { x: Tensor4D; dy: Tensor4D };
  const { strides, pad, dimRoundingMode, filterShape } = attrs as unknown as {
    strides: number | [number, number];
    pad: 'valid' | 'same' | number;
    dimRoundingMode?: 'floor' | 'round' | 'ceil';
    filterShape: [number, number, number, number];
  };
  const info = core.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad, dimRoundingMode);
  const { batchSize, inChannels, outChannels, outHeight, outWidth, strideHeight, strideWidth, filterHeight } = info;
  const { filterWidth, padInfo } = info;
  return core.tidy(() => {
    const padded = core.pad4d(x, [
      [0, 0],
      [padInfo.top, padInfo.bottom],
      [padInfo.left, padInfo.right],
      [0, 0],
    ]);
    const gradient = core.reshape(dy, [-1, outChannels]);
    const cells: Tensor[] = [];
    for (let row = 0; row < filterHeight; row++) {
      for (let column = 0; column < filterWidth; column++) {
        const end = [
          batchSize,
          row + (outHeight - 1) * strideHeight + 1,
          column + (outWidth - 1) * strideWidth + 1,
          inChannels,
        ];
        const seen = core.stridedSlice(padded, [0, row, column, 0], end, [1, strideHeight, strideWidth, 1]);
        cells.push(core.matMul(core.reshape(seen, [-1, inChannels]), gradient, true, false));
      }
    }
    return core.reshape(core.stack(cells), filterShape);
  });
};
