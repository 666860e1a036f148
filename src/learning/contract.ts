import type { Architecture } from '../api/index.ts';
import type { LearnableModelSpec } from './spec.ts';
import type { Relation, Way } from './strategy.ts';

/** One weight of a model: row-major float32 values of the given shape. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A model's weights at an age. Two learners of one model have tensors of equal names, shapes and order. */
export interface Snapshot {
  /** Updates (mini-batches) that the model has seen: gossip learning's t. */
  readonly age: number;
  readonly tensors: readonly NamedTensor[];
}

/** Mean cross-entropy (nats) and share of right answers, 0..1. */
export interface Evaluation {
  readonly loss: number;
  readonly accuracy: number;
}

/** What became of a neighbour's message. A refused message changes nothing. */
export interface MergeOutcome {
  /** Own age after the merge. */
  readonly age: number;
  readonly accepted: boolean;
  /** Whether the message was of a greater age than one's own model. */
  readonly isNews: boolean;
  /** Why the message was refused, as a sentence; absent when accepted. */
  readonly reason?: string;
  /** ||w_k - w_r|| / ||w_k||; NaN when the message could not be read. */
  readonly distance: number;
  /** Loss of one's own weights on the shared probe, before the merge; NaN when the message could not be read. */
  readonly lossBefore: number;
  /** Loss of the received weights on the shared probe; NaN when the message could not be read. */
  readonly lossAfter: number;
}

/** Who a message came from. */
export interface Sender {
  readonly relation: Relation;
  /** 0..1: how far to follow it. */
  readonly trust: number;
}

/** Part `index` of `of` equal parts of the training rows. */
export interface PartitionSlot {
  readonly index: number;
  readonly of: number;
}

/** What a model takes: rows of so many numbers, each made `(x - offset) * factor` before the first layer. */
export interface ModelInput {
  readonly columns: number;
  /** How the numbers are arranged, where that is not a row: [28, 28, 1]. */
  readonly shape?: readonly number[] | undefined;
  /** The layers, where the spec only says where they come from. */
  readonly layers?: Architecture['layers'];
  /** One factor for all columns and no offset, or both for each column. */
  readonly scaling:
    | { readonly factor: number; readonly offset?: undefined }
    | { readonly factor: readonly number[]; readonly offset: readonly number[] };
}

/** Rows that are trained on over and above the learner's own, on the scale of the data file. */
export interface LentRows {
  /** Row-major, as many a row as the model takes. */
  readonly features: Float32Array;
  readonly labels: Int32Array;
}

/** How a message is merged whose sender is trusted less than a neighbour. */
export interface BlendTerms {
  /** Most of the merged model that it may be, 0..1. One's own age stays, and its loss is no measure for others'. */
  readonly maxShare: number;
}

export type LearnerLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** 'tensorflow-gpu' | 'tensorflow' | 'wasm' | 'cpu', in order of preference. */
export type BackendName = 'tensorflow-gpu' | 'tensorflow' | 'wasm' | 'cpu';

export interface ModelInit {
  /** The Model's uid: it seeds the first weights (all validators start equal) and names messages. */
  readonly uid: string;
  /** Name of the Model, for messages to people. */
  readonly name: string;
  readonly spec: LearnableModelSpec;
  /** Seed of the shared probe. */
  readonly probeSeed: number;
}

/** A file in memory, a file that stays open while it is read, or a folder. */
export type DataBytes =
  | Uint8Array
  | { readonly descriptor: number; readonly size: number }
  | { readonly folder: string };
/** Data as stored; records and labels where those are two files. */
export type DataFile = DataBytes | { readonly records: DataBytes; readonly labels: DataBytes };

/** A layers model of TensorFlow.js, as its files are: model.json, and all files with weights in their order. */
export interface StartModel {
  readonly json: Uint8Array;
  readonly weights: Uint8Array;
}

export interface LearnerInit {
  readonly model: ModelInit;
  readonly partition: PartitionSlot;
  /** The raw data file, as `loadData` gives it. Bytes in memory are copied to the worker. */
  readonly data: DataFile;
  /** For partition `own`: the validator's own data file, to train on; `data` then serves for testing only. */
  readonly ownData?: DataFile | undefined;
  /** Where the architecture is a model to go on from: its files, as `loadStart` gives them. */
  readonly start?: StartModel | undefined;
  /** How features are scaled, where that is not for `data` to say: on other rows of a model that is learned elsewhere. */
  readonly scaling?: ModelInput['scaling'] | undefined;
  /** Folder for tables that are too large for memory; the system's temporary folder where absent. */
  readonly scratch?: string | undefined;
  /** Weights to go on from, usually `CheckpointStore.load()`. */
  readonly resume?: Snapshot | undefined;
  /** Backend to use and no other (the validator passes MURMURATION_BACKEND here); default: the best that loads. */
  readonly backend?: BackendName | undefined;
  /** Milliseconds that one call may take before the worker is stopped as hung. Default 60 000. */
  readonly deadlineMilliseconds?: number | undefined;
  readonly log: LearnerLog;
}

/**
 * One model in training. Calls are done one after another, in the order they were made; the main thread never waits
 * for a computation. After `close`, or when the worker died, every call rejects with LearnerStoppedError.
 */
export interface Learner {
  /** The backend in use; 'cpu' before `ready` has resolved. */
  readonly backend: BackendName;
  /** Bytes of the longest frame that `merge` may accept: read no more from a neighbour. 0 before `ready` has resolved. */
  readonly maxMessageBytes: number;
  /** What `predict` takes and what becomes of it; undefined before `ready` has resolved. */
  readonly input: ModelInput | undefined;
  /** Resolves when data and model are loaded; rejects with DataError or ModelError. */
  ready(): Promise<void>;
  /**
   * Trains `localSteps` mini-batches on one's own part, unless the strategy has nothing to train on now; age grows by
   * `localSteps`; loss is their mean.
   */
  update(): Promise<{ readonly age: number; readonly loss: number }>;
  /**
   * What the strategy has to say that way (between equals where nothing is given), compressed, as one self-describing
   * frame; undefined where it has nothing to say.
   */
  message(way?: Way): Promise<Uint8Array | undefined>;
  /** Checks and merges a frame of an equal, or of the given sender. Never rejects for what the bytes say. */
  merge(bytes: Uint8Array, sender?: Sender): Promise<MergeOutcome>;
  /** One's own weights and age as a frame, compressed; whole, whatever the strategy: for who takes no part in it. */
  frame(): Promise<Uint8Array>;
  /** Draws one's own weights towards those of such a frame; age and strategy stay. Never rejects for what the bytes say. */
  blend(bytes: Uint8Array, terms: BlendTerms): Promise<MergeOutcome>;
  /** Takes such a frame's weights and age in place of one's own, whatever they are worth; rejects with ModelError. */
  adopt(bytes: Uint8Array): Promise<void>;
  /** Loss and accuracy on the held-out rows. */
  evaluate(): Promise<Evaluation>;
  snapshot(): Promise<Snapshot>;
  /** Takes over the weights and age of `snapshot`; rejects with ModelError when it is of another model. */
  load(snapshot: Snapshot): Promise<void>;
  /** Loss and accuracy of foreign weights on the shared probe; one's own model stays as it is. */
  score(snapshot: Snapshot): Promise<Evaluation>;
  /** Class probabilities for rows of features on the scale of the data file; rejects with BadInputError. */
  predict(instances: readonly (readonly number[])[]): Promise<number[][]>;
  /** Takes another part of the training rows, e.g. when the fleet grew. Weights and age stay. */
  repartition(partition: PartitionSlot): Promise<void>;
  /** Trains on these rows too, in place of those lent before. Rejects with BadInputError, and keeps those then. */
  lend(rows: LentRows | undefined): Promise<void>;
  close(): Promise<void>;
}
