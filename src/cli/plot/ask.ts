/** Learning curves as validators keep them: asked of several pods at once. */
import { z } from 'zod';
import { saidBy } from '../errors.ts';
import { askFor, type Pod } from '../pod/exchange.ts';
import { count } from '../pod/shapes.ts';
import type { Running } from '../predict/choose.ts';

/** How a model did on a validator at one moment; null: not known there. */
export interface Sample {
  /** Unix ms. */
  readonly at: number;
  /** Local updates that the model had seen. */
  readonly updates: number;
  readonly loss: number | null;
  /** 0..1 */
  readonly accuracy: number | null;
  readonly divergence: number | null;
}

/** The curve of one validator, oldest point first. */
export interface Curve {
  /** Name of the ValidatorNode. */
  readonly validator: string;
  readonly points: readonly Sample[];
}

/** More validators than this are not asked: nobody tells more lines apart. */
export const maxValidators = 32;
const atATime = 8;
/** A validator's clock may be off by so much. ms */
const clockSlack = 10 * 60_000;

const measure = z.number().min(0).max(1e9).nullable();
const historyShape = z.object({
  points: z
    .array(
      z.object({
        at: count,
        updates: count,
        loss: measure,
        accuracy: z.number().min(0).max(1).nullable(),
        divergence: measure,
      }),
    )
    .max(1024),
});

/**
 * What each of these validators remembers of a model, in the order asked; and why others said nothing. Points before the
 * model was made or after now are left out: a clock was wrong.
 * @param between unix ms
 */
export async function askCurves(
  where: Omit<Pod, 'pod'>,
  model: string,
  validators: readonly Running[],
  between: { readonly from: number; readonly to: number },
  signal: AbortSignal,
): Promise<{ readonly curves: readonly Curve[]; readonly refusals: readonly string[] }> {
  const curves: Curve[] = [];
  const refusals: string[] = [];
  const path = `/v1/models/${encodeURIComponent(model)}/history`;
  for (let first = 0; first < validators.length; first += atATime) {
    const asked = validators.slice(first, first + atATime);
    const answers = await Promise.all(
      asked.map(async ({ node, pod }) => ({
        node,
        pod,
        said: await askFor({ ...where, pod }, path, historyShape, signal),
      })),
    );
    for (const { node, pod, said } of answers) {
      if ('refusal' in said) {
        refusals.push(saidBy(pod, said.refusal));
        continue;
      }
      const points = said.value.points
        .filter(({ at }) => at >= between.from - clockSlack && at <= between.to + clockSlack)
        .sort((a, b) => a.at - b.at);
      if (points.length > 0) curves.push({ validator: node, points });
    }
  }
  return { curves, refusals };
}
