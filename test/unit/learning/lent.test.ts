import { describe, expect, it } from 'vitest';
import type { LentRows } from '../../../src/learning/contract.ts';
import { BadInputError, ModelError } from '../../../src/learning/errors.ts';
import { digits, digitsSpec, engine } from './fleet.ts';

const table = await digits();
const rowAt = (row: number): Float32Array => table.read(Int32Array.of(row));

/** Rows of the bundled digits that have this label, as a user would lend them. */
function rowsOf(label: number, from = 0, to = Number.POSITIVE_INFINITY): LentRows {
  const rows = [...table.labels.keys()].filter((row) => table.labels[row] === label).slice(from, to);
  const features = rows.flatMap((row) => [...rowAt(row)]);
  return { features: Float32Array.from(features), labels: Int32Array.from(rows, () => label) };
}

const csv = (labels: (label: number) => boolean): Uint8Array =>
  Buffer.from(
    [...table.labels.keys()]
      .filter((row) => labels(table.labels[row]!))
      .map((row) => [...rowAt(row), table.labels[row]].join(','))
      .join('\n'),
  );

/** Share of rows of one label that are told right. */
function toldRight(one: Awaited<ReturnType<typeof engine>>, { features, labels }: LentRows): number {
  const rows = [...labels.keys()].map((row) => [...features.subarray(row * 64, (row + 1) * 64)]);
  return one.predict(rows).filter((p, row) => p.indexOf(Math.max(...p)) === labels[row]).length / rows.length;
}

const own = { spec: digitsSpec({ data: { partition: 'own' } }), ownData: csv((label) => label !== 9) };

describe('lent rows', { timeout: 60_000 }, () => {
  it('teach a class that the own data do not have, and are forgotten when they are taken back', async () => {
    const one = await engine(own);
    const asked = rowsOf(9, 100);
    for (let i = 0; i < 50; i++) one.update();
    expect(toldRight(one, asked)).toBe(0);
    one.lend(rowsOf(9, 0, 100));
    for (let i = 0; i < 50; i++) one.update();
    expect(toldRight(one, asked)).toBeGreaterThan(0.8);
    one.lend(undefined);
    for (let i = 0; i < 100; i++) one.update();
    expect(toldRight(one, asked)).toBeLessThan(0.8);
  });

  it('stay when the data are dealt out anew', async () => {
    const one = await engine({ partition: { index: 0, of: 1 }, ...own });
    one.lend(rowsOf(9, 0, 100));
    one.repartition({ index: 1, of: 2 });
    for (let i = 0; i < 50; i++) one.update();
    expect(toldRight(one, rowsOf(9, 100))).toBeGreaterThan(0.8);
  });

  it.each([
    ['of another length', { features: new Float32Array(63), labels: new Int32Array(1) }, /takes 64 a row/],
    [
      'with a label that there is not',
      { features: new Float32Array(64), labels: Int32Array.of(10) },
      /Row 1 has label 10/,
    ],
    ['with a negative label', { features: new Float32Array(64), labels: Int32Array.of(-1) }, /label -1/],
    ['with what is no number', { features: new Float32Array(64).fill(Number.NaN), labels: Int32Array.of(1) }, /Row 1/],
    ['far out of range', { features: new Float32Array(64).fill(33), labels: Int32Array.of(1) }, /33 in feature 1/],
  ])('are refused %s, and those before stay', async (_, rows, why) => {
    const one = await engine(own);
    one.lend(rowsOf(9, 0, 100));
    expect(() => one.lend(rows)).toThrow(BadInputError);
    expect(() => one.lend(rows)).toThrow(why);
    for (let i = 0; i < 50; i++) one.update();
    expect(toldRight(one, rowsOf(9, 100))).toBeGreaterThan(0.8);
  });

  it.each([17, 2.5, -1])('are refused with %s where token ids are learned', async (value) => {
    const spec = digitsSpec({ data: { scale: undefined }, architecture: { preset: 'text', vocabulary: 17 } });
    const one = await engine({ spec });
    const rows = rowsOf(9, 0, 1);
    one.lend(rows);
    rows.features[5] = value;
    expect(() => one.lend(rows)).toThrow(/in feature 6, which is no token of model digits: .* from 0 to 16/);
  });

  it('are left as they were given', async () => {
    const rows = rowsOf(9, 0, 3);
    const before = rows.features.slice();
    (await engine(own)).lend(rows);
    expect(rows.features).toEqual(before);
  });
});

describe('a message of somebody who is trusted less', { timeout: 60_000 }, () => {
  it('moves the weights by its share at most, and leaves the age', async () => {
    const [one, two] = [await engine(), await engine({ partition: { index: 1, of: 4 } })];
    one.update();
    for (let i = 0; i < 50; i++) two.update();
    const apart = one.blend(two.frame(), { maxShare: 0 }).distance;
    expect(one.blend(two.frame(), { maxShare: 0.25 })).toMatchObject({ accepted: true, age: 10 });
    const left = one.blend(two.frame(), { maxShare: 0 }).distance;
    // A quarter of the way, told relative to weights that have grown meanwhile.
    expect(left / apart).toBeGreaterThan(0.55);
    expect(left / apart).toBeLessThan(0.8);
    expect(one.age).toBe(10);
  });

  it('is held against the shared probe like any other', async () => {
    const [one, two] = [await engine(), await engine()];
    for (let i = 0; i < 20; i++) one.update();
    const { age, tensors } = two.snapshot();
    two.load({ age, tensors: tensors.map((tensor) => ({ ...tensor, data: tensor.data.map((w) => w * -40) })) });
    expect(one.blend(two.frame(), { maxShare: 0.2 })).toMatchObject({ accepted: false, age: 200 });
  });
});

describe('a frame that is adopted', { timeout: 60_000 }, () => {
  it('gives its weights and age', async () => {
    const [one, two] = [
      await engine({ spec: digitsSpec({ learning: { compression: { bits: 32 } } }) }),
      await engine(),
    ];
    for (let i = 0; i < 5; i++) one.update();
    two.adopt(one.frame());
    expect(two.age).toBe(50);
    expect(two.blend(one.frame(), { maxShare: 0 }).distance).toBe(0);
    expect(() => two.adopt(new Uint8Array(3))).toThrow(ModelError);
  });
});

it('a learner elsewhere scales as it is told', async () => {
  const spec = digitsSpec({
    data: { scale: undefined, source: { claim: { claimName: 'c', path: 'few.csv' } }, split: { testRows: 5 } },
  });
  const scaling = { factor: Array(64).fill(0.5), offset: Array(64).fill(1) };
  const few = { spec, data: csv((label) => label === 9) };
  expect((await engine({ ...few, scaling })).input).toEqual({ columns: 64, scaling });
  await expect(engine({ ...few, scaling: { factor: [1], offset: [1] } })).rejects.toThrow(ModelError);
});
