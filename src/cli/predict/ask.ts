/** One question to one validator, through the API server's proxy to its pod. */
import { reasonOf } from '../errors.ts';
import { errorIn, exchange, maxJsonBytes, type Pod, parseJson, printable } from '../pod/exchange.ts';
import { readPredictions } from './instances.ts';

/** What to ask whom. */
export interface Question extends Pod {
  readonly model: string;
  readonly instances: readonly (readonly number[])[];
  readonly signal: AbortSignal;
}

/** Predictions, or why there are none: the request is wrong, or this validator cannot answer and another one may. */
export type Reply =
  | { readonly predictions: readonly (readonly number[])[] }
  | { readonly refusal: string; readonly blames: 'request' | 'validator' };

/** Asks one pod. Does not throw but when `signal` is aborted. */
export async function askValidator(question: Question): Promise<Reply> {
  const { model, instances, signal } = question;
  try {
    const { status, bytes } = await exchange(question, {
      path: `/v1/models/${encodeURIComponent(model)}:predict`,
      accept: 'application/json',
      body: JSON.stringify({ instances }),
      maxBytes: maxJsonBytes,
      signal,
    });
    const predictions = status < 300 ? readPredictions(parseJson(bytes)) : undefined;
    if (predictions !== undefined) return { predictions };
    const said = errorIn(bytes) ?? printable(bytes.toString('utf8').slice(0, 200));
    // 404: the pod, or the model in it, is not there (yet).
    const wrong = status >= 400 && status < 500 && status !== 404;
    return wrong ? { refusal: said, blames: 'request' } : { refusal: `${status} ${said}`.trim(), blames: 'validator' };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    return { refusal: reasonOf(error), blames: 'validator' };
  }
}
