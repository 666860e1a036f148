import type { Architecture } from '../api/index.ts';
import { type LayerJson, type Topology, topologyOf } from './architecture.ts';
import type { ModelInput, NamedTensor } from './contract.ts';
import { ModelError } from './errors.ts';

const SCALING = 'input_scaling';

/** A model as `predict` answers, in parts of TensorFlow.js' layers format. */
export interface LayersModelParts {
  /** `modelTopology` of model.json: scaling in front, softmax at the end. */
  readonly topology: Topology;
  /** Weights of the scaling, where each column has its own: no part of a version. */
  readonly scaling: readonly NamedTensor[];
}

/**
 * What stands around a version's weights, so that TensorFlow.js gives what {@link Learner.predict} gives: from features
 * on the scale of the data file to class probabilities.
 * @throws ModelError when there is no layer, or nobody says which
 */
export function layersModelOf(architecture: Architecture, classes: number, input: ModelInput): LayersModelParts {
  if (architecture.from !== undefined && input.layers === undefined) {
    throw new ModelError('No validator says which layers the model of architecture.from has.');
  }
  const layered = input.layers === undefined ? architecture : { layers: input.layers };
  const { class_name, config } = topologyOf(layered, input, classes);
  const [first, ...rest] = config.layers;
  const { batch_input_shape, ...own } = first?.config ?? {};
  const front = scalingOf(input, { name: SCALING, batch_input_shape: batch_input_shape ?? null });
  const layers = [
    front.layer,
    ...(first === undefined ? [] : [{ ...first, config: own }]),
    ...rest,
    { class_name: 'Activation', config: { name: 'probabilities', activation: 'softmax' } },
  ];
  return { topology: { class_name, config: { ...config, layers } }, scaling: front.weights };
}

function scalingOf(
  { columns, scaling }: ModelInput,
  config: LayerJson['config'],
): { readonly layer: LayerJson; readonly weights: readonly NamedTensor[] } {
  if (scaling.offset === undefined) {
    return {
      layer: { class_name: 'Rescaling', config: { ...config, scale: scaling.factor, offset: 0 } },
      weights: [],
    };
  }
  // (x - offset) / sqrt(1 + 0) * factor
  const weight = (name: string, data: Float32Array): NamedTensor => ({
    name: `${SCALING}/${name}`,
    shape: [columns],
    data,
  });
  return {
    layer: { class_name: 'BatchNormalization', config: { ...config, epsilon: 0, center: false } },
    weights: [
      weight('gamma', Float32Array.from(scaling.factor)),
      weight('moving_mean', Float32Array.from(scaling.offset)),
      weight('moving_variance', new Float32Array(columns).fill(1)),
    ],
  };
}
