import { DataError } from './errors.ts';

/** Labels are whole numbers 0 .. classes-1. */
export interface Labelling {
  readonly classes: number;
}

/**
 * A label as the table holds it.
 * @param where what has the label, as the begin of a sentence: "Row 3 of train.csv"
 * @throws DataError where it is none
 */
export function labelOf(value: number, where: string, { classes }: Labelling): number {
  if (Number.isInteger(value) && value >= 0 && value < classes) return value;
  throw new DataError(
    'LabelOutOfRange',
    `${where} has label ${value}; with data.classes ${classes}, labels are whole numbers ` +
      `from 0 to ${classes - 1}. Fix the row or set data.classes.`,
  );
}
