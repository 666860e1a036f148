/**
 * The folder that a version is pulled into. It is filled beside its place, under a name that says of which version, and
 * gets its own name when it is complete: an interrupted pull goes on where it was, and nobody sees half a model.
 */
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { chunkLength, type Manifest, matches } from '../../chunks/index.ts';
import { errorCode, realDisk, syncFolder, writeSynced } from '../../disk/index.ts';

const mib = 1024 * 1024;

/** A file that goes into the folder at the end. */
export interface PulledFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** How a version's byte stream is cut into files: as large as TensorFlow.js' converter makes them, always whole chunks. */
export class Shards {
  /** Files in order; together they are the byte stream. */
  readonly names: readonly string[];
  readonly #manifest: Manifest;
  readonly #bytes: number;

  constructor(manifest: Manifest) {
    this.#manifest = manifest;
    this.#bytes = Math.floor((4 * mib) / manifest.chunkBytes) * manifest.chunkBytes;
    const count = Math.max(1, Math.ceil(manifest.bytes / this.#bytes));
    this.names = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  }

  /** Where a chunk lies. */
  placeOf(chunk: number): { readonly file: string; readonly offset: number; readonly bytes: number } {
    const start = chunk * this.#manifest.chunkBytes;
    const file = this.names[Math.floor(start / this.#bytes)] ?? '';
    return { file, offset: start % this.#bytes, bytes: chunkLength(this.#manifest, chunk) };
  }

  /** Bytes of the n-th file. */
  sizeOf(n: number): number {
    return Math.max(0, Math.min(this.#bytes, this.#manifest.bytes - n * this.#bytes));
  }
}

/** A folder that is being filled. */
export class PulledFolder {
  /** Where it is filled. */
  readonly part: string;
  /** Chunks that were not here when it was opened. */
  readonly missing: readonly number[];
  readonly #out: string;
  readonly #shards: Shards;

  private constructor(out: string, part: string, shards: Shards, missing: readonly number[]) {
    this.#out = out;
    this.part = part;
    this.#shards = shards;
    this.missing = missing;
  }

  /** Opens the folder beside `out`; what an earlier pull of this version left there counts once it was checked. */
  static async open(out: string, version: string, manifest: Manifest): Promise<PulledFolder> {
    const part = `${out}.${version.slice(-12)}.part`;
    const shards = new Shards(manifest);
    await mkdir(part, { recursive: true });
    for (const name of shards.names) await (await open(join(part, name), 'a')).close();
    return new PulledFolder(out, part, shards, await missingIn(part, manifest));
  }

  /** Writes a chunk whose bytes were checked. */
  async write(chunk: number, bytes: Uint8Array): Promise<void> {
    const { file, offset } = this.#shards.placeOf(chunk);
    const shard = await open(join(this.part, file), 'r+');
    try {
      await shard.write(bytes, 0, bytes.byteLength, offset);
    } finally {
      await shard.close();
    }
  }

  /** Adds the files that make it a model, makes all of it outlive a crash, and gives the folder its name. */
  async finish(files: readonly PulledFile[]): Promise<void> {
    for (const [n, name] of this.#shards.names.entries()) {
      const shard = await open(join(this.part, name), 'r+');
      try {
        await shard.truncate(this.#shards.sizeOf(n));
        await shard.sync();
      } finally {
        await shard.close();
      }
    }
    for (const { name, content } of files) {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      await writeSynced(realDisk, join(this.part, name), [bytes], 'w');
    }
    await syncFolder(realDisk, this.part);
    await rename(this.part, this.#out);
    await syncFolder(realDisk, dirname(this.#out));
  }
}

/** What is at a place already. */
export type Present =
  | { readonly is: 'nothing' }
  | { readonly is: 'other'; readonly what: string }
  | { readonly is: 'pulled'; readonly version: string };

/** Looks at the place of the folder before anything is fetched. @param note file that every pulled folder has */
export async function lookAt(out: string, note: string): Promise<Present> {
  try {
    if (!(await stat(out)).isDirectory()) return { is: 'other', what: 'it is no folder' };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return { is: 'nothing' };
    throw error;
  }
  try {
    const { version } = JSON.parse(await readFile(join(out, note), 'utf8')) as { version?: { cid?: unknown } };
    if (typeof version?.cid === 'string') return { is: 'pulled', version: version.cid };
  } catch {
    // Not there, or not of our making: said below.
  }
  return { is: 'other', what: `it has no ${note}` };
}

/** Chunks of a version that a folder does not have, or has other bytes for. */
export async function missingIn(folder: string, manifest: Manifest): Promise<readonly number[]> {
  const shards = new Shards(manifest);
  const missing: number[] = [];
  for (const [chunk, cid] of manifest.chunks.entries()) {
    const { file, offset, bytes } = shards.placeOf(chunk);
    const found = await readAt(join(folder, file), offset, bytes);
    if (found === undefined || !matches(cid, found)) missing.push(chunk);
  }
  return missing;
}

async function readAt(path: string, offset: number, bytes: number): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = new Uint8Array(bytes);
      const { bytesRead } = await file.read(buffer, 0, bytes, offset);
      return bytesRead === bytes ? buffer : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
