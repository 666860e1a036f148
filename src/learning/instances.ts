import { BadInputError } from './errors.ts';

/** Records of one predict call. */
const MAX_INSTANCES = 4096;

/** What a record of `predict` must be. */
export interface InstanceShape {
  /** Name of the model, for messages. */
  readonly model: string;
  readonly columns: number;
  /** Number of tokens, where features are token ids. */
  readonly vocabulary: number | undefined;
}

/**
 * Rows of features from what a caller of `predict` sent.
 * @throws BadInputError that names the instance and what it should be
 */
export function featuresOf(
  instances: readonly (readonly number[])[],
  { model, columns, vocabulary }: InstanceShape,
): Float32Array {
  if (!Array.isArray(instances) || instances.length === 0) {
    throw new BadInputError('instances must be a list of at least one record: {"instances": [[...], ...]}.');
  }
  if (instances.length > MAX_INSTANCES) {
    throw new BadInputError(
      `${instances.length} instances are too many for one request: send at most ${MAX_INSTANCES}.`,
    );
  }
  const features = new Float32Array(instances.length * columns);
  instances.forEach((instance: unknown, i) => {
    if (!Array.isArray(instance) || instance.length !== columns) {
      const found = Array.isArray(instance) ? `${instance.length} numbers` : typeof instance;
      throw new BadInputError(`Instance ${i} has ${found}; model ${model} takes ${columns} numbers.`);
    }
    instance.forEach((value: unknown, c) => {
      if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) {
        throw new BadInputError(`Instance ${i} has something else than a finite number at position ${c}.`);
      }
      if (vocabulary !== undefined && !isToken(value, vocabulary)) {
        throw new BadInputError(
          `Instance ${i} has ${value} at position ${c}; model ${model} takes token ids, whole numbers from 0 to ${vocabulary - 1}.`,
        );
      }
      features[i * columns + c] = value;
    });
  });
  return features;
}

/** True for a row of an embedding: the backends do not look whether it is there. */
export const isToken = (value: number, vocabulary: number): boolean =>
  Number.isInteger(value) && value >= 0 && value < vocabulary;
