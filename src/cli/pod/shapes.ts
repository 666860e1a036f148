/** Shapes of what is in the answers of validators. */
import { z } from 'zod';

/** Text in which nothing moves a terminal's cursor. */
export const shownText = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^\P{Cc}*$/u);

export const count = z.int().nonnegative();
