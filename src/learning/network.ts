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
  readonly #optimizer: Optimizer | Pegasos;
  readonly #columns: number;
  readonly #classes: number;

  constructor(
    backend: Backend,
    model: LayersModel,
    spec: Pick<LearnableModelSpec, 'architecture' | 'learning'>,
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
    const { optimizer } = spec.learning;
    const rate = Number(optimizer.learningRate);
    if (spec.architecture.preset === 'pegasos') this.#optimizer = new Pegasos(backend, spec.architecture.lambda);
    else this.#optimizer = optimizer.name === 'adam' ? backend.core.train.adam(rate) : backend.core.train.sgd(rate);
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

  /** One step on rows of scaled features, the `age`-th of the model; gives the mean loss before it. */
  step(features: Float32Array, labels: Int32Array, age: number): number {
    const { core } = this.#backend;
    const rows = labels.length;
    return core.tidy(() => {
      const inputs = core.tensor2d(features, [rows, this.#columns]);
      const targets = core.tensor2d(this.#oneHot(labels), [rows, this.#classes]);
      const { value, grads } = core.variableGrads(() => {
        const logits = this.#model.apply(inputs, { training: true }) as Tensor;
        return this.#optimizer instanceof Pegasos
          ? this.#optimizer.loss(logits, targets)
          : (core.div(core.sum(core.mul(targets, core.logSoftmax(logits))), -rows) as Scalar);
      }, this.#trainable);
      if (this.#optimizer instanceof Pegasos) this.#optimizer.step(this.#trainable, grads, age);
      else this.#optimizer.applyGradients(grads);
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
    if (!(this.#optimizer instanceof Pegasos)) this.#optimizer.dispose();
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

const DEFAULT_LAMBDA = '0.0001';

/**
 * Pegasos, primal sub-gradient descent for a linear support vector machine (Shalev-Shwartz, Singer, Srebro 2007), as
 * gossip learning runs it: t is the model's age. With the step 1 / (lambda t) on lambda/2 |w|^2 + hinge loss,
 * w <- (1 - 1/t) w + 1/(lambda t) mean(y x) over the records within the margin; then |w| is held to 1/sqrt(lambda).
 * The model has one weight vector a class, w/2 and -w/2, so that it gives one number a class as all models do.
 */
class Pegasos {
  readonly #core: Backend['core'];
  readonly #lambda: number;

  constructor({ core }: Backend, lambda: string = DEFAULT_LAMBDA) {
    this.#core = core;
    this.#lambda = Number(lambda);
  }

  /** Mean hinge loss of two logits a record. @param targets one-hot labels */
  loss(logits: Tensor, targets: Tensor): Scalar {
    const core = this.#core;
    // +1 for the label, -1 for the other class.
    const margins = core.sum(core.mul(logits, core.sub(core.mul(targets, 2), 1)), -1);
    return core.mean(core.relu(core.sub(1, margins))) as Scalar;
  }

  step(weights: readonly Variable[], gradients: Readonly<Record<string, Tensor>>, age: number): void {
    const core = this.#core;
    const longest = 1 / Math.sqrt(2 * this.#lambda);
    for (const weight of weights) {
      const gradient = gradients[weight.name];
      if (gradient === undefined) continue;
      const moved = core.sub(core.mul(weight, 1 - 1 / age), core.mul(gradient, 1 / (2 * this.#lambda * age)));
      const length = core.maximum(core.norm(moved), longest);
      weight.assign(core.mul(moved, core.div(longest, length)) as typeof weight);
    }
  }
}
