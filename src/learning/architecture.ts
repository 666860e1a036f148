import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Architecture } from '../api/index.ts';
import type { Backend } from './backend.ts';
import { ModelError } from './errors.ts';

/** A value of Keras' JSON form of a model. */
type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };
export interface LayerJson {
  readonly class_name: string;
  readonly config: JsonObject;
}

/** A model without weights, as Keras writes it. */
export interface Topology {
  readonly class_name: 'Sequential';
  readonly config: { readonly name: string; readonly layers: readonly LayerJson[] };
}

/** Initializers that draw; constants (Zeros, Ones, Constant, Identity) need no seed. */
const RANDOM_INITIALIZERS = new Set([
  'RandomNormal',
  'RandomUniform',
  'TruncatedNormal',
  'VarianceScaling',
  'GlorotNormal',
  'GlorotUniform',
  'HeNormal',
  'HeUniform',
  'LeCunNormal',
  'LeCunUniform',
  'Orthogonal',
]);
/** Units of the hidden layer of preset mlp. */
const MLP_UNITS = 32;

/**
 * Builds the model of a spec with weights that depend on `seed` alone: every validator starts from the same ones.
 * Its output are logits: a softmax at the end is left off and applied in the loss and in `predict`, where it is exact.
 * @throws ModelError when the layers do not fit each other, the data or the classes
 */
export async function buildModel(
  backend: Backend,
  architecture: Architecture,
  columns: number,
  classes: number,
  seed: number,
): Promise<LayersModel> {
  const draft = await load(backend, topologyOf(architecture, columns, classes));
  const spelledOut = draft.toJSON(null, false) as unknown as { class_name: string; config: Json };
  draft.dispose();
  const model = await load(backend, {
    class_name: spelledOut.class_name,
    config: seedInitializers(spelledOut.config, { next: seed }) as JsonObject,
  });
  tryOnce(backend, model, columns);
  const output = model.outputs[0]?.shape ?? [];
  if (model.outputs.length !== 1 || output.length !== 2 || output[1] !== classes) {
    model.dispose();
    throw new ModelError(
      `The last layer gives [${output.slice(1).join(', ')}] numbers a record; it must give one a class: ` +
        `end architecture.layers with {class_name: Dense, config: {units: ${classes}, activation: softmax}}.`,
    );
  }
  return model;
}

/**
 * The layers of a spec as one model whose output are logits, with the names that its weights go by.
 * @throws ModelError when there is no layer
 */
export function topologyOf(architecture: Architecture, columns: number, classes: number): Topology {
  const layers = withLogits(layersOf(architecture, classes)).map((layer, i) => named(layer, i));
  const [first, ...rest] = layers;
  if (first === undefined) throw new ModelError('architecture.layers has nothing but a softmax: add a Dense layer.');
  const shaped = { ...first, config: { ...first.config, batch_input_shape: [null, columns] } };
  return { class_name: 'Sequential', config: { name: 'model', layers: [shaped, ...rest] } };
}

function layersOf(architecture: Architecture, classes: number): LayerJson[] {
  if (architecture.layers !== undefined) {
    return architecture.layers.map(({ class_name, config }) => ({ class_name, config: (config ?? {}) as JsonObject }));
  }
  const hidden = { class_name: 'Dense', config: { units: MLP_UNITS, activation: 'relu' } };
  return [
    ...(architecture.preset === 'logistic' ? [] : [hidden]),
    { class_name: 'Dense', config: { units: classes, activation: 'softmax' } },
  ];
}

function withLogits(layers: readonly LayerJson[]): LayerJson[] {
  const last = layers.at(-1);
  if (last === undefined) return [];
  const before = layers.slice(0, -1);
  const activation = last.config.activation;
  if (last.class_name === 'Activation' && activation === 'softmax') return before;
  if (last.class_name === 'Dense') {
    if (activation !== undefined && activation !== 'softmax' && activation !== 'linear') {
      throw new ModelError(
        `The last layer has activation ${String(activation)}; models learn classes: set it to softmax.`,
      );
    }
    return [...before, { ...last, config: { ...last.config, activation: 'linear' } }];
  }
  return [...layers];
}

/** Names are set, since tfjs would count layers over the whole process. */
function named(layer: LayerJson, index: number): LayerJson {
  const config: JsonObject = { ...layer.config, name: `${index}_${layer.class_name.toLowerCase()}` };
  for (const key of ['input_shape', 'batch_input_shape', 'batch_size']) delete config[key];
  return { class_name: layer.class_name, config };
}

async function load(backend: Backend, topology: object): Promise<LayersModel> {
  try {
    // The library changes the object it is given.
    return await backend.layers.models.modelFromJSON(structuredClone(topology) as never);
  } catch (error) {
    throw misfit(error);
  }
}

/** Some layers (Reshape) find out only with data that their sizes do not fit. */
function tryOnce({ core }: Backend, model: LayersModel, columns: number): void {
  try {
    core.tidy(() => {
      model.apply(core.zeros([1, columns]), { training: false });
    });
  } catch (error) {
    model.dispose();
    throw misfit(error);
  }
}

function misfit(error: unknown): ModelError {
  const why = (error instanceof Error ? error.message : String(error)).replace(/[.\s]*$/, '.');
  return new ModelError(`architecture.layers do not make a model: ${why} Fix the layers.`, { cause: error });
}

/** Gives every random initializer below `value` a seed of its own. */
function seedInitializers(value: Json, seed: { next: number }): Json {
  if (Array.isArray(value)) return value.map((item) => seedInitializers(item, seed));
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.class_name === 'string' && RANDOM_INITIALIZERS.has(value.class_name)) {
    const config = value.config !== null && typeof value.config === 'object' ? value.config : {};
    return { ...value, config: { ...(config as JsonObject), seed: seed.next++ } };
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, seedInitializers(item, seed)]));
}
