import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { BUILTIN_FACTS } from './builtin.ts';
import { DEFAULT_DATA_LIMITS } from './dataset.ts';
import { DataError } from './errors.ts';
import type { LearnableModelSpec } from './spec.ts';
import { fileNameOf } from './tables.ts';

/** The part of `fetch` (undici's, or the global one) that a download needs. */
export type FetchLike = (
  url: string,
  init: { readonly signal: AbortSignal },
) => Promise<{
  readonly ok: boolean;
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array> | null;
}>;

export interface SourceContext {
  /** Directory of the files that the release carries. */
  readonly dataDir: string;
  /** Where the pod has the ConfigMap or claim mounted: the directory, not the file. */
  readonly mounts?: { readonly configMap?: string | undefined; readonly claim?: string | undefined };
  readonly fetch: FetchLike;
  readonly signal?: AbortSignal | undefined;
  readonly maxBytes?: number | undefined;
  readonly deadlineMilliseconds?: number | undefined;
}

const second = 1000;
const DEFAULT_DEADLINE_MILLISECONDS = 120 * second;

/**
 * The bytes of `spec.data`, as stored (a gzip stays one), checked against its digest.
 * @throws DataError: DataUnreachable, DataTooLarge or DataDigestMismatch, with the fix
 */
export async function loadData(spec: LearnableModelSpec['data'], context: SourceContext): Promise<Uint8Array> {
  const maxBytes = context.maxBytes ?? DEFAULT_DATA_LIMITS.fileBytes;
  const deadline = AbortSignal.timeout(context.deadlineMilliseconds ?? DEFAULT_DEADLINE_MILLISECONDS);
  const signal = context.signal === undefined ? deadline : AbortSignal.any([deadline, context.signal]);
  const file = fileNameOf(spec.source);
  const { url } = spec.source;
  const bytes =
    url === undefined
      ? await readLimited(placeOf(spec.source, context), spec.source, maxBytes, signal)
      : await download(url, context.fetch, maxBytes, signal);
  checkDigest(bytes, spec.sha256, file);
  return bytes;
}

function placeOf(source: LearnableModelSpec['data']['source'], { dataDir, mounts }: SourceContext): string {
  if (source.builtin !== undefined) return path.join(dataDir, BUILTIN_FACTS[source.builtin].file);
  const [directory, kind] =
    source.configMap === undefined ? [mounts?.claim, 'claim'] : [mounts?.configMap, 'ConfigMap'];
  if (directory === undefined) {
    throw new DataError('DataUnreachable', `The ${kind} of data.source is not mounted in this pod. Restart the pod.`);
  }
  return inside(directory, fileNameOf(source));
}

/** Joins, and keeps `../` from leaving the volume. */
function inside(directory: string, file: string): string {
  const joined = path.resolve(directory, file);
  if (joined.startsWith(path.resolve(directory) + path.sep)) return joined;
  throw new DataError('DataUnreachable', `${file} is not inside the volume. Set data.source to a path without "..".`);
}

async function readLimited(
  file: string,
  source: LearnableModelSpec['data']['source'],
  maxBytes: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  try {
    const handle = await open(file, 'r');
    try {
      const { size } = await handle.stat();
      if (size > maxBytes) throw tooLarge(fileNameOf(source), maxBytes);
      return await handle.readFile({ signal });
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof DataError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new DataError('DataUnreachable', `${fileNameOf(source)} cannot be read (${why}). ${fixFor(source)}`, {
      cause: error,
    });
  }
}

function fixFor(source: LearnableModelSpec['data']['source']): string {
  if (source.configMap !== undefined) {
    return `Put the file into ConfigMap ${source.configMap.name} under key ${source.configMap.key}.`;
  }
  if (source.claim !== undefined)
    return `Put the file into claim ${source.claim.claimName}, or fix data.source.claim.path.`;
  return 'The image is incomplete: build it again with data/.';
}

async function download(url: string, fetch: FetchLike, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) {
      throw new DataError('DataUnreachable', `${url} answered with status ${response.status}. Fix data.source.url.`);
    }
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of response.body ?? []) {
      bytes += part.length;
      if (bytes > maxBytes) throw tooLarge(url, maxBytes);
      parts.push(part);
    }
    return Buffer.concat(parts);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const why = error instanceof Error ? causeOf(error) : String(error);
    throw new DataError('DataUnreachable', `${url} cannot be read (${why}). Fix data.source.url, or the way to it.`, {
      cause: error,
    });
  }
}

/** fetch says "fetch failed" and hides why in the cause. */
function causeOf(error: Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function tooLarge(file: string, maxBytes: number): DataError {
  return new DataError('DataTooLarge', `${file} has more than ${maxBytes} bytes, which is the limit. Use fewer rows.`);
}

function checkDigest(bytes: Uint8Array, expected: string | undefined, file: string): void {
  if (expected === undefined) return;
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found === expected) return;
  throw new DataError(
    'DataDigestMismatch',
    `${file} has sha256 ${found}, data.sha256 is ${expected}. Set data.sha256 to what sha256sum prints, or restore the file.`,
  );
}
