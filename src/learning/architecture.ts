import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type Architecture, LAYERS } from '../api/index.ts';
import type { Backend } from './backend.ts';
import { ModelError } from './errors.ts';
import { checkSizes } from './layer-sizes.ts';

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
/** Filters of the two convolutions of preset cnn. */
const CNN_FILTERS = [8, 16] as const;
/** Numbers that stand for a token in preset text, and units of its hidden layer. */
const TEXT_UNITS = 16;

/** Records that a model takes. */
export interface RecordShape {
  /** Numbers of a record. */
  readonly columns: number;
  /** How they are arranged, where that is not a row. */
  readonly shape?: readonly number[] | undefined;
}

/**
 * Builds the model of a spec with weights that depend on `seed` alone: every validator starts from the same ones.
 * Its output are logits: a softmax at the end is left off and applied in the loss and in `predict`, where it is exact.
 * @throws ModelError when the layers do not fit each other, the data or the classes
 */
export async function buildModel(
  backend: Backend,
  architecture: Architecture,
  record: RecordShape,
  classes: number,
  seed: number,
): Promise<LayersModel> {
  const topology = topologyOf(architecture, record, classes);
  checkSizes(topology.config.layers, record.columns);
  const draft = await load(backend, topology);
  const spelledOut = draft.toJSON(null, false) as unknown as { class_name: string; config: Json };
  draft.dispose();
  const model = await load(backend, {
    class_name: spelledOut.class_name,
    config: seedInitializers(spelledOut.config, { next: seed }) as JsonObject,
  });
  tryOnce(backend, model, record.columns);
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
 * The layers of a spec as one model whose output are logits, with the names that its weights go by. It takes records as
 * rows of numbers; where they are arranged otherwise, it begins by doing so.
 * @throws ModelError when there is no layer, or preset cnn has no image
 */
export function topologyOf(architecture: Architecture, record: RecordShape, classes: number): Topology {
  const layers = withLogits(layersOf(architecture, record, classes)).map((layer, i) => named(layer, i));
  const [first, ...rest] = layers;
  if (first === undefined) throw new ModelError('architecture.layers has nothing but a softmax: add a Dense layer.');
  const shaped = { ...first, config: { ...first.config, batch_input_shape: [null, record.columns] } };
  return { class_name: 'Sequential', config: { name: 'model', layers: [shaped, ...rest] } };
}

/** Number of tokens, where features are token ids: the model begins with an Embedding. */
export function vocabularyOf(architecture: Architecture): number | undefined {
  if (architecture.preset === 'text') return architecture.vocabulary;
  const first = (architecture.layers ?? []).find(({ class_name }) => class_name !== 'InputLayer');
  if (first?.class_name !== 'Embedding') return undefined;
  const tokens = inSnakeCase((first.config ?? {}) as JsonObject).input_dim;
  return typeof tokens === 'number' ? tokens : undefined;
}

function layersOf(architecture: Architecture, record: RecordShape, classes: number): LayerJson[] {
  if (architecture.layers !== undefined) return arranged(architecture.layers.map(plainLayer), record);
  const last = { class_name: 'Dense', config: { units: classes, activation: 'softmax' } };
  switch (architecture.preset) {
    case 'logistic':
      return [last];
    case 'pegasos':
      // Two opposite weight vectors, which start at zero; see Pegasos in network.ts.
      return [{ class_name: 'Dense', config: { ...last.config, use_bias: false, kernel_initializer: 'zeros' } }];
    case 'cnn':
      return [...convolutions(imageShape(record)), { class_name: 'Flatten', config: {} }, last];
    case 'text':
      return [
        { class_name: 'Embedding', config: { input_dim: architecture.vocabulary ?? 0, output_dim: TEXT_UNITS } },
        { class_name: 'GlobalAveragePooling1D', config: {} },
        { class_name: 'Dense', config: { units: TEXT_UNITS, activation: 'relu' } },
        last,
      ];
    default:
      return [{ class_name: 'Dense', config: { units: MLP_UNITS, activation: 'relu' } }, last];
  }
}

/** @param layer of a spec, or of a file that was not checked */
export function plainLayer(layer: { readonly class_name: string; readonly config?: object | undefined }): LayerJson {
  const { class_name } = layer;
  if (!(LAYERS as readonly string[]).includes(class_name)) {
    throw new ModelError(`Layer ${class_name.slice(0, 64)} is not known. Use ${LAYERS.join(', ')}.`);
  }
  return { class_name, config: inSnakeCase((layer.config ?? {}) as JsonObject) };
}

/** The library takes both spellings of an argument: one is left to look at. */
function inSnakeCase(config: JsonObject): JsonObject {
  const spelled: JsonObject = {};
  for (const [key, value] of Object.entries(config)) {
    const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (snake === key || !Object.hasOwn(config, snake)) spelled[snake] = value;
  }
  return spelled;
}

/** Records come as rows: before the first layer they are arranged as it expects them. */
function arranged(layers: readonly LayerJson[], { shape = [] }: RecordShape): LayerJson[] {
  const own = layers[0]?.class_name === 'InputLayer' ? layers.slice(1) : [...layers];
  const first = own[0]?.class_name;
  if (shape.length < 2 || first === 'Reshape') return own;
  const target_shape = shape.length === 2 && first === 'Conv2D' ? [...shape, 1] : [...shape];
  return [{ class_name: 'Reshape', config: { target_shape } }, ...own];
}

/** Height, width and channels of a record. @throws ModelError where it is no image */
function imageShape({ columns, shape = [] }: RecordShape): [number, number, number] {
  const [height = 0, width = 0, channels = 1] = shape;
  if (shape.length === 2 || shape.length === 3) return [height, width, channels];
  const side = Math.sqrt(columns);
  if (shape.length < 2 && Number.isInteger(side)) return [side, side, 1];
  throw new ModelError(
    `architecture.preset cnn takes images, and ${columns} numbers are no square. Set data.shape to [height, width, channels].`,
  );
}

function convolutions([height, width, channels]: [number, number, number]): LayerJson[] {
  let side = Math.min(height, width);
  const layers: LayerJson[] = [{ class_name: 'Reshape', config: { target_shape: [height, width, channels] } }];
  for (const filters of CNN_FILTERS) {
    layers.push({
      class_name: 'Conv2D',
      config: { filters, kernel_size: [3, 3], padding: 'same', activation: 'relu' },
    });
    if (side >= 2) layers.push({ class_name: 'MaxPooling2D', config: { pool_size: [2, 2] } });
    side = Math.floor(side / 2);
  }
  return layers;
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
