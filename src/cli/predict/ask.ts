/** One question to one validator, through the API server's proxy to its pod. */
import { reasonOf } from '../errors.ts';
import { errorIn, type Pod, parseJson, proxied, readBytes } from '../pod/get.ts';
import { readPredictions } from './instances.ts';

const deadline = 15_000;
const maxAnswerBytes = 16 * 1024 * 1024;

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
  const { transport, model, instances, signal } = question;
  try {
    const answer = await transport.request({
      method: 'POST',
      path: proxied(question, `/v1/models/${encodeURIComponent(model)}:predict`),
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ instances }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(deadline)]),
      streaming: false,
    });
    const text = (await readBytes(answer.body, maxAnswerBytes)).toString('utf8');
    const value = parseJson(text);
    const predictions = answer.status < 300 ? readPredictions(value) : undefined;
    if (predictions !== undefined) return { predictions };
    const said = errorIn(value) ?? text.slice(0, 200);
    // 404: the pod, or the model in it, is not there (yet).
    const wrong = answer.status >= 400 && answer.status < 500 && answer.status !== 404;
    return wrong
      ? { refusal: said, blames: 'request' }
      : { refusal: `${answer.status} ${said}`.trim(), blames: 'validator' };
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    return { refusal: reasonOf(error), blames: 'validator' };
  }
}
