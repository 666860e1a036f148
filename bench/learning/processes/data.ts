import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_DATA_LIMITS } from '../../../src/learning/data-limits.ts';
import { createLearner, type Evaluation, type Snapshot } from '../../../src/learning/index.ts';
import { applyScaling, partitionRows, scalingOf, splitRows } from '../../../src/learning/split.ts';
import { prepareData } from '../../../src/learning/tables.ts';
import type { CharterModel } from '../../../src/overlay/index.ts';
import { dataOf } from '../../../src/validator/data.ts';

/** What the rows held out say of each of these weights. */
export async function judge(
  model: CharterModel,
  snapshots: readonly Snapshot[],
  mounts: string,
  signal: AbortSignal,
): Promise<readonly Evaluation[]> {
  const { data, release } = await dataOf(model, { mounts }, signal);
  const learner = createLearner({ model, partition: { index: 0, of: 1 }, data, backend: 'wasm', log: () => undefined });
  try {
    await learner.ready();
    const found: Evaluation[] = [];
    for (const snapshot of snapshots) {
      await learner.load(snapshot);
      found.push(await learner.evaluate());
    }
    return found;
  } finally {
    await learner.close();
    await release?.();
  }
}

/** A model's data, dealt out as validators do it, in files that NumPy reads. */
export interface Dealt {
  /** Scaled features, row after row: float32, little-endian. */
  readonly features: string;
  /** int32, little-endian. */
  readonly labels: string;
  /** Rows that are held out. */
  readonly test: readonly number[];
  /** Rows of each part. */
  readonly parts: readonly (readonly number[])[];
}

/** Writes the data of a model into a folder, dealt out to so many. */
export async function deal(
  model: CharterModel,
  of: number,
  mounts: string,
  folder: string,
  signal: AbortSignal,
): Promise<Dealt> {
  const { data, release } = await dataOf(model, { mounts }, signal);
  const { shared, scale } = await prepareData({ model, data }, { limits: DEFAULT_DATA_LIMITS, scratch: folder });
  await release?.();
  const { split, partition } = model.spec.data;
  const { test, train } = splitRows(shared.rows, split);
  const features = shared.read(Int32Array.from({ length: shared.rows }, (_, row) => row));
  applyScaling(features, scalingOf(shared, train, scale));
  const files = { features: join(folder, 'features.f32'), labels: join(folder, 'labels.i32') };
  writeFileSync(files.features, features);
  writeFileSync(files.labels, Int32Array.from(shared.labels));
  const parts = Array.from({ length: of }, (_, index) => [
    ...partitionRows(train, shared.labels, partition, { index, of }),
  ]);
  shared.close();
  return { ...files, test: [...test], parts };
}
