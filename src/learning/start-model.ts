import { z } from 'zod';
import type { Architecture } from '../api/index.ts';
import { type LayerJson, plainLayer } from './architecture.ts';
import type { NamedTensor, StartModel } from './contract.ts';
import { ModelError } from './errors.ts';
import { fromTensors, type Layout } from './layout.ts';
import { jsonOf } from './start-files.ts';

const layerShape = z.object({
  class_name: z.string().max(64),
  name: z.string().max(256).optional(),
  config: z.record(z.string(), z.unknown()).prefault({}),
  inbound_nodes: z.array(z.unknown()).optional(),
});
type StartLayer = z.output<typeof layerShape>;

const layersShape = z.array(layerShape).min(1).max(128);
const topologyShape = z.object({
  class_name: z.enum(['Sequential', 'Model', 'Functional']),
  // Older writers have the list of layers in place of the config.
  config: z.union([layersShape, z.object({ layers: layersShape }).transform(({ layers }) => layers)]),
});
const fileShape = z.object({
  modelTopology: z.union([topologyShape, z.object({ model_config: topologyShape }).transform((it) => it.model_config)]),
  weightsManifest: z.array(
    z.object({
      weights: z
        .array(
          z.object({
            name: z.string().max(512),
            shape: z
              .array(
                z
                  .int()
                  .min(0)
                  .max(2 ** 31),
              )
              .max(8),
            dtype: z.string().max(32),
            quantization: z.unknown().optional(),
          }),
        )
        .max(1024),
    }),
  ),
});

/** A model to go on from: its layers, in the form of a spec, and its weights. */
export interface Start {
  readonly architecture: Architecture;
  /** @throws ModelError where the weights are not those of the layers */
  flat(layout: Layout): Float32Array;
}

/**
 * Reads a layers model of TensorFlow.js: a Sequential one, or a functional one that is a chain.
 * @param columns numbers of one record
 * @throws ModelError with what is wrong with the files
 */
export function startOf({ json, weights }: StartModel, columns: number): Start {
  const parsed = fileShape.safeParse(jsonOf(json));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw wrong(`model.json is not as TensorFlow.js writes it: ${where}: ${issue?.message ?? ''}`.slice(0, 300));
  }
  const { modelTopology, weightsManifest } = parsed.data;
  if (modelTopology.class_name !== 'Sequential') checkChain(modelTopology.config);
  const { layers, names } = layersOf(modelTopology.config, columns);
  const tensors = tensorsOf(
    weightsManifest.flatMap((group) => group.weights),
    weights,
    names,
  );
  return {
    // Class names were checked by plainLayer; configs are loose in a spec too.
    architecture: { layers } as unknown as Architecture,
    flat(layout) {
      const held = layout.slots.map(({ name }) => {
        const tensor = tensors.get(name.replace(/^([0-9]+)_[^/]*/, '$1'));
        if (tensor === undefined) throw wrong(`it has no weight ${name}`);
        return { ...tensor, name };
      });
      if (tensors.size > held.length) throw wrong('it has weights that belong to none of its layers');
      return fromTensors(held, layout);
    },
  };
}

/** Every layer takes what the one before gives: [[["before", 0, 0, {}]]]. */
function checkChain(layers: readonly StartLayer[]): void {
  layers.forEach(({ inbound_nodes }, i) => {
    const before = layers[i - 1];
    if (before === undefined) return;
    const name = before.name ?? before.config.name;
    const from = (inbound_nodes?.[0] as unknown[] | undefined)?.[0] as unknown[] | undefined;
    const isNext = inbound_nodes?.length === 1 && (inbound_nodes[0] as unknown[]).length === 1 && from?.[0] === name;
    if (!isNext) throw wrong('its layers are not one chain: only Sequential models and chains can be learned');
  });
}

/** Layers of a spec, and the name that each had in the file. */
function layersOf(
  own: readonly StartLayer[],
  columns: number,
): { readonly layers: readonly LayerJson[]; readonly names: readonly (string | undefined)[] } {
  const [first] = own;
  const sides = inputSides(first?.config);
  if (sides.reduce((product, side) => product * side, 1) !== columns) {
    throw new ModelError(
      `The model of architecture.from takes records of [${sides.join(', ')}], the data have ${columns} numbers a record. Use data of that shape.`,
    );
  }
  const kept = first?.class_name === 'InputLayer' ? own.slice(1) : own;
  const layers = kept.map((layer) => plainLayer(layer));
  const names = kept.map(({ name, config }) => (typeof config.name === 'string' ? config.name : name));
  if (sides.length < 2) return { layers, names };
  const arranging = { class_name: 'Reshape', config: { target_shape: [...sides] } };
  return { layers: [arranging, ...layers], names: [undefined, ...names] };
}

function inputSides(config: Readonly<Record<string, unknown>> | undefined): readonly number[] {
  const shape = config?.batch_input_shape ?? config?.batchInputShape ?? config?.batch_shape;
  const sides: readonly unknown[] = Array.isArray(shape) ? shape.slice(1) : [];
  if (sides.length > 0 && sides.length <= 4 && sides.every((side) => Number.isSafeInteger(side) && Number(side) > 0)) {
    return sides as readonly number[];
  }
  throw wrong('its first layer does not say what shape it takes (batch_input_shape)');
}

/** Tensors by the number of their layer and their own name: `1/kernel`. */
function tensorsOf(
  specs: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly quantization?: unknown;
  }[],
  bytes: Uint8Array,
  names: readonly (string | undefined)[],
): ReadonlyMap<string, NamedTensor> {
  const tensors = new Map<string, NamedTensor>();
  let at = 0;
  for (const { name, shape, dtype, quantization } of specs) {
    if (dtype !== 'float32' || quantization !== undefined) {
      throw wrong(`weight ${name.slice(0, 80)} is ${quantization === undefined ? dtype : 'quantised'}, not float32`);
    }
    const size = shape.reduce((product, side) => product * side, 1) * Float32Array.BYTES_PER_ELEMENT;
    if (!(at + size <= bytes.length)) throw wrong(`its files end within weight ${name.slice(0, 80)}`);
    const own = ownName(name, names);
    if (own === undefined || tensors.has(own)) throw wrong(`weight ${name.slice(0, 80)} belongs to no layer`);
    // A copy, since numbers must begin at a multiple of four.
    const data = new Float32Array(Uint8Array.prototype.slice.call(bytes, at, at + size).buffer);
    tensors.set(own, { name: own, shape, data });
    at += size;
  }
  if (at < bytes.length) throw wrong('its files go on after the last weight');
  return tensors;
}

/** `dense_1/kernel`, `sequential/dense_1/kernel:0`: the last two steps count. */
function ownName(name: string, layers: readonly (string | undefined)[]): string | undefined {
  const [layer, variable] = name
    .replace(/:[0-9]+$/, '')
    .split('/')
    .slice(-2);
  const index = layers.findIndex((one) => one !== undefined && one === layer);
  return index < 0 || variable === undefined ? undefined : `${index}/${variable}`;
}

const wrong = (why: string): ModelError =>
  new ModelError(`architecture.from cannot be the start: ${why}. Save the model again, and make a new Model with it.`);
