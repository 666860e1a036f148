import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, realpath, stat, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isVolumeFull } from '../disk/index.ts';
import type { DataBytes, DataFile } from './contract.ts';
import { DEFAULT_DATA_LIMITS, sizeOf } from './data-limits.ts';
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
  /** Folder for files that are too large for memory; the system's temporary folder where absent. */
  readonly scratch?: string | undefined;
  /** Bytes of the largest file that is used at all. */
  readonly maxBytes?: number | undefined;
  /** Bytes of the largest file that is kept in memory. */
  readonly memoryBytes?: number | undefined;
  /** A download may take this long, and a second more for each MiB that has come. */
  readonly deadlineMilliseconds?: number | undefined;
}

/** Data as stored, until they are released. */
export interface LoadedFile {
  readonly file: DataFile;
  /** Closes what is open; the room of files that were spooled is free again. */
  release(): Promise<void>;
}

type DataSpec = LearnableModelSpec['data'];
type Source = DataSpec['source'];

const second = 1000;
const mebibyte = 1024 * 1024;
const DEFAULT_DEADLINE_MILLISECONDS = 120 * second;
const DEFAULT_MEMORY_BYTES = 32 * mebibyte;
const COPY_BYTES = mebibyte;

/**
 * The files of `spec.data`, as stored (a gzip stays one), checked against their digests. What is larger than the limit
 * of memory stays on disk: a file that is mounted where it lies, unless it has a digest; a copy of it or a download in
 * a scratch file without a name, so that what was checked is what is read.
 * @throws DataError: DataUnreachable, DataTooLarge or DataDigestMismatch, with the fix
 */
export async function loadData(spec: DataSpec, context: SourceContext): Promise<LoadedFile> {
  const patience = new Patience(context.deadlineMilliseconds ?? DEFAULT_DEADLINE_MILLISECONDS, context.signal);
  const opened: FileHandle[] = [];
  const release = async () => {
    for (const handle of opened.splice(0)) await handle.close();
  };
  const loading: Loading = {
    scratch: context.scratch ?? tmpdir(),
    maxBytes: context.maxBytes ?? DEFAULT_DATA_LIMITS.fileBytes,
    memoryBytes: context.memoryBytes ?? DEFAULT_MEMORY_BYTES,
    fetch: context.fetch,
    patience,
    opened,
  };
  const file = fileNameOf(spec.source);
  try {
    const records = await load(placeOf(spec.source, file, context), spec.sha256, 'data.sha256', loading);
    const { labels } = spec;
    if (labels === undefined) return { file: records, release };
    const beside = besideOf(spec.source, labels.file);
    const place = placeOf(beside, fileNameOf(beside), context);
    return { file: { records, labels: await load(place, labels.sha256, 'data.labels.sha256', loading) }, release };
  } catch (error) {
    await release();
    throw error;
  } finally {
    patience.end();
  }
}

/**
 * One file in memory.
 * @throws DataError: DataUnreachable or DataTooLarge, with the fix
 */
export async function loadWhole(
  place: Place,
  maxBytes: number,
  context: Pick<SourceContext, 'fetch' | 'signal' | 'deadlineMilliseconds'>,
): Promise<Uint8Array> {
  const patience = new Patience(context.deadlineMilliseconds ?? DEFAULT_DEADLINE_MILLISECONDS, context.signal);
  const { fetch } = context;
  try {
    const loading = { scratch: '', maxBytes, memoryBytes: maxBytes, fetch, patience, opened: [] };
    const bytes = await load(place, undefined, '', loading);
    if (bytes instanceof Uint8Array) return bytes;
    throw new DataError('DataUnreachable', `${place.file} is a folder. ${place.fix}`);
  } finally {
    patience.end();
  }
}

interface Loading {
  readonly scratch: string;
  readonly maxBytes: number;
  readonly memoryBytes: number;
  readonly fetch: FetchLike;
  readonly patience: Patience;
  /** Files that are to be closed in the end. */
  readonly opened: FileHandle[];
}

/** Where a file is, and what to do where it is not. */
export interface Place {
  /** For messages. */
  readonly file: string;
  readonly at: { readonly path: string; readonly within: string } | { readonly url: string };
  readonly fix: string;
}

function placeOf(source: Source, file: string, { dataDir, mounts }: SourceContext): Place {
  const fix = fixFor(source);
  if (source.url !== undefined) return { file, at: { url: source.url }, fix };
  if (source.builtin !== undefined) return { file, at: { path: path.join(dataDir, file), within: dataDir }, fix };
  const [directory, kind] =
    source.configMap === undefined ? [mounts?.claim, 'claim'] : [mounts?.configMap, 'ConfigMap'];
  if (directory === undefined) {
    throw new DataError('DataUnreachable', `The ${kind} of data.source is not mounted in this pod. Restart the pod.`);
  }
  return { file, at: { path: inside(directory, file), within: directory }, fix };
}

/** The source of a file beside that of `source`. */
function besideOf(source: Source, file: string): Source {
  if (source.url !== undefined) return { url: new URL(file, source.url).href };
  if (source.configMap !== undefined) return { configMap: { ...source.configMap, key: file } };
  if (source.claim === undefined) return source;
  return { claim: { ...source.claim, path: path.posix.join(path.posix.dirname(source.claim.path), file) } };
}

/** Joins, and keeps `../` from leaving the volume. */
export function inside(directory: string, file: string): string {
  const joined = path.resolve(directory, file);
  if (joined.startsWith(path.resolve(directory) + path.sep)) return joined;
  throw new DataError('DataUnreachable', `${file} is not inside the volume. Set data.source to a path without "..".`);
}

function fixFor(source: Source): string {
  if (source.url !== undefined) return 'Fix data.source.url, or the way to it.';
  if (source.configMap !== undefined) {
    return `Put the file into ConfigMap ${source.configMap.name} under key ${source.configMap.key}.`;
  }
  if (source.claim !== undefined)
    return `Put the file into claim ${source.claim.claimName}, or fix data.source.claim.path.`;
  return 'The image is incomplete: build it again with data/.';
}

async function load(place: Place, expected: string | undefined, field: string, loading: Loading): Promise<DataBytes> {
  const check = (found: string) => checkDigest(found, expected, field, place.file);
  try {
    return 'url' in place.at
      ? await download(place.at.url, check, loading)
      : await readLocal(place.at, place.file, expected === undefined ? undefined : check, loading);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const what = 'url' in place.at ? place.at.url : place.file;
    throw new DataError('DataUnreachable', `${what} cannot be read (${whyOf(error)}). ${place.fix}`, { cause: error });
  }
}

async function readLocal(
  at: { readonly path: string; readonly within: string },
  file: string,
  check: ((found: string) => void) | undefined,
  loading: Loading,
): Promise<DataBytes> {
  // Links within a volume are how ConfigMaps are mounted; one that leads out could show what is mounted elsewhere.
  const location = await realpath(at.path);
  if (!location.startsWith((await realpath(at.within)) + path.sep)) {
    throw new DataError(
      'DataUnreachable',
      `${file} is a link that leads out of the volume. Put the file itself there.`,
    );
  }
  // Before it is opened: opening a pipe waits for its writer.
  const found = await stat(location);
  if (found.isDirectory()) {
    if (check === undefined) return { folder: location };
    throw new DataError(
      'DataDigestMismatch',
      `${file} is a folder, which has no sha256. Remove data.sha256, or pack the folder as a tar.gz.`,
    );
  }
  if (!found.isFile()) throw new DataError('DataUnreachable', `${file} is neither a file nor a folder.`);
  const handle = await open(location, 'r');
  let isKept = false;
  try {
    const { size } = await handle.stat();
    if (size > loading.maxBytes) throw tooLarge(file, loading.maxBytes);
    if (size > loading.memoryBytes && check === undefined) {
      isKept = true;
      loading.opened.push(handle);
      return { descriptor: handle.fd, size };
    }
    return await received(
      handle.createReadStream({ autoClose: false, highWaterMark: COPY_BYTES }),
      file,
      check,
      loading,
    );
  } finally {
    if (!isKept) await handle.close();
  }
}

async function download(url: string, check: (found: string) => void, loading: Loading): Promise<DataBytes> {
  const response = await loading.fetch(url, { signal: loading.patience.signal });
  if (!response.ok) {
    throw new DataError('DataUnreachable', `${url} answered with status ${response.status}. Fix data.source.url.`);
  }
  return received(response.body ?? [], url, check, loading);
}

/** Takes bytes into memory, or to disk once they are too many; looks at their digest when the last has come. */
async function received(
  parts: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  name: string,
  check: ((found: string) => void) | undefined,
  loading: Loading,
): Promise<DataBytes> {
  const { maxBytes, memoryBytes, patience } = loading;
  const hash: Hash = createHash('sha256');
  let held: Uint8Array[] = [];
  let spool: FileHandle | undefined;
  let size = 0;
  for await (const part of parts) {
    patience.came(part.length);
    size += part.length;
    if (size > maxBytes) throw tooLarge(name, maxBytes);
    hash.update(part);
    held.push(part);
    if (size <= memoryBytes) continue;
    spool ??= await scratchFile(loading);
    for (const each of held) await write(spool, each, loading.scratch);
    held = [];
  }
  check?.(hash.digest('hex'));
  return spool === undefined ? Buffer.concat(held) : { descriptor: spool.fd, size };
}

/** A file without a name: nothing is left of it when it is closed, or the process ends in any way. */
async function scratchFile({ scratch, opened }: Loading): Promise<FileHandle> {
  const name = path.join(scratch, `data-${process.pid}-${crypto.randomUUID()}`);
  const handle = await open(name, 'wx+', 0o600);
  opened.push(handle);
  await unlink(name);
  return handle;
}

async function write(file: FileHandle, bytes: Uint8Array, scratch: string): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) {
      done += (await file.write(bytes, done, bytes.length - done)).bytesWritten;
    }
  } catch (error) {
    if (!isVolumeFull(error)) throw error;
    throw new DataError(
      'DataTooLarge',
      `${scratch} has no room for the data file. Use fewer rows, or mount a larger volume there (podTemplate).`,
      { cause: error },
    );
  }
}

/** Aborts what takes too long: a deadline that moves with each byte that comes. */
class Patience {
  readonly signal: AbortSignal;
  readonly #late = new AbortController();
  #timer: NodeJS.Timeout;
  #credit = 0;

  constructor(milliseconds: number, outer: AbortSignal | undefined) {
    this.signal = outer === undefined ? this.#late.signal : AbortSignal.any([this.#late.signal, outer]);
    this.#timer = setTimeout(() => this.#end(milliseconds), milliseconds);
  }

  /** @throws the reason of the abort, where it is too late */
  came(bytes: number): void {
    this.signal.throwIfAborted();
    this.#credit += (bytes / mebibyte) * second;
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #end(milliseconds: number): void {
    const more = this.#credit;
    this.#credit = 0;
    if (more >= 1) {
      this.#timer = setTimeout(() => this.#end(milliseconds), more);
    } else {
      this.#late.abort(new DOMException(`it took longer than ${milliseconds / second} s`, 'TimeoutError'));
    }
  }
}

/** fetch says "fetch failed" and hides why in the cause. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function tooLarge(file: string, maxBytes: number): DataError {
  return new DataError(
    'DataTooLarge',
    `${file} has more than ${sizeOf(maxBytes)}, which is the limit. Use fewer rows.`,
  );
}

function checkDigest(found: string, expected: string | undefined, field: string, file: string): void {
  if (expected === undefined || found === expected) return;
  throw new DataError(
    'DataDigestMismatch',
    `${file} has sha256 ${found}, ${field} is ${expected}. Set ${field} to what sha256sum prints, or restore the file.`,
  );
}
