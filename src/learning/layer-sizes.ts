import type { LayerJson } from './architecture.ts';
import { ModelError } from './errors.ts';

/** Weights of the largest model that is built: 192 MiB as float32. */
export const MAX_WEIGHTS = 48 * 1024 * 1024;
/** Numbers between two layers for one record. */
const MAX_ACTIVATIONS = 16 * 1024 * 1024;

type Shape = readonly number[];
type Config = LayerJson['config'];
interface Sized {
  readonly shape: Shape;
  readonly weights: number;
}

/**
 * Holds layers to a size that fits into memory before anything is allocated, and their numbers to being numbers. What
 * else is wrong with them the library says when it builds them.
 * @throws ModelError
 */
export function checkSizes(layers: readonly LayerJson[], columns: number): void {
  let shape: Shape = [columns];
  let weights = 0;
  layers.forEach((layer, i) => {
    const where = `layer ${i} (${layer.class_name})`;
    const sized = sizesOf(layer, shape, where);
    weights += sized.weights;
    shape = sized.shape;
    if (!(weights <= MAX_WEIGHTS)) {
      throw new ModelError(
        `architecture.layers have ${weights.toExponential(1)} weights up to ${where}, the limit is ${MAX_WEIGHTS}. Make layers smaller.`,
      );
    }
    if (!(product(shape) <= MAX_ACTIVATIONS)) {
      throw new ModelError(
        `${where} of architecture.layers gives [${shape.join(', ')}] numbers a record, the limit is ${MAX_ACTIVATIONS} in all. Make layers smaller.`,
      );
    }
  });
}

const product = (shape: Shape): number => shape.reduce((all, side) => all * side, 1);

function sizesOf({ class_name, config }: LayerJson, shape: Shape, where: string): Sized {
  const channels = shape.at(-1) ?? 1;
  switch (class_name) {
    case 'Dense': {
      const units = whole(config, 'units', where);
      return { shape: [...shape.slice(0, -1), units], weights: (channels + 1) * units };
    }
    case 'Embedding': {
      const [tokens, width] = [whole(config, 'input_dim', where), whole(config, 'output_dim', where)];
      return { shape: [...shape, width], weights: tokens * width };
    }
    case 'Conv1D':
    case 'Conv2D': {
      const dimensions = class_name === 'Conv1D' ? 1 : 2;
      const filters = whole(config, 'filters', where);
      const kernel = wholes(config, 'kernel_size', dimensions, undefined, where);
      const strides = wholes(config, 'strides', dimensions, 1, where);
      const weights = (product(kernel) * channels + 1) * filters;
      return { shape: [...slid(shape, kernel, strides, config), filters], weights };
    }
    case 'MaxPooling1D':
    case 'AveragePooling1D':
    case 'MaxPooling2D':
    case 'AveragePooling2D': {
      const dimensions = class_name.endsWith('1D') ? 1 : 2;
      const pool = wholes(config, 'pool_size', dimensions, 2, where);
      const strides = config.strides === null ? pool : wholes(config, 'strides', dimensions, pool, where);
      return { shape: [...slid(shape, pool, strides, config), channels], weights: 0 };
    }
    case 'ZeroPadding2D': {
      const paddings = flat(config.padding ?? 1);
      if (!paddings.every((side) => Number.isSafeInteger(side) && side >= 0))
        throw misfit(where, 'padding', config.padding);
      const most = 2 * Math.max(0, ...paddings);
      return { shape: shape.map((side, i) => (i < 2 ? side + most : side)), weights: 0 };
    }
    case 'GlobalAveragePooling1D':
    case 'GlobalAveragePooling2D':
    case 'GlobalMaxPooling1D':
    case 'GlobalMaxPooling2D':
      return { shape: [channels], weights: 0 };
    case 'Flatten':
      return { shape: [product(shape)], weights: 0 };
    case 'Reshape':
      return { shape: reshaped(config, shape, where), weights: 0 };
    case 'BatchNormalization':
    case 'LayerNormalization':
      return { shape, weights: 4 * channels };
    default:
      return { shape, weights: 0 };
  }
}

/** What is left of the sides when a window slides over them. */
function slid(shape: Shape, window: Shape, strides: Shape, config: Config): Shape {
  return strides.map((stride, i) => {
    const side = shape[i] ?? 1;
    const room = config.padding === 'same' ? side : side - (window[i] ?? 1) + 1;
    return Math.max(1, Math.ceil(room / stride));
  });
}

function reshaped(config: Config, shape: Shape, where: string): Shape {
  const target = config.target_shape;
  const sides = Array.isArray(target) ? target.map(Number) : [Number.NaN];
  if (!sides.every((side) => Number.isSafeInteger(side) && (side > 0 || side === -1))) {
    throw misfit(where, 'target_shape', target);
  }
  const known = product(sides.filter((side) => side > 0));
  return sides.map((side) => (side > 0 ? side : Math.ceil(product(shape) / known)));
}

function whole(config: Config, field: string, where: string): number {
  const value = config[field];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw misfit(where, field, value);
}

function wholes(
  config: Config,
  field: string,
  count: number,
  otherwise: number | Shape | undefined,
  where: string,
): Shape {
  const value = config[field] ?? otherwise;
  const list = Array.isArray(value) ? value : new Array<unknown>(count).fill(value);
  if (list.length === count && list.every((one) => Number.isSafeInteger(one) && (one as number) > 0)) {
    return list as number[];
  }
  throw misfit(where, field, config[field]);
}

const flat = (value: unknown): number[] => (Array.isArray(value) ? value.flatMap(flat) : [Number(value)]);

function misfit(where: string, field: string, value: unknown): ModelError {
  const shown = value === undefined ? 'missing' : (JSON.stringify(value) ?? String(value)).slice(0, 80);
  return new ModelError(
    `architecture.layers do not make a model: ${field} of ${where} is ${shown}; it must be a whole number above zero. Fix the layers.`,
  );
}
