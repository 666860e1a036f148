/**
 * Learning: datasets, models, the training worker, merge, compression and strategies of gossip learning.
 * Pure of network: it takes and gives messages as bytes. Of ours it may import api, codec and disk.
 * Others import from here only; tensors and TensorFlow.js stay in the worker.
 */
export { type CheckpointOptions, CheckpointStore } from './checkpoint.ts';
export type {
  BackendName,
  BlendTerms,
  DataBytes,
  DataFile,
  Evaluation,
  Learner,
  LearnerInit,
  LearnerLog,
  LentRows,
  MergeOutcome,
  ModelInit,
  ModelInput,
  NamedTensor,
  PartitionSlot,
  Sender,
  Snapshot,
  StartModel,
} from './contract.ts';
export type { Dataset } from './dataset.ts';
export {
  BackendUnavailableError,
  BadInputError,
  CheckpointsUnusableError,
  DataError,
  type DataReason,
  LearnerStoppedError,
  ModelError,
} from './errors.ts';
export { type LayersModelParts, layersModelOf } from './layers-model.ts';
export { createLearner } from './learner.ts';
export { type Pace, STEADY, TokenAccount } from './pace.ts';
export type { Routing, RoutingInit, View } from './routing.ts';
export { type FetchLike, type LoadedFile, loadData, type SourceContext } from './source.ts';
export type { LearnableModelSpec } from './spec.ts';
export { loadStart, type StartContext } from './start-files.ts';
export { createRouting } from './strategies.ts';
export type { Way } from './strategy.ts';
export { readTable, type TableSpec } from './tables.ts';
