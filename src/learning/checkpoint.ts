import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { decodeChecked, encode } from '../codec/index.ts';
import { type Disk, namesIn, realDisk, removeIfThere, replaceFile } from '../disk/index.ts';
import { packFloat32, unpackFloat32 } from './compression.ts';
import type { LearnerLog, Snapshot } from './contract.ts';

const PREFIX = 'checkpoint-';
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
  readonly #fs: Disk;
  readonly #log: LearnerLog;
  /** Saves wait for each other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directory: string, options: { readonly fs?: Disk; readonly log?: LearnerLog } = {}) {
    this.#directory = directory;
    this.#fs = options.fs ?? realDisk;
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
    const numbers = await this.#numbers();
    const file = this.#file((numbers.at(-1) ?? 0) + 1);
    const body = encode({
      v: 1,
      age: snapshot.age,
      tensors: snapshot.tensors.map(({ name, shape, data }) => ({
        name,
        shape: [...shape],
        data: packFloat32(data).data,
      })),
    } satisfies z.output<typeof stored>);
    await replaceFile(this.#fs, file, [digestOf(body), body]);
    for (const old of numbers.slice(0, -(KEPT - 1))) await removeIfThere(this.#fs, this.#file(old));
  }

  /** Numbers of the checkpoints there are, ascending. Left-over temporary files do not count. */
  async #numbers(): Promise<number[]> {
    return (await namesIn(this.#fs, this.#directory))
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  async #bytes(file: string): Promise<Uint8Array> {
    const size = await this.#fs.size(file);
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, the limit is ${MAX_BYTES}`);
    return this.#fs.readFile(file);
  }

  #file(number: number): string {
    return path.join(this.#directory, PREFIX + String(number).padStart(12, '0'));
  }
}

function read(bytes: Uint8Array): Snapshot {
  const body = bytes.subarray(DIGEST_BYTES);
  const isWhole = bytes.length > DIGEST_BYTES && Buffer.compare(bytes.subarray(0, DIGEST_BYTES), digestOf(body)) === 0;
  if (!isWhole) throw new Error('its digest does not match: it was torn or changed');
  const { age, tensors } = decodeChecked(body, stored, { what: 'a checkpoint', maxBytes: MAX_BYTES });
  return {
    age,
    tensors: tensors.map(({ name, shape, data }) => {
      if (data.length % 4 !== 0) throw new Error(`tensor ${name} has ${data.length} bytes, no multiple of 4`);
      const values = new Float32Array(data.length / 4);
      unpackFloat32({ data }, values);
      return { name, shape, data: values };
    }),
  };
}

function digestOf(body: Uint8Array): Uint8Array {
  return createHash('sha256').update(body).digest();
}
