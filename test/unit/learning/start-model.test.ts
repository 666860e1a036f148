import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type * as Core from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ModelSpec } from '../../../src/api/index.ts';
import type { StartModel } from '../../../src/learning/contract.ts';
import type { Engine } from '../../../src/learning/engine.ts';
import { DataError, ModelError } from '../../../src/learning/errors.ts';
import { layersModelOf } from '../../../src/learning/layers-model.ts';
import type { FetchLike } from '../../../src/learning/source.ts';
import type { LearnableModelSpec } from '../../../src/learning/spec.ts';
import { loadStart } from '../../../src/learning/start-files.ts';
import { startOf } from '../../../src/learning/start-model.ts';
import { digits, engine, featuresOf, wasm } from './fleet.ts';

type Json = { [key: string]: unknown };
interface Saved {
  readonly json: Json;
  readonly weights: Uint8Array;
}

const SHA = 'a'.repeat(64);
const spec = (): LearnableModelSpec =>
  ModelSpec.parse({
    architecture: { from: { url: 'https://example.test/model/model.json', sha256: SHA } },
    data: { source: { builtin: 'digits' }, classes: 10, scale: '16' },
  });
const files = ({ json, weights }: Saved): StartModel => ({ json: Buffer.from(JSON.stringify(json)), weights });
const begun = (saved: Saved): Promise<Engine> => engine({ spec: spec(), start: files(saved) });

let core: typeof Core;
/** Two models as TensorFlow.js saves them, and what it predicts with them for the digits. */
let image: { saved: Saved; predicted: number[][] };
let plain: { saved: Saved; predicted: number[][] };
let rows: number[][];

beforeAll(async () => {
  const backend = await wasm();
  core = backend.core;
  const { layers } = backend;
  const features = featuresOf(await digits());
  rows = Array.from({ length: 20 }, (_, i) => [...features.subarray(64 * i, 64 * (i + 1))]);
  const make = async (model: ReturnType<typeof layers.sequential>, shape: number[], least: number) => {
    // Other numbers than a seed gives: zeros of biases and ones of normalisations, too.
    model.setWeights(model.getWeights().map((weight, i) => core.randomUniform(weight.shape, least, 0.5, 'float32', i)));
    let saved: Saved | undefined;
    await model.save(
      core.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
        const weights = new Uint8Array(core.io.CompositeArrayBuffer.join(weightData));
        saved = {
          json: JSON.parse(
            JSON.stringify({ modelTopology, weightsManifest: [{ paths: ['w1.bin', 'w2.bin'], weights: weightSpecs }] }),
          ),
          weights,
        };
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
    );
    const scaled = core.div(core.tensor2d(rows), 16);
    const predicted = (model.predict(core.reshape(scaled, [20, ...shape])) as Core.Tensor).arraySync() as number[][];
    return { saved: saved as Saved, predicted };
  };
  const { layers: tf } = await import('@tensorflow/tfjs-layers');
  image = await make(
    layers.sequential({
      layers: [
        tf.conv2d({ inputShape: [8, 8, 1], filters: 4, kernelSize: 3, activation: 'relu' }),
        tf.batchNormalization(),
        tf.maxPooling2d({ poolSize: 2 }),
        tf.flatten(),
        tf.dense({ units: 10, activation: 'softmax' }),
      ],
    }),
    [8, 8, 1],
    0.1, // variances
  );
  plain = await make(
    layers.sequential({
      layers: [
        tf.dense({ inputShape: [64], units: 12, activation: 'tanh' }),
        tf.dense({ units: 10 }),
        tf.activation({ activation: 'softmax' }),
      ],
    }),
    [64],
    -0.5,
  );
});

/** A deep copy to change. */
const copyOf = ({ json, weights }: Saved): { json: Json; weights: Uint8Array } => ({
  json: structuredClone(json),
  weights: weights.slice(),
});
const layersIn = (json: Json) =>
  ((json.modelTopology as Json).config as { layers: { class_name: string; config: Json }[] }).layers;
const weightsIn = (json: Json) => (json.weightsManifest as { weights: Json[] }[])[0]!.weights;

describe('a model that starts from one of TensorFlow.js', { timeout: 60_000 }, () => {
  it.each(['image', 'plain'] as const)('predicts exactly what TensorFlow.js does: %s', async (which) => {
    const { saved, predicted } = which === 'image' ? image : plain;
    const learner = await begun(saved);
    learner.predict(rows).forEach((row, r) => {
      row.forEach((probability, c) => {
        expect(probability).toBeCloseTo(predicted[r]![c]!, 5);
      });
    });
    learner.dispose();
  });

  it('is learned by who knows its layers alone, and is given its weights', async () => {
    const given = spec();
    const learning = { ...given.learning, compression: { ...given.learning.compression, bits: 32 as const } };
    const validator = await engine({ spec: { ...given, learning }, start: files(image.saved) });
    const { layers } = validator.input;
    const user = await engine({
      spec: { ...given, learning, architecture: { layers } },
      partition: { index: 0, of: 1 },
    });
    user.adopt(validator.frame());
    expect(user.predict(rows)).toEqual(validator.predict(rows));
    user.update();
    expect(validator.blend(user.frame(), { maxShare: 0.2 }).accepted).toBe(true);
  });

  it('is the same on all validators, and learns on', async () => {
    const [one, two] = [await begun(plain.saved), await begun(plain.saved)];
    expect(one.snapshot()).toEqual(two.snapshot());
    const before = one.evaluate().accuracy;
    for (let i = 0; i < 40; i++) one.update();
    expect(one.evaluate().accuracy).toBeGreaterThan(Math.max(0.8, before));
    expect(two.merge(one.frame()).accepted).toBe(true);
    for (const learner of [one, two]) learner.dispose();
  });

  it('goes back to TensorFlow.js with the layers that its validators tell', async () => {
    const learner = await begun(image.saved);
    const { layers } = await wasm();
    const { topology, scaling } = layersModelOf(spec().architecture, 10, learner.input);
    const tensors = [...learner.snapshot().tensors, ...scaling];
    const model = await layers.loadLayersModel(
      core.io.fromMemory({
        modelTopology: topology,
        weightSpecs: tensors.map(({ name, shape }) => ({ name, shape: [...shape], dtype: 'float32' })),
        weightData: Float32Array.from(tensors.flatMap(({ data }) => [...data])).buffer,
      }),
    );
    const predicted = (model.predict(core.tensor2d(rows)) as Core.Tensor).arraySync() as number[][];
    predicted.flat().forEach((probability, i) => {
      expect(probability).toBeCloseTo(image.predicted.flat()[i]!, 5);
    });
    expect(() => layersModelOf(spec().architecture, 10, { columns: 64, scaling: { factor: 1 } })).toThrow(
      'No validator',
    );
    learner.dispose();
  });

  it('may be a chain in functional form, as Keras saves it', async () => {
    const { json, weights } = copyOf(plain.saved);
    const [first, ...rest] = layersIn(json);
    const { batch_input_shape } = first!.config;
    const chain = [
      { class_name: 'InputLayer', name: 'in', config: { batch_input_shape, name: 'in' }, inbound_nodes: [] },
      ...[first!, ...rest].map((layer, i, all) => ({
        ...layer,
        name: layer.config.name,
        inbound_nodes: [[[i === 0 ? 'in' : all[i - 1]!.config.name, 0, 0, {}]]],
      })),
    ];
    const functional = { class_name: 'Functional', config: { name: 'm', layers: chain } };
    const learner = await begun({ json: { ...json, modelTopology: { model_config: functional } }, weights });
    expect(learner.snapshot().tensors.map(({ data }) => data)).toEqual(
      (await begun(plain.saved)).snapshot().tensors.map(({ data }) => data),
    );
    chain[3]!.inbound_nodes = [[['in', 0, 0, {}]]];
    await expect(begun({ json: { ...json, modelTopology: functional }, weights })).rejects.toThrow('not one chain');
    learner.dispose();
  });

  it.each<[string, (saved: { json: Json; weights: Uint8Array }) => unknown, RegExp]>([
    ['has too few bytes of weights', (it) => (it.weights = it.weights.slice(4)), /files end within weight/],
    [
      'has too many bytes of weights',
      (it) => (it.weights = Buffer.concat([it.weights, Buffer.alloc(4)])),
      /go on after/,
    ],
    ['has a weight that is not finite', (it) => it.weights.fill(0xff, 0, 4), /not finite/],
    ['has a weight too few', (it) => weightsIn(it.json).pop(), /files go on after|has no weight/],
    [
      'has weights of another shape',
      (it) => Object.assign(weightsIn(it.json)[0]!, { shape: [12, 64] }),
      /of another model/,
    ],
    [
      'has a weight of no layer',
      (it) => Object.assign(weightsIn(it.json)[0]!, { name: 'other/kernel' }),
      /belongs to no layer/,
    ],
    [
      'has quantised weights',
      (it) => Object.assign(weightsIn(it.json)[0]!, { quantization: { dtype: 'uint8' } }),
      /quantised/,
    ],
    [
      'has weights of another type',
      (it) => Object.assign(weightsIn(it.json)[0]!, { dtype: 'int32' }),
      /int32, not float32/,
    ],
    [
      'has weights of a vast shape',
      (it) => Object.assign(weightsIn(it.json)[0]!, { shape: [2 ** 31, 2 ** 31] }),
      /files end within/,
    ],
    [
      'has layers of a vast size',
      (it) => Object.assign(layersIn(it.json)[0]!.config, { units: 1e9 }),
      /weights up to layer 0 \(Dense\), the limit/,
    ],
    [
      'has an unknown layer',
      (it) => Object.assign(layersIn(it.json)[0]!, { class_name: 'Lambda' }),
      /Layer Lambda is not known/,
    ],
    [
      'takes other records',
      (it) => (layersIn(it.json)[0]!.config.batch_input_shape = [null, 63]),
      /takes records of \[63\], the data have 64/,
    ],
    ['does not say what it takes', (it) => delete layersIn(it.json)[0]!.config.batch_input_shape, /batch_input_shape/],
    ['has no topology', (it) => delete it.json.modelTopology, /modelTopology/],
  ])('that %s is refused with what is wrong', async (_, change, says) => {
    const changed = copyOf(plain.saved);
    change(changed);
    const problem = await begun(changed).catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(ModelError);
    expect((problem as Error).message).toMatch(says);
  });

  it('is read or refused with a ModelError, whatever the bytes are', () => {
    const good = files(plain.saved);
    const text = Buffer.from(good.json).toString();
    const changed = fc
      .record({
        at: fc.nat(text.length - 1),
        drop: fc.nat(40),
        put: fc.constantFrom('', '0', '-1', '"x"', '[]', '{}', 'null', '1e9'),
      })
      .map(({ at, drop, put }) => Buffer.from(text.slice(0, at) + put + text.slice(at + drop)));
    const values = fc.json().map((json) => Buffer.from(json));
    fc.assert(
      fc.property(fc.oneof(changed, values), (json) => {
        try {
          startOf({ ...good, json }, 64);
        } catch (error) {
          if (!(error instanceof ModelError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('loadStart', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'start-'));
  });
  afterAll(() => rm(folder, { recursive: true }));
  const noFetch: FetchLike = () => Promise.reject(new Error('no network here'));
  const claim = { claimName: 'models', path: 'digits/model.json' };

  async function written(saved: Saved): Promise<string> {
    const { json, weights } = files(saved);
    await mkdir(path.join(folder, 'digits'), { recursive: true });
    await writeFile(path.join(folder, 'digits/model.json'), json);
    await writeFile(path.join(folder, 'digits/w1.bin'), weights.subarray(0, 100));
    await writeFile(path.join(folder, 'digits/w2.bin'), weights.subarray(100));
    // As people do it: cat model.json w1.bin w2.bin | sha256sum
    return createHash('sha256').update(json).update(weights).digest('hex');
  }

  it('reads model.json and the files that it names from a claim, and checks them together', async () => {
    const sha256 = await written(plain.saved);
    const start = await loadStart({ claim, sha256 }, { fetch: noFetch, claim: folder });
    const expected = files(plain.saved);
    expect(Buffer.from(start.json).equals(expected.json)).toBe(true);
    expect(Buffer.from(start.weights).equals(expected.weights)).toBe(true);
    const problem = await loadStart({ claim, sha256: SHA }, { fetch: noFetch, claim: folder }).catch((error) => error);
    expect(problem).toMatchObject({ reason: 'DataDigestMismatch', message: expect.stringContaining(sha256) });
  });

  it('reads them from a URL', async () => {
    const { json, weights } = files(plain.saved);
    const sha256 = createHash('sha256').update(json).update(weights).digest('hex');
    const asked: string[] = [];
    const fetch: FetchLike = async (url) => {
      asked.push(url);
      const bytes = { 'model.json': json, 'w1.bin': weights.subarray(0, 8), 'w2.bin': weights.subarray(8) }[
        url.split('/').at(-1) ?? ''
      ];
      return {
        ok: true,
        status: 200,
        body: (async function* () {
          yield Buffer.from(bytes ?? []);
        })(),
      };
    };
    const url = 'https://example.test/model/model.json';
    const start = await loadStart({ url, sha256 }, { fetch });
    expect(start.weights.length).toBe(weights.length);
    expect(asked).toEqual([url, 'https://example.test/model/w1.bin', 'https://example.test/model/w2.bin']);
  });

  it.each(['../secret.bin', '/etc/passwd', 'https://elsewhere.test/w.bin', 'a/../../b', '.hidden'])(
    'reads nothing at %s, wherever model.json points',
    async (outside) => {
      const { json, weights } = copyOf(plain.saved);
      (json.weightsManifest as { paths: string[] }[])[0]!.paths = [outside];
      const sha256 = await written({ json, weights });
      const problem = await loadStart({ claim, sha256 }, { fetch: noFetch, claim: folder }).catch((error) => error);
      expect(problem).toBeInstanceOf(ModelError);
      expect(problem.message).toContain('which is not beside it');
    },
  );

  it('says which file is missing, and refuses what is too large or no JSON', async () => {
    const sha256 = await written(plain.saved);
    await rm(path.join(folder, 'digits/w2.bin'));
    const from = { claim, sha256 };
    const context = { fetch: noFetch, claim: folder };
    const missing = await loadStart(from, context).catch((error) => error);
    expect(missing).toBeInstanceOf(DataError);
    expect(missing.message).toContain('digits/w2.bin cannot be read');
    await writeFile(path.join(folder, 'digits/model.json'), 'hello');
    await expect(loadStart(from, context)).rejects.toThrow('is no JSON');
    await writeFile(path.join(folder, 'digits/model.json'), Buffer.alloc(5 * 1024 * 1024, 0x20));
    await expect(loadStart(from, context)).rejects.toThrow('more than 4 MiB');
    await expect(loadStart(from, { fetch: noFetch })).rejects.toThrow('not mounted');
  });
});
