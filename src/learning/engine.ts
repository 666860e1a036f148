import type { Optimizer, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { buildModel } from './architecture.ts';
import { RunningAverage } from './average.ts';
import type { Backend } from './backend.ts';
import type { Evaluation, MergeOutcome, ModelInit, PartitionSlot, Snapshot } from './contract.ts';
import type { Dataset } from './dataset.ts';
import { BadInputError, ModelError } from './errors.ts';
import { decodeFrame, encodeFrame, maxFrameBytes } from './frame.ts';
import { ProbeGate } from './gate.ts';
import { allFinite, fromTensors, type Layout, layoutOf, toTensors } from './layout.ts';
import { relativeDistance } from './merge.ts';
import { type Random, seeded, seedOf, shuffle } from './random.ts';
import { applyScaling, partitionRows, probeRows, type Rows, type Scaling, scalingOf, splitRows } from './split.ts';
import { createStrategy, type Strategy } from './strategy.ts';
import { prepareData } from './tables.ts';

/** Rows that go through the model at once outside of training. */
const EVALUATION_BATCH = 512;
/** Records of one predict call. */
export const MAX_INSTANCES = 4096;
/** Share of a received model from which one's own past counts for nothing: a newcomer takes over the fleet's. */
const TAKEOVER_SHARE = 0.9;

export interface EngineInit {
  readonly model: ModelInit;
  readonly partition: PartitionSlot;
  readonly data: Uint8Array;
  readonly ownData?: Uint8Array | undefined;
  readonly resume?: Snapshot | undefined;
}

/** Rows of a table that serve one purpose. */
interface Sample {
  readonly table: Dataset;
  readonly rows: Rows;
}

/**
 * One model in training, on this thread. `live` weights are trained, sent and merged; their running average is
 * evaluated, served and saved (see average.ts). Every method is synchronous and leaves no tensor behind.
 */
export class Engine {
  readonly #backend: Backend;
  readonly #init: EngineInit;
  readonly #model: LayersModel;
  readonly #variables: readonly Variable[];
  readonly #trainable: Variable[];
  readonly #optimizer: Optimizer;
  readonly #layout: Layout;
  readonly #strategy: Strategy;
  readonly #gate: ProbeGate;
  readonly #random: Random;
  readonly #test: Sample;
  readonly #probe: Sample;
  readonly #trainTable: Dataset;
  readonly #trainRows: Rows;
  readonly #scaling: Scaling;
  readonly #classes: number;
  readonly #live: Float32Array;
  #average: RunningAverage;
  #age: number;
  /** Rows of one's own part, in the order of the present epoch, and how many of them were used. */
  #part: Rows;
  #used: number;

  private constructor(backend: Backend, init: EngineInit, tables: ReturnType<typeof prepareData>, model: LayersModel) {
    const { spec, uid, probeSeed } = init.model;
    const { shared, own } = tables;
    this.#backend = backend;
    this.#init = init;
    this.#model = model;
    this.#classes = shared.classes;
    const weights = model.layers.flatMap((layer) =>
      layer.weights.map((weight) => ({
        name: `${layer.name}/${weight.originalName.split('/').at(-1)}`,
        shape: weight.shape.map((side) => side ?? 1),
        variable: weight.read() as Variable,
      })),
    );
    this.#layout = layoutOf(weights);
    this.#variables = weights.map((weight) => weight.variable);
    this.#trainable = model.trainableWeights.map((weight) => weight.read() as Variable);
    const { name, learningRate } = spec.learning.optimizer;
    const rate = Number(learningRate);
    this.#optimizer = name === 'adam' ? backend.core.train.adam(rate) : backend.core.train.sgd(rate);
    this.#strategy = createStrategy(spec.learning);
    this.#gate = new ProbeGate(shared.classes);
    // Validators of one model draw different mini-batches.
    this.#random = seeded(seedOf(`${uid}/${init.partition.index}/${init.resume?.age ?? 0}`));

    const split = splitRows(shared.rows, spec.data.split);
    this.#test = { table: shared, rows: split.test };
    this.#probe = { table: shared, rows: probeRows(split.train, probeSeed) };
    this.#scaling = scalingOf(shared, split.train, tables.scale);
    applyScaling(shared.features, this.#scaling);
    if (own !== undefined) applyScaling(own.features, this.#scaling);
    this.#trainTable = own ?? shared;
    this.#trainRows = own === undefined ? split.train : Int32Array.from({ length: own.rows }, (_, row) => row);
    this.#part = this.#partOf(init.partition);
    this.#used = this.#part.length;

    this.#live = new Float32Array(this.#layout.size);
    this.#read();
    this.#age = 0;
    this.#average = new RunningAverage(this.#live, false);
    if (init.resume !== undefined) this.load(init.resume);
  }

  /** @throws DataError, ModelError,  */
  static async create(backend: Backend, init: EngineInit): Promise<Engine> {
    const tables = prepareData(init);
    const { uid, spec } = init.model;
    const { columns, classes } = tables.shared;
    const model = await buildModel(backend, spec.architecture, columns, classes, seedOf(uid));
    try {
      return new Engine(backend, init, tables, model);
    } catch (error) {
      model.dispose();
      throw error;
    }
  }

  get age(): number {
    return this.#age;
  }

  get maxMessageBytes(): number {
    return maxFrameBytes(this.#layout);
  }

  /** See Learner.update. @throws ModelError when training diverged; weights and age are then as before the call */
  update(): { readonly age: number; readonly loss: number } {
    const { localSteps, optimizer } = this.#init.model.spec.learning;
    if (this.#age > 0) this.#average.observe(this.#live);
    this.#write(this.#live);
    let sum = 0;
    for (let step = 0; step < localSteps; step++) sum += this.#trainStep();
    const before = this.#live.slice();
    this.#read();
    if (!Number.isFinite(sum) || !allFinite(this.#live)) {
      this.#live.set(before);
      throw new ModelError(
        `Training of model ${this.#init.model.name} diverged at age ${this.#age}: the loss is no longer a number. ` +
          `Set learning.optimizer.learningRate below ${optimizer.learningRate}.`,
      );
    }
    this.#age += localSteps;
    return { age: this.#age, loss: sum / localSteps };
  }

  message(): Uint8Array {
    const own = this.#strategy.outgoing({ flat: this.#live, age: this.#age });
    const codec = this.#init.model.spec.learning.compression.bits === 8 ? 'int8' : 'f32';
    return encodeFrame(this.#init.model.uid, own, this.#layout, codec);
  }

  merge(bytes: Uint8Array): MergeOutcome {
    const refused = { age: this.#age, accepted: false, distance: Number.NaN };
    const decoded = decodeFrame(bytes, this.#init.model.uid, this.#layout);
    if (!decoded.isValid) {
      return { ...refused, reason: decoded.reason, lossBefore: Number.NaN, lossAfter: Number.NaN };
    }
    const received = decoded.weights;
    const distance = relativeDistance(this.#live, received.flat);
    const lossBefore = this.#measure(this.#live, this.#probe).loss;
    const lossAfter = this.#measure(received.flat, this.#probe).loss;
    const outcome = { age: this.#age, distance, lossBefore, lossAfter };
    const own = { flat: this.#live, age: this.#age };
    const share = this.#strategy.share(own, received);
    const limit = this.#gate.limit(lossBefore, share);
    // NaN and Infinity are above every limit.
    if (!(lossAfter <= limit)) {
      const found = `its loss on the shared probe is ${lossAfter.toPrecision(3)}, the limit is ${limit.toPrecision(3)}`;
      return { ...outcome, accepted: false, reason: `Message refused: ${found}.` };
    }
    this.#gate.accept(lossAfter, share);
    this.#age = this.#strategy.merge(own, received);
    if (share >= TAKEOVER_SHARE) this.#average.restart(this.#live);
    return { ...outcome, age: this.#age, accepted: true };
  }

  evaluate(): Evaluation {
    return this.#measure(this.#average.flat, this.#test);
  }

  snapshot(): Snapshot {
    return { age: this.#age, tensors: toTensors(this.#average.flat, this.#layout) };
  }

  load(snapshot: Snapshot): void {
    const flat = fromTensors(snapshot.tensors, this.#layout);
    if (!Number.isSafeInteger(snapshot.age) || snapshot.age < 0) {
      throw new ModelError(`The weights have age ${snapshot.age}; an age is a whole number of updates.`);
    }
    this.#live.set(flat);
    this.#age = snapshot.age;
    this.#average = new RunningAverage(flat, snapshot.age > 0);
  }

  score(snapshot: Snapshot): Evaluation {
    return this.#measure(fromTensors(snapshot.tensors, this.#layout), this.#probe);
  }

  predict(instances: readonly (readonly number[])[]): number[][] {
    const features = this.#checkInstances(instances);
    applyScaling(features, this.#scaling);
    this.#write(this.#average.flat);
    const logits = this.#forward(features, instances.length);
    return instances.map((_, i) => softmax(logits.subarray(i * this.#classes, (i + 1) * this.#classes)));
  }

  repartition(slot: PartitionSlot): void {
    this.#part = this.#partOf(slot);
    this.#used = this.#part.length;
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#model.dispose();
  }

  #partOf(slot: PartitionSlot): Rows {
    return partitionRows(this.#trainRows, this.#trainTable.labels, this.#init.model.spec.data.partition, slot).slice();
  }

  /** Puts flat weights into the model's variables. */
  #write(flat: Float32Array): void {
    this.#layout.slots.forEach(({ shape, offset, length }, i) => {
      // The copy matters: a backend may keep the array as its own.
      const value = this.#backend.core.tensor(flat.slice(offset, offset + length), [...shape], 'float32');
      this.#variables[i]?.assign(value);
      value.dispose();
    });
  }

  /** Takes the model's variables into `live`. */
  #read(): void {
    this.#layout.slots.forEach(({ offset }, i) => {
      const values = this.#variables[i]?.dataSync();
      if (values !== undefined) this.#live.set(values, offset);
    });
  }

  #trainStep(): number {
    const { core } = this.#backend;
    const size = Math.min(this.#init.model.spec.learning.batchSize, this.#part.length);
    if (this.#used + size > this.#part.length) {
      shuffle(this.#part, this.#random);
      this.#used = 0;
    }
    const rows = this.#part.subarray(this.#used, this.#used + size);
    this.#used += size;
    const table = this.#trainTable;
    return core.tidy(() => {
      const inputs = this.#inputTensor(gather(table, rows), size);
      const targets = core.tensor2d(this.#oneHot(table.labels, rows), [size, this.#classes]);
      const { value, grads } = core.variableGrads(() => {
        const logits = this.#model.apply(inputs, { training: true }) as Tensor;
        return core.div(core.sum(core.mul(targets, core.logSoftmax(logits))), -size) as Scalar;
      }, this.#trainable);
      this.#optimizer.applyGradients(grads);
      return value.dataSync()[0] ?? Number.NaN;
    });
  }

  #oneHot(labels: Int32Array, rows: Rows): Float32Array {
    const targets = new Float32Array(rows.length * this.#classes);
    rows.forEach((row, i) => {
      targets[i * this.#classes + (labels[row] as number)] = 1;
    });
    return targets;
  }

  #inputTensor(features: Float32Array, rows: number): Tensor {
    return this.#backend.core.tensor(features, [rows, this.#scaling.offset.length], 'float32');
  }

  /** Logits of rows of scaled features, by the weights that are in the variables. */
  #forward(features: Float32Array, rows: number): Float32Array {
    return this.#backend.core.tidy(() => {
      const logits = this.#model.apply(this.#inputTensor(features, rows), { training: false }) as Tensor;
      return logits.dataSync() as Float32Array;
    });
  }

  #measure(flat: Float32Array, { table, rows }: Sample): Evaluation {
    this.#write(flat);
    let loss = 0;
    let right = 0;
    for (let start = 0; start < rows.length; start += EVALUATION_BATCH) {
      const batch = rows.subarray(start, start + EVALUATION_BATCH);
      const logits = this.#forward(gather(table, batch), batch.length);
      batch.forEach((row, i) => {
        const of = logits.subarray(i * this.#classes, (i + 1) * this.#classes);
        const label = table.labels[row] as number;
        loss += logSumExp(of) - (of[label] as number);
        if (greatest(of) === label) right++;
      });
    }
    return { loss: loss / rows.length, accuracy: right / rows.length };
  }

  #checkInstances(instances: readonly (readonly number[])[]): Float32Array {
    const columns = this.#scaling.offset.length;
    if (!Array.isArray(instances) || instances.length === 0) {
      throw new BadInputError('instances must be a list of at least one record: {"instances": [[...], ...]}.');
    }
    if (instances.length > MAX_INSTANCES) {
      throw new BadInputError(
        `${instances.length} instances are too many for one request: send at most ${MAX_INSTANCES}.`,
      );
    }
    const features = new Float32Array(instances.length * columns);
    instances.forEach((instance, i) => {
      if (!Array.isArray(instance) || instance.length !== columns) {
        const found = Array.isArray(instance) ? `${instance.length} numbers` : typeof instance;
        throw new BadInputError(`Instance ${i} has ${found}; model ${this.#init.model.name} takes ${columns} numbers.`);
      }
      instance.forEach((value, c) => {
        if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) {
          throw new BadInputError(`Instance ${i} has something else than a finite number at position ${c}.`);
        }
        features[i * columns + c] = value;
      });
    });
    return features;
  }
}

function gather(table: Dataset, rows: Rows): Float32Array {
  const { columns, features } = table;
  const gathered = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    gathered.set(features.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return gathered;
}

function greatest(values: Float32Array): number {
  let at = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[at] as number)) at = i;
  return at;
}

function logSumExp(logits: Float32Array): number {
  const top = logits[greatest(logits)] as number;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - top);
  return top + Math.log(sum);
}

function softmax(logits: Float32Array): number[] {
  const total = logSumExp(logits);
  return Array.from(logits, (logit) => Math.exp(logit - total));
}
