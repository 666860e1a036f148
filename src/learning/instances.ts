import { BadInputError } from './errors.ts';

/** Records of one predict call. */
const MAX_INSTANCES = 4096;

/**
 * Rows of features from what a caller of `predict` sent.
 * @throws BadInputError that names the instance and what it should be
 */
export function featuresOf(instances: readonly (readonly number[])[], columns: number, model: string): Float32Array {
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
      features[i * columns + c] = value;
    });
  });
  return features;
}
