/** One question to one validator, through the API server's proxy to its pod. */
import type { Transport } from '../../kube/index.ts';
import { reasonOf } from '../errors.ts';
import { readPredictions } from './instances.ts';

const port = 8080;
const deadline = 15_000;
const maxAnswerBytes = 16 * 1024 * 1024;

/** What to ask whom. */
export interface Question {
  readonly transport: Transport;
  readonly namespace: string;
  readonly pod: string;
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
  const { transport, namespace, pod, model, instances, signal } = question;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}:${port}/proxy/v1/models/${encodeURIComponent(model)}:predict`;
  try {
    const answer = await transport.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({ instances }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(deadline)]),
      streaming: false,
    });
    const text = await readText(answer.body);
    const value = parse(text);
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

async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of body) {
    size += bytes.byteLength;
    if (size > maxAnswerBytes) throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** TensorFlow Serving answers `{"error": "..."}`, the API server a Status with `message`. */
function errorIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { error, message } = value as { readonly error?: unknown; readonly message?: unknown };
  if (typeof error === 'string') return error;
  return typeof message === 'string' ? message : undefined;
}
