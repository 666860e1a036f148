import { createHash } from 'node:crypto';
import * as nodeFs from 'node:fs/promises';
import path from 'node:path';
import { decode, encode } from '@ipld/dag-cbor';
import { z } from 'zod';
import { packFloat32, unpackFloat32 } from './compression.ts';
import type { LearnerLog, Snapshot } from './contract.ts';
import { VolumeFullError } from './errors.ts';

/** The part of node:fs/promises that a store needs; tests pass one that fails. */
export type CheckpointFs = Pick<typeof nodeFs, 'mkdir' | 'open' | 'readdir' | 'readFile' | 'rename' | 'rm' | 'stat'>;

const PREFIX = 'checkpoint-';
const TEMPORARY = '.tmp';
const DIGEST_BYTES = 32;
/** This one and the one before it. */
const KEPT = 2;
const MAX_BYTES = 1024 * 1024 * 1024;
const NAME = /^checkpoint-([0-9]{12})$/;

const stored = z.strictObject({
  v: z.literal(1),
  age: z.int().min(0),
  tensors: z.array(
    z.strictObject({ name: z.string(), shape: z.array(z.int().min(0)), data: z.instanceof(Uint8Array) }),
  ),
});

/**
 * Checkpoints of one model in one directory.
 * Guarantees: after `save` resolves, the snapshot outlives a crash of the process and of the machine; at every moment
 * a complete earlier checkpoint is there; `load` never returns bytes that are not what was saved.
 * Assumes: the directory belongs to one store at a time, and rename within it is atomic (POSIX).
 * A file is the sha-256 of its DAG-CBOR body, then the body; its name carries a growing number.
 */
export class CheckpointStore {
  readonly #directory: string;
  readonly #fs: CheckpointFs;
  readonly #log: LearnerLog;
  /** Saves wait for each other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directory: string, options: { readonly fs?: CheckpointFs; readonly log?: LearnerLog } = {}) {
    this.#directory = directory;
    this.#fs = options.fs ?? nodeFs;
    this.#log = options.log ?? (() => undefined);
  }

  /** Saves durably. @throws VolumeFullError when the volume has no room; the previous checkpoint stays */
  save(snapshot: Snapshot): Promise<void> {
    const saved = this.#queue.then(() => this.#save(snapshot));
    this.#queue = saved.catch(() => undefined);
    return saved;
  }

  /** The newest checkpoint that is whole, or undefined when there is none. */
  async load(): Promise<Snapshot | undefined> {
    for (const number of (await this.#numbers()).reverse()) {
      const file = this.#file(number);
      try {
        return read(await this.#bytes(file));
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        this.#log('warn', 'checkpoint not usable, trying the one before it', { file, why });
      }
    }
    return undefined;
  }

  async #save(snapshot: Snapshot): Promise<void> {
    await this.#fs.mkdir(this.#directory, { recursive: true });
    const numbers = await this.#numbers();
    const file = this.#file((numbers.at(-1) ?? 0) + 1);
    const body = encode({
      v: 1,
      age: snapshot.age,
      tensors: snapshot.tensors.map(({ name, shape, data }) => ({ name, shape: [...shape], ...packFloat32(data) })),
    } satisfies z.output<typeof stored>);
    try {
      await this.#write(file + TEMPORARY, [digestOf(body), body]);
      await this.#fs.rename(file + TEMPORARY, file);
      await this.#syncDirectory();
    } catch (error) {
      await this.#fs.rm(file + TEMPORARY, { force: true }).catch(() => undefined);
      throw this.#explain(error, body.length);
    }
    for (const old of numbers.slice(0, -(KEPT - 1))) await this.#fs.rm(this.#file(old), { force: true });
  }

  async #write(file: string, parts: readonly Uint8Array[]): Promise<void> {
    const handle = await this.#fs.open(file, 'w', 0o600);
    try {
      for (const part of parts) await handle.writeFile(part);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async #syncDirectory(): Promise<void> {
    const handle = await this.#fs.open(this.#directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Numbers of the checkpoints there are, ascending. Left-over temporary files do not count. */
  async #numbers(): Promise<number[]> {
    try {
      const names = await this.#fs.readdir(this.#directory);
      return names
        .flatMap((name) => NAME.exec(name)?.[1] ?? [])
        .map(Number)
        .sort((a, b) => a - b);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }

  async #bytes(file: string): Promise<Uint8Array> {
    const { size } = await this.#fs.stat(file);
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, the limit is ${MAX_BYTES}`);
    return this.#fs.readFile(file);
  }

  #file(number: number): string {
    return path.join(this.#directory, PREFIX + String(number).padStart(12, '0'));
  }

  #explain(error: unknown, bytes: number): Error {
    const code = codeOf(error);
    if (code === 'ENOSPC' || code === 'EDQUOT') {
      return new VolumeFullError(
        `A checkpoint of ${(bytes / 1024).toFixed(0)} KiB does not fit on the volume of ${this.#directory}. ` +
          'Set a larger storage.size, or remove data from the volume. The checkpoint before it is kept.',
        { cause: error },
      );
    }
    return error instanceof Error ? error : new Error(String(error));
  }
}

function read(bytes: Uint8Array): Snapshot {
  const body = bytes.subarray(DIGEST_BYTES);
  const isWhole = bytes.length > DIGEST_BYTES && Buffer.compare(bytes.subarray(0, DIGEST_BYTES), digestOf(body)) === 0;
  if (!isWhole) throw new Error('its digest does not match: it was torn or changed');
  const { age, tensors } = stored.parse(decode(body));
  return {
    age,
    tensors: tensors.map(({ name, shape, data }) => {
      if (data.length % 4 !== 0) throw new Error(`tensor ${name} has ${data.length} bytes, no multiple of 4`);
      const values = new Float32Array(data.length / 4);
      unpackFloat32(data, values);
      return { name, shape, data: values };
    }),
  };
}

function digestOf(body: Uint8Array): Uint8Array {
  return createHash('sha256').update(body).digest();
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
