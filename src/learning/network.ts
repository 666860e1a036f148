import type { Optimizer, Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Backend } from './backend.ts';
import { type Layout, layoutOf } from './layout.ts';
import type { LearnableModelSpec } from './spec.ts';

/**
 * The TensorFlow side of a model: its variables, one step of training, its logits. Weights go in and out as flat
 * arrays; merging, averaging and compression are done on those, where they cost microseconds. Leaves no tensor behind.
 */
export class Network {
  readonly layout: Layout;
  readonly #backend: Backend;
  readonly #model: LayersModel;
  readonly #variables: readonly Variable[];
  readonly #trainable: Variable[];
  readonly #optimizer: Optimizer;
  readonly #columns: number;
  readonly #classes: number;

  constructor(
    backend: Backend,
    model: LayersModel,
    optimizer: LearnableModelSpec['learning']['optimizer'],
    columns: number,
    classes: number,
  ) {
    this.#backend = backend;
    this.#model = model;
    this.#columns = columns;
    this.#classes = classes;
    const weights = model.layers.flatMap((layer) =>
      layer.weights.map((weight) => ({
        name: `${layer.name}/${weight.originalName.split('/').at(-1)}`,
        shape: weight.shape.map((side) => side ?? 1),
        variable: weight.read() as Variable,
      })),
    );
    this.layout = layoutOf(weights);
    this.#variables = weights.map((weight) => weight.variable);
    this.#trainable = model.trainableWeights.map((weight) => weight.read() as Variable);
    const rate = Number(optimizer.learningRate);
    this.#optimizer = optimizer.name === 'adam' ? backend.core.train.adam(rate) : backend.core.train.sgd(rate);
  }

  /** Takes over flat weights. */
  write(flat: Float32Array): void {
    this.layout.slots.forEach(({ shape, offset, length }, i) => {
      // The copy matters: a backend may keep the array as its own.
      const value = this.#backend.core.tensor(flat.slice(offset, offset + length), [...shape], 'float32');
      this.#variables[i]?.assign(value);
      value.dispose();
    });
  }

  /** Copies the weights out. */
  read(into: Float32Array): void {
    this.layout.slots.forEach(({ offset }, i) => {
      const values = this.#variables[i]?.dataSync();
      if (values !== undefined) into.set(values, offset);
    });
  }

  /** One step on rows of scaled features; gives the mean cross-entropy before it. */
  step(features: Float32Array, labels: Int32Array): number {
    const { core } = this.#backend;
    const rows = labels.length;
    return core.tidy(() => {
      const inputs = core.tensor2d(features, [rows, this.#columns]);
      const targets = core.tensor2d(this.#oneHot(labels), [rows, this.#classes]);
      const { value, grads } = core.variableGrads(() => {
        const logits = this.#model.apply(inputs, { training: true }) as Tensor;
        return core.div(core.sum(core.mul(targets, core.logSoftmax(logits))), -rows) as Scalar;
      }, this.#trainable);
      this.#optimizer.applyGradients(grads);
      return value.dataSync()[0] ?? Number.NaN;
    });
  }

  /** Logits of rows of scaled features, classes of them a row. */
  logits(features: Float32Array): Float32Array {
    const { core } = this.#backend;
    return core.tidy(() => {
      const inputs = core.tensor2d(features, [features.length / this.#columns, this.#columns]);
      return (this.#model.apply(inputs, { training: false }) as Tensor).dataSync() as Float32Array;
    });
  }

  dispose(): void {
    this.#optimizer.dispose();
    this.#model.dispose();
  }

  #oneHot(labels: Int32Array): Float32Array {
    const targets = new Float32Array(labels.length * this.#classes);
    labels.forEach((label, i) => {
      targets[i * this.#classes + label] = 1;
    });
    return targets;
  }
}
