/** Why a dataset cannot be used. Part of the API: shown as the reason of a condition. */
export type DataReason =
  | 'DataUnreachable'
  | 'DataDigestMismatch'
  | 'DataMalformed'
  | 'DataTruncated'
  | 'DataShapeMismatch'
  | 'DataFormatUnknown'
  | 'LabelOutOfRange'
  | 'DataTooLarge';

/** When thrown, the model's data cannot be used as the spec says; `message` is a sentence with the fix. */
export class DataError extends Error {
  override readonly name = 'DataError';
  readonly reason: DataReason;

  constructor(reason: DataReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** When thrown, the model's architecture or learning settings cannot be run; `message` is a sentence with the fix. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  readonly reason = 'ModelInvalid';
}

/** When thrown, the wanted TensorFlow.js backend (or none at all) could be loaded. */
export class BackendUnavailableError extends Error {
  override readonly name = 'BackendUnavailableError';
  readonly reason = 'BackendUnavailable';
}

/** When thrown, a caller of `predict` sent instances of the wrong shape or kind (HTTP 400, not 500). */
export class BadInputError extends Error {
  override readonly name = 'BadInputError';
  readonly reason = 'BadInput';
}

/** When thrown, the training worker has ended (crashed, hung past its deadline, or was closed): make a new learner. */
export class LearnerStoppedError extends Error {
  override readonly name = 'LearnerStoppedError';
  readonly reason = 'LearnerStopped';
}

/** When thrown, checkpoints are there and none of them can be used; `message` is a sentence. */
export class CheckpointsUnusableError extends Error {
  override readonly name = 'CheckpointsUnusableError';
  readonly reason = 'CheckpointUnusable';
}
