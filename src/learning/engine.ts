import { tmpdir } from 'node:os';
import { buildModel, vocabularyOf } from './architecture.ts';
import type { Backend } from './backend.ts';
import type {
  BlendTerms,
  DataFile,
  Evaluation,
  LentRows,
  MergeOutcome,
  ModelInit,
  ModelInput,
  PartitionSlot,
  Sender,
  Snapshot,
  StartModel,
} from './contract.ts';
import { type DataLimits, DEFAULT_DATA_LIMITS } from './data-limits.ts';
import type { Dataset } from './dataset.ts';
import { ModelError } from './errors.ts';
import { Guard } from './guard.ts';
import { featuresOf } from './instances.ts';
import { joined } from './joined.ts';
import { allFinite, fromTensors, toTensors } from './layout.ts';
import { Lending } from './lent.ts';
import { crossEntropy, greatest, hinge, softmax } from './logits.ts';
import { Network } from './network.ts';
import { Participant } from './participant.ts';
import { type Random, seeded, seedOf } from './random.ts';
import { Batches, Sample } from './sample.ts';
import {
  applyScaling,
  givenScaling,
  partitionRows,
  probeRows,
  type Rows,
  type Scaling,
  scalingOf,
  splitRows,
} from './split.ts';
import { type Start, startOf } from './start-model.ts';
import { createStrategy, guardTermsOf, packingOf } from './strategies.ts';
import type { Way } from './strategy.ts';
import { prepareData, type Tables } from './tables.ts';
import { checkTokens } from './tokens.ts';
import type { Trainee } from './trainee.ts';

/** Rows that go through the model at once outside of training. */
const EVALUATION_BATCH = 512;

export interface EngineInit {
  readonly model: ModelInit;
  readonly partition: PartitionSlot;
  readonly data: DataFile;
  readonly ownData?: DataFile | undefined;
  readonly start?: StartModel | undefined;
  readonly scaling?: ModelInput['scaling'] | undefined;
  readonly scratch?: string | undefined;
  readonly limits?: DataLimits | undefined;
  readonly resume?: Snapshot | undefined;
}

/**
 * One model in training, on this thread: a participant whose trainee is a TensorFlow.js network on the spec's data.
 * Every method is synchronous.
 */
export class Engine {
  readonly #model: ModelInit;
  readonly #network: Network;
  readonly #random: Random;
  readonly #classes: number;
  readonly #vocabulary: number | undefined;
  readonly #loss: (logits: Float32Array, label: number) => number;
  readonly #scaling: Scaling;
  readonly #test: Sample;
  readonly #probe: Sample;
  readonly #tables: Tables;
  readonly #trainTable: Dataset;
  readonly #trainRows: Rows;
  readonly #lending: Lending;
  readonly #participant: Participant;
  #partition: PartitionSlot;
  #lent: Dataset | undefined;
  #batches: Batches;

  private constructor(network: Network, init: EngineInit, tables: Tables) {
    const { shared, own, scale } = tables;
    const { spec, uid, probeSeed } = init.model;
    this.#tables = tables;
    this.#model = init.model;
    this.#network = network;
    this.#vocabulary = vocabularyOf(spec.architecture);
    this.#loss = spec.architecture.preset === 'pegasos' ? hinge : crossEntropy;
    // Validators of one model draw different mini-batches.
    this.#random = seeded(seedOf(`${uid}/${init.partition.index}/${init.resume?.age ?? 0}`));
    this.#classes = shared.classes;

    const split = splitRows(shared.rows, spec.data.split);
    this.#scaling =
      init.scaling === undefined
        ? scalingOf(shared, split.train, this.#vocabulary === undefined ? scale : 1)
        : givenScaling(init.scaling, shared.columns, init.model.name);
    this.#test = new Sample(shared, split.test, this.#scaling);
    this.#probe = new Sample(shared, probeRows(split.train, probeSeed), this.#scaling);
    this.#trainTable = own ?? shared;
    this.#trainRows = own === undefined ? split.train : Int32Array.from({ length: own.rows }, (_, row) => row);
    this.#lending = new Lending({
      model: init.model.name,
      table: this.#trainTable,
      scaling: this.#scaling,
      vocabulary: this.#vocabulary,
    });
    this.#partition = init.partition;
    this.#batches = this.#batchesOf(init.partition);

    const start = new Float32Array(network.layout.size);
    network.read(start);
    const trainee: Trainee = {
      layout: network.layout,
      guessing: this.#loss(new Float32Array(shared.classes), 0),
      train: (weights, age) => this.#train(weights, age),
      probe: (weights) => this.#measure(weights, this.#probe).loss,
    };
    this.#participant = new Participant({
      uid,
      trainee,
      start,
      strategy: createStrategy(spec.learning, network.layout.size),
      packing: packingOf(spec.learning.compression),
      guard: new Guard(trainee, guardTermsOf(spec)),
    });
    if (init.resume !== undefined) this.load(init.resume);
  }

  /** @throws DataError, ModelError */
  static async create(backend: Backend, given: EngineInit): Promise<Engine> {
    const { limits = DEFAULT_DATA_LIMITS, scratch = tmpdir() } = given;
    const tables = await prepareData(given, { limits, scratch });
    let network: Network | undefined;
    try {
      const { shared } = tables;
      const { init, start } = begun(given, shared.columns);
      const { spec, uid } = init.model;
      checkTokens(tables, spec);
      // A model to go on from arranges records itself.
      const record = start === undefined ? shared : { columns: shared.columns };
      const model = await buildModel(backend, spec.architecture, record, shared.classes, seedOf(uid));
      network = new Network(backend, model, spec, shared.columns, shared.classes);
      if (start !== undefined) network.write(start.flat(network.layout));
      return new Engine(network, init, tables);
    } catch (error) {
      network?.dispose();
      tables.shared.close();
      tables.own?.close();
      throw error;
    }
  }

  get age(): number {
    return this.#participant.own.age;
  }

  get maxMessageBytes(): number {
    return this.#participant.maxMessageBytes;
  }

  get input(): ModelInput {
    const { offset, factor } = this.#scaling;
    const [one = 1] = factor;
    const isUniform = offset.every((value) => value === 0) && factor.every((value) => value === one);
    const scaling = isUniform ? { factor: one } : { factor: [...factor], offset: [...offset] };
    const { shape } = this.#tables.shared;
    const { from, layers } = this.#model.spec.architecture;
    const arranged = from === undefined ? (shape.length > 1 ? { shape } : {}) : { layers };
    return { columns: offset.length, ...arranged, scaling };
  }

  /** See Learner.update. @throws ModelError when training diverged; weights and age are then as before the call */
  update(): { readonly age: number; readonly loss: number } {
    return this.#participant.update();
  }

  message(way?: Way): Uint8Array | undefined {
    return this.#participant.message(way);
  }

  merge(bytes: Uint8Array, sender?: Sender): MergeOutcome {
    return this.#participant.merge(bytes, sender);
  }

  frame(): Uint8Array {
    return this.#participant.frame();
  }

  blend(bytes: Uint8Array, terms: BlendTerms): MergeOutcome {
    return this.#participant.blend(bytes, terms);
  }

  adopt(bytes: Uint8Array): void {
    this.#participant.adopt(bytes);
  }

  evaluate(): Evaluation {
    return this.#measure(this.#participant.average, this.#test);
  }

  snapshot(): Snapshot {
    return { age: this.age, tensors: toTensors(this.#participant.average, this.#network.layout) };
  }

  load(snapshot: Snapshot): void {
    const flat = fromTensors(snapshot.tensors, this.#network.layout);
    if (!Number.isSafeInteger(snapshot.age) || snapshot.age < 0) {
      throw new ModelError(`The weights have age ${snapshot.age}; an age is a whole number of updates.`);
    }
    this.#participant.load(flat, snapshot.age);
  }

  score(snapshot: Snapshot): Evaluation {
    return this.#measure(fromTensors(snapshot.tensors, this.#network.layout), this.#probe);
  }

  predict(instances: readonly (readonly number[])[]): number[][] {
    const { columns } = this.#tables.shared;
    const shape = { model: this.#model.name, columns, vocabulary: this.#vocabulary };
    const features = featuresOf(instances, shape);
    applyScaling(features, this.#scaling);
    this.#network.write(this.#participant.average);
    const logits = this.#network.logits(features);
    return instances.map((_, i) => softmax(this.#row(logits, i)));
  }

  repartition(slot: PartitionSlot): void {
    this.#batches = this.#batchesOf(slot);
    this.#partition = slot;
  }

  lend(rows: LentRows | undefined): void {
    this.#lent = rows === undefined || rows.labels.length === 0 ? undefined : this.#lending.tableOf(rows);
    this.#batches = this.#batchesOf(this.#partition);
  }

  dispose(): void {
    this.#network.dispose();
    this.#tables.shared.close();
    this.#tables.own?.close();
  }

  #train(weights: Float32Array, age: number): { readonly steps: number; readonly loss: number } {
    const { localSteps, optimizer } = this.#model.spec.learning;
    this.#network.write(weights);
    let sum = 0;
    for (let step = 0; step < localSteps; step++) {
      const { features, labels } = this.#batches.next();
      sum += this.#network.step(features, labels, age + step + 1);
    }
    const trained = new Float32Array(weights.length);
    this.#network.read(trained);
    if (!Number.isFinite(sum) || !allFinite(trained)) {
      throw new ModelError(
        `Training of model ${this.#model.name} diverged at age ${age}: the loss is no longer a number. ` +
          `Set learning.optimizer.learningRate below ${optimizer.learningRate}.`,
      );
    }
    weights.set(trained);
    return { steps: localSteps, loss: sum / localSteps };
  }

  #batchesOf(slot: PartitionSlot): Batches {
    const { data, learning } = this.#model.spec;
    const rows = partitionRows(this.#trainRows, this.#trainTable.labels, data.partition, slot);
    const [table, all] =
      this.#lent === undefined
        ? [this.#trainTable, rows]
        : [joined(this.#trainTable, this.#lent), withLast(rows, this.#trainTable.rows, this.#lent.rows)];
    return new Batches(table, all, this.#scaling, learning.batchSize, this.#random);
  }

  #measure(flat: Float32Array, sample: Sample): Evaluation {
    this.#network.write(flat);
    let loss = 0;
    let right = 0;
    for (let start = 0; start < sample.size; start += EVALUATION_BATCH) {
      const { features, labels } = sample.slice(start, start + EVALUATION_BATCH);
      const logits = this.#network.logits(features);
      labels.forEach((label, i) => {
        const row = this.#row(logits, i);
        loss += this.#loss(row, label);
        if (greatest(row) === label) right++;
      });
    }
    return { loss: loss / sample.size, accuracy: right / sample.size };
  }

  #row(logits: Float32Array, row: number): Float32Array {
    return logits.subarray(row * this.#classes, (row + 1) * this.#classes);
  }
}

/** The spec with the layers of the model that is the start, where it names one. */
function begun(init: EngineInit, columns: number): { readonly init: EngineInit; readonly start?: Start } {
  const { from } = init.model.spec.architecture;
  if (from === undefined) return { init };
  if (init.start === undefined) throw new ModelError('The model of architecture.from was not loaded. Restart the pod.');
  const start = startOf(init.start, columns);
  const architecture = { ...start.architecture, from };
  return { init: { ...init, model: { ...init.model, spec: { ...init.model.spec, architecture } } }, start };
}

/** Row numbers, and so many more from `end` on. */
function withLast(rows: Rows, end: number, more: number): Rows {
  const all = new Int32Array(rows.length + more);
  all.set(rows);
  for (let i = 0; i < more; i++) all[rows.length + i] = end + i;
  return all;
}
