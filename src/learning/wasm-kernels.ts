import type * as Core from '@tensorflow/tfjs-core';
import type { KernelConfig, KernelFunc, Tensor, Tensor4D, TensorInfo } from '@tensorflow/tfjs-core';

const BACKEND = 'wasm';
const MATMUL_KERNELS = ['BatchMatMul', '_FusedMatMul'] as const;

/**
 * Repairs tfjs-backend-wasm 4.22 for training; call before the backend starts. Calling it again changes nothing.
 * - Its matMul is up to 12 times slower on transposed arguments, which every gradient has: transpose first.
 * - It has no gradient of Conv2D by the filter: composed from strided slices and matMul (agrees with cpu to 1e-4).
 * - It has no UnsortedSegmentSum, which is the gradient of an embedding: added up here.
 * - Its gradient of MaxPool forgets windows that hold no number above zero: computed here.
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
  core.registerKernel({ kernelName: 'UnsortedSegmentSum', backendName: BACKEND, kernelFunc: unsortedSegmentSum });
  core.unregisterKernel('MaxPoolGrad', BACKEND);
  core.registerKernel({
    kernelName: 'MaxPoolGrad',
    backendName: BACKEND,
    kernelFunc: (args) => maxPoolGrad(core, args),
  });
}

/** What the wasm backend is to its kernels. */
interface DataDisposer {
  disposeData(dataId: object): unknown;
}
interface WasmMemory {
  makeOutput(shape: number[], dtype: string): TensorInfo;
  typedArrayFromHeap(tensor: TensorInfo): Float32Array | Int32Array;
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

/** Sums rows of x that have the same id; ids outside are left out, as cpu does. */
const unsortedSegmentSum: KernelFunc = ({ inputs, backend, attrs }) => {
  const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
  const { numSegments } = attrs as unknown as { numSegments: number };
  const memory = backend as unknown as WasmMemory;
  const sums = memory.makeOutput([numSegments, ...x.shape.slice(1)], x.dtype);
  // Looked up after the output was made: memory that grows is another buffer.
  const [into, values, ids] = [sums, x, segmentIds].map((tensor) => memory.typedArrayFromHeap(tensor));
  if (into === undefined || values === undefined || ids === undefined) return sums;
  const width = ids.length === 0 ? 0 : values.length / ids.length;
  into.fill(0);
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row] as number;
    if (id < 0 || id >= numSegments) continue;
    for (let c = 0; c < width; c++) {
      into[id * width + c] = (into[id * width + c] as number) + (values[row * width + c] as number);
    }
  }
  return sums;
};

/** Each window's gradient goes to its first greatest number. NHWC only. */
const maxPoolGrad = (core: typeof Core, { inputs, backend, attrs }: Parameters<KernelFunc>[0]): TensorInfo => {
  const { dy, input } = inputs as { dy: TensorInfo; input: TensorInfo };
  const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as {
    filterSize: number | [number, number];
    strides: number | [number, number];
    pad: 'valid' | 'same' | number;
    dimRoundingMode?: 'floor' | 'round' | 'ceil';
  };
  const shape = input.shape as [number, number, number, number];
  const info = core.backend_util.computePool2DInfo(shape, filterSize, strides, 1, pad, dimRoundingMode);
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, filterHeight, filterWidth } = info;
  const { strideHeight, strideWidth, padInfo } = info;
  const memory = backend as unknown as WasmMemory;
  const dx = memory.makeOutput(input.shape, 'float32');
  const [into, values, gradients] = [dx, input, dy].map((tensor) => memory.typedArrayFromHeap(tensor));
  if (into === undefined || values === undefined || gradients === undefined) return dx;
  into.fill(0);
  let window = 0;
  for (let image = 0; image < batchSize; image++) {
    for (let y = 0; y < outHeight; y++) {
      const top = y * strideHeight - padInfo.top;
      const [firstRow, endRow] = [Math.max(0, top), Math.min(inHeight, top + filterHeight)];
      for (let x = 0; x < outWidth; x++) {
        const left = x * strideWidth - padInfo.left;
        const [firstColumn, endColumn] = [Math.max(0, left), Math.min(inWidth, left + filterWidth)];
        for (let channel = 0; channel < inChannels; channel++, window++) {
          let greatest = Number.NEGATIVE_INFINITY;
          let at = -1;
          for (let row = firstRow; row < endRow; row++) {
            for (let column = firstColumn; column < endColumn; column++) {
              const index = ((image * inHeight + row) * inWidth + column) * inChannels + channel;
              const value = values[index] as number;
              if (value > greatest) {
                greatest = value;
                at = index;
              }
            }
          }
          if (at >= 0) into[at] = (into[at] as number) + (gradients[window] as number);
        }
      }
    }
  }
  return dx;
};
