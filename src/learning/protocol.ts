import type { BackendName, Learner, LearnerInit, LearnerLog, ModelInput } from './contract.ts';
import {
  BackendUnavailableError,
  BadInputError,
  DataError,
  type DataReason,
  LearnerStoppedError,
  ModelError,
} from './errors.ts';

/** What the main thread asks of the worker: the learner's methods, by name. */
export type Operation =
  | 'update'
  | 'message'
  | 'merge'
  | 'frame'
  | 'blend'
  | 'adopt'
  | 'evaluate'
  | 'snapshot'
  | 'load'
  | 'score'
  | 'predict'
  | 'repartition'
  | 'lend';

export type Arguments<O extends Operation> = Parameters<Learner[O]>;
export type Result<O extends Operation> = Awaited<ReturnType<Learner[O]>>;

/** `workerData`: a LearnerInit without its functions. */
export type WorkerInit = Omit<LearnerInit, 'log' | 'deadlineMilliseconds'>;

export type Request = {
  readonly [O in Operation]: { readonly id: number; readonly operation: O; readonly arguments: Arguments<O> };
}[Operation];

/** What the worker says. */
export type Report =
  | {
      readonly kind: 'ready';
      readonly backend: BackendName;
      readonly maxMessageBytes: number;
      readonly input: ModelInput;
    }
  | { readonly kind: 'unready'; readonly error: WireError }
  | { readonly kind: 'log'; readonly entry: Parameters<LearnerLog> }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly id: number; readonly error: WireError };

/** An error as plain data: structured clone would lose its class. */
export interface WireError {
  readonly name: string;
  readonly reason: string;
  readonly message: string;
}

export function toWire(error: unknown): WireError {
  if (!(error instanceof Error)) return { name: 'Error', reason: '', message: String(error) };
  const reason = 'reason' in error ? String(error.reason) : '';
  return { name: error.name, reason, message: error.message };
}

export function fromWire({ name, reason, message }: WireError): Error {
  switch (name) {
    case 'DataError':
      return new DataError(reason as DataReason, message);
    case 'ModelError':
      return new ModelError(message);
    case 'BadInputError':
      return new BadInputError(message);
    case 'BackendUnavailableError':
      return new BackendUnavailableError(message);
    case 'LearnerStoppedError':
      return new LearnerStoppedError(message);
    case 'RangeError':
      return new RangeError(message);
    default:
      return new Error(message);
  }
}
