/** Rows to ask about, and answers about them: TensorFlow Serving's REST format. Pure. */
import { z } from 'zod';
import { misused, reasonOf } from '../errors.ts';

const row = z.array(z.number()).min(1);
const body = z.union([
  z.object({ instances: z.array(row).min(1) }).transform((given) => given.instances),
  z.array(row).min(1),
  row.transform((one) => [one]),
]);

/** What a validator answered: for each row the probability of each class (or the outputs of the last layer). */
export interface Answer {
  readonly validator: string;
  readonly predictions: readonly (readonly number[])[];
}

/** Rows of numbers from `{"instances": [[..]]}`, `[[..], ..]` or `[..]`. */
export function readInstances(text: string, file: string): readonly (readonly number[])[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw misused(`${file} is not JSON: ${reasonOf(error)}.`, 'Write rows of numbers: {"instances": [[0, 1, 2]]}');
  }
  const parsed = body.safeParse(value);
  if (!parsed.success) {
    throw misused(`${file} holds no rows of numbers.`, 'Write {"instances": [[0, 1, 2]]}, a list of rows, or one row.');
  }
  const [first = []] = parsed.data;
  const odd = parsed.data.findIndex((one) => one.length !== first.length);
  if (odd >= 0) {
    throw misused(
      `${file}: row ${odd + 1} has ${parsed.data[odd]?.length} numbers, row 1 has ${first.length}.`,
      'Give every row as many numbers as the model has inputs.',
    );
  }
  return parsed.data;
}

const answer = z.object({ predictions: z.array(z.union([z.array(z.number()), z.number().transform((one) => [one])])) });

/** The predictions in an answer, or undefined where it is not one. */
export function readPredictions(value: unknown): readonly (readonly number[])[] | undefined {
  const parsed = answer.safeParse(value);
  return parsed.success ? parsed.data.predictions : undefined;
}
