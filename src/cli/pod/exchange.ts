/** Questions to one validator's HTTP server, through the API server's proxy to its pod. */
import type { z } from 'zod';
import type { Transport } from '../../kube/index.ts';
import { reasonOf } from '../errors.ts';

const port = 8080;
const deadline = 15_000;
/** A longer answer in JSON is an error. */
export const maxJsonBytes = 16 * 1024 * 1024;

/** Who is asked, over which connection. */
export interface Pod {
  readonly transport: Transport;
  readonly namespace: string;
  readonly pod: string;
}

/** What is asked. */
export interface Wish {
  /** Path and query at the validator. */
  readonly path: string;
  readonly accept: string;
  /** JSON that is posted; a GET where it is left out. */
  readonly body?: string;
  /** A longer answer is an error. */
  readonly maxBytes: number;
  /** Milliseconds; 15 s where it is left out. */
  readonly deadline?: number;
  readonly signal: AbortSignal;
}

/** Path at the API server that reaches a path at a validator. */
const proxied = ({ namespace, pod }: Pod, path: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}:${port}/proxy${path}`;

/** Status and body of the answer. Rejects where there is none, or it is too long or late. */
export async function exchange(
  pod: Pod,
  { path, accept, body: sent, maxBytes, signal, ...wish }: Wish,
): Promise<{ readonly status: number; readonly bytes: Buffer }> {
  const { status, body } = await pod.transport.request({
    path: proxied(pod, path),
    ...(sent === undefined
      ? { method: 'GET', headers: { accept } }
      : { method: 'POST', headers: { 'content-type': 'application/json', accept }, body: sent }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(wish.deadline ?? deadline)]),
    streaming: false,
  });
  return { status, bytes: await readBytes(body, maxBytes) };
}

/** A body of at most so many bytes. */
export async function readBytes(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of body) {
    size += bytes.byteLength;
    if (size > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** What a validator said, or why it said nothing that can be used: then another one may. */
export type Said<T> = { readonly value: T } | { readonly refusal: string };

/** A JSON answer of a known shape. Does not throw but when `signal` is aborted. */
export async function askFor<S extends z.ZodType>(
  pod: Pod,
  path: string,
  shape: S,
  signal: AbortSignal,
): Promise<Said<z.output<S>>> {
  try {
    const { status, bytes } = await exchange(pod, { path, accept: 'application/json', maxBytes: maxJsonBytes, signal });
    if (status !== 200) return { refusal: refusalOf(status, bytes) };
    const parsed = shape.safeParse(parseJson(bytes));
    return parsed.success ? { value: parsed.data } : { refusal: 'an answer of another shape' };
  } catch (error) {
    signal.throwIfAborted();
    return { refusal: reasonOf(error) };
  }
}

/** `404 No block`: what an answer says that gives nothing. */
export const refusalOf = (status: number, bytes: Buffer): string => `${status} ${errorIn(bytes) ?? ''}`.trim();

/** The JSON in an answer; undefined where it is none. */
export function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** A validator answers `{"error": "..."}`, as TensorFlow Serving does, the API server a Status with `message`. */
export function errorIn(bytes: Buffer): string | undefined {
  const value = parseJson(bytes);
  if (typeof value !== 'object' || value === null) return undefined;
  const { error, message } = value as { readonly error?: unknown; readonly message?: unknown };
  const said = typeof error === 'string' ? error : message;
  return typeof said === 'string' ? printable(said.slice(0, 500)) : undefined;
}

/** A peer's text without what would move a terminal's cursor. */
export const printable = (text: string): string => text.replace(/\p{Cc}/gu, ' ');
