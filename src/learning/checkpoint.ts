import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { decodeChecked, encode } from '../codec/index.ts';
import { type Disk, namesIn, realDisk, removeIfThere, replaceFile } from '../disk/index.ts';
import { packFloat32, unpackFloat32 } from './compression.ts';
import type { LearnerLog, Snapshot } from './contract.ts';
import { CheckpointsUnusableError } from './errors.ts';

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

export interface CheckpointOptions {
  readonly fs?: Disk;
  readonly log?: LearnerLog;
  /** A checkpoint that is there cannot be used. */
  readonly onUnusable?: (file: string, why: string) => void;
}

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
  readonly #onUnusable: (file: string, why: string) => void;
  /** Found so by `load`; they are no predecessors, and go with the next save. */
  readonly #unusable = new Set<number>();
  /** Saves and loads wait for each other. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(directory: string, { fs = realDisk, log, onUnusable }: CheckpointOptions = {}) {
    this.#directory = directory;
    this.#fs = fs;
    this.#log = log ?? (() => undefined);
    this.#onUnusable = onUnusable ?? (() => undefined);
  }

  /** Saves durably. @throws VolumeFullError when the volume has no room, or the disk's error; the previous checkpoint stays */
  save(snapshot: Snapshot): Promise<void> {
    return this.#inTurn(() => this.#save(snapshot));
  }

  /**
   * The newest checkpoint that is whole, or undefined when there was never one.
   * @throws CheckpointsUnusableError when there are some and none is whole, or the disk does not say
   */
  load(): Promise<Snapshot | undefined> {
    return this.#inTurn(() => this.#load());
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(act);
    this.#queue = done.catch(() => undefined);
    return done;
  }

  async #load(): Promise<Snapshot | undefined> {
    const numbers = await this.#numbers().catch((cause: unknown) => {
      throw new CheckpointsUnusableError(`The folder of checkpoints cannot be read: ${messageOf(cause)}.`, { cause });
    });
    for (const number of numbers.toReversed()) {
      const file = this.#file(number);
      try {
        return read(await this.#bytes(file));
      } catch (error) {
        const why = messageOf(error);
        const isLast = number === numbers[0];
        const then = isLast ? 'and there is none before it' : 'trying the one before it';
        this.#log('warn', `checkpoint not usable, ${then}`, { file, why });
        this.#onUnusable(file, why);
        this.#unusable.add(number);
      }
    }
    if (numbers.length === 0) return undefined;
    throw new CheckpointsUnusableError(`None of ${numbers.length} checkpoints under ${this.#directory} can be used.`);
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
    await this.#tidy(numbers);
  }

  /** Removes what is no longer needed beside a new checkpoint. What stays for now goes with the next. */
  async #tidy(numbers: readonly number[]): Promise<void> {
    const kept = numbers.filter((number) => !this.#unusable.has(number)).slice(-(KEPT - 1));
    for (const number of numbers) {
      if (kept.includes(number)) continue;
      const file = this.#file(number);
      await removeIfThere(this.#fs, file).catch((error: unknown) =>
        this.#log('warn', 'an old checkpoint cannot be removed', { file, why: messageOf(error) }),
      );
    }
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

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

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
