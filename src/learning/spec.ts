/**
 * What this room needs of a Model's spec. `ModelSpec` of `src/api` satisfies it; nothing else of a Model matters here.
 * Decimal numbers are strings, as Kubernetes APIs want them ("0.3").
 */

export type Partition = 'iid' | 'byLabel' | 'own';
export type MergeKind = 'ageWeighted' | 'mean' | 'limited';

export interface SplitSpec {
  /** Seed of the shuffle that takes the held-out rows away. */
  readonly seed: number;
  /** Rows held out for evaluation. */
  readonly testRows: number;
}

export interface DataSpec {
  readonly builtin?: string | undefined;
  readonly url?: string | undefined;
  readonly configMap?: unknown;
  readonly claim?: unknown;
  readonly sha256?: string | undefined;
  /** 'last' (default), 'first', or a column's name. */
  readonly label?: string | undefined;
  /** Number of classes; labels are 0 .. classes-1. */
  readonly classes: number;
  readonly split: SplitSpec;
  readonly partition: Partition;
  /** Every feature is divided by this decimal number. */
  readonly scale?: string | undefined;
}

export interface OptimizerSpec {
  readonly name: 'sgd' | 'adam';
  readonly learningRate: string;
}

export interface LearningSpec {
  readonly strategy: string;
  readonly merge: MergeKind;
  /** For merge 'limited': ages further apart than this many updates keep the older model whole. */
  readonly mergeLimit?: number | undefined;
  /** Mini-batches of one update. */
  readonly localSteps: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerSpec;
  readonly compression: { readonly bits: 8 | 32 };
}

/** A preset's name, or layers as Keras-style JSON ({class_name, config}). */
export interface ArchitectureSpec {
  readonly preset?: string | undefined;
  readonly layers?: readonly unknown[] | undefined;
}

export interface LearnableModelSpec {
  readonly data: DataSpec;
  readonly architecture: ArchitectureSpec;
  readonly learning: LearningSpec;
}
