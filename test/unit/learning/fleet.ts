import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { ModelSpec } from '../../../src/api/index.ts';
import { type Backend, loadBackend } from '../../../src/learning/backend.ts';
import { memorySource } from '../../../src/learning/byte-source.ts';
import type {
  BackendName,
  DataFile,
  ModelInput,
  PartitionSlot,
  Snapshot,
  StartModel,
} from '../../../src/learning/contract.ts';
import { readCsv } from '../../../src/learning/csv.ts';
import { DEFAULT_DATA_LIMITS } from '../../../src/learning/data-limits.ts';
import type { Dataset } from '../../../src/learning/dataset.ts';
import { Engine } from '../../../src/learning/engine.ts';
import { seeded } from '../../../src/learning/random.ts';
import type { LearnableModelSpec } from '../../../src/learning/spec.ts';

/** Bundled data sets, as stored. */
export const DIGITS = readFileSync(new URL('../../../data/digits.csv.gz', import.meta.url));
export const SPAMBASE = readFileSync(new URL('../../../data/spambase.csv.gz', import.meta.url));

export const digits = (): Promise<Dataset> =>
  readCsv(
    memorySource('digits.csv.gz', DIGITS),
    { label: 'last', classes: 10 },
    { limits: DEFAULT_DATA_LIMITS, scratch: tmpdir() },
  );

/** All features of a table, row by row. */
export const featuresOf = (table: Dataset): Float32Array =>
  table.read(Int32Array.from({ length: table.rows }, (_, row) => row));

/** A spec of the digits with changes, defaults filled in as the API server does. */
export function digitsSpec(
  changes: { data?: object; learning?: object; architecture?: object } = {},
): LearnableModelSpec {
  return ModelSpec.parse({
    architecture: { preset: 'mlp', ...changes.architecture },
    data: { source: { builtin: 'digits' }, classes: 10, scale: '16', ...changes.data },
    learning: changes.learning ?? {},
  });
}

let loaded: Promise<Backend> | undefined;

/** The wasm backend, once a test file. */
export function wasm(name: BackendName = 'wasm'): Promise<Backend> {
  loaded ??= loadBackend(name, () => undefined);
  return loaded;
}

export interface EngineOptions {
  readonly spec?: LearnableModelSpec;
  readonly uid?: string;
  readonly partition?: PartitionSlot;
  readonly data?: DataFile;
  readonly ownData?: DataFile;
  readonly scaling?: ModelInput['scaling'];
  readonly resume?: Snapshot;
  readonly start?: StartModel;
}

export async function engine(options: EngineOptions = {}): Promise<Engine> {
  return Engine.create(await wasm(), {
    model: { uid: options.uid ?? 'uid-1', name: 'digits', spec: options.spec ?? digitsSpec(), probeSeed: 7 },
    partition: options.partition ?? { index: 0, of: 4 },
    data: options.data ?? DIGITS,
    ownData: options.ownData,
    scaling: options.scaling,
    resume: options.resume,
    start: options.start,
  });
}

export function fleet(of: number, options: EngineOptions = {}): Promise<Engine[]> {
  return Promise.all(Array.from({ length: of }, (_, index) => engine({ ...options, partition: { index, of } })));
}

/**
 * Gossips: in every exchange each validator, in turn, pushes its model to a random neighbour, which merges it and
 * trains. Gives the number of refused messages.
 */
export function gossip(engines: readonly Engine[], exchanges: number, seed = 1): number {
  const random = seeded(seed);
  let refused = 0;
  for (let exchange = 0; exchange < exchanges; exchange++) {
    engines.forEach((sender, at) => {
      const other = (at + 1 + Math.floor(random() * (engines.length - 1))) % engines.length;
      const receiver = engines[other]!;
      if (!receiver.merge(messageOf(sender)).accepted) refused++;
      receiver.update();
    });
  }
  return refused;
}

/** A message between equals. */
export function messageOf(sender: Engine): Uint8Array {
  const message = sender.message();
  if (message === undefined) throw new Error('this strategy has nothing to say');
  return message;
}

export const leastAccuracy = (engines: readonly Engine[]): number =>
  Math.min(...engines.map((each) => each.evaluate().accuracy));
