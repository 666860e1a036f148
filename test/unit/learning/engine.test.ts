import { describe, expect, it } from 'vitest';
import { DataError, ModelError } from '../../../src/learning/errors.ts';
import { splitRows } from '../../../src/learning/split.ts';
import { DIGITS, digits, digitsSpec, engine, fleet, gossip, leastAccuracy, messageOf, wasm } from './fleet.ts';

describe('an engine', { timeout: 60_000 }, () => {
  it('starts from weights that the model’s uid alone decides', async () => {
    const [first, second] = await fleet(2);
    expect(second!.snapshot()).toEqual(first!.snapshot());
    expect((await engine({ uid: 'uid-2' })).snapshot()).not.toEqual(first!.snapshot());
    expect(first!.snapshot().tensors.map(({ name, shape }) => [name, ...shape])).toEqual([
      ['0_dense/kernel', 64, 32],
      ['0_dense/bias', 32],
      ['1_dense/kernel', 32, 10],
      ['1_dense/bias', 10],
    ]);
  });

  it('grows its age by the local steps, and its loss falls', async () => {
    const one = await engine({ spec: digitsSpec({ learning: { localSteps: 3 } }) });
    const first = one.update();
    expect(first.age).toBe(3);
    let last = first;
    for (let i = 0; i < 60; i++) last = one.update();
    expect(last.age).toBe(183);
    expect(last.loss).toBeLessThan(first.loss / 2);
  });

  it('leaves no tensor behind in 200 rounds of everything', async () => {
    const { core } = await wasm();
    const [one, two] = await fleet(2, { spec: digitsSpec({ learning: { localSteps: 1 } }) });
    const round = () => {
      one!.merge(messageOf(two!));
      one!.update();
      one!.evaluate();
      one!.load(one!.snapshot());
      one!.score(two!.snapshot());
      one!.predict([Array(64).fill(1)]);
      one!.merge(new Uint8Array(3));
    };
    round();
    const { numTensors, numDataBuffers } = core.memory();
    for (let i = 0; i < 200; i++) round();
    expect(core.memory()).toMatchObject({ numTensors, numDataBuffers });
  });

  it('frees everything when disposed', async () => {
    const { core } = await wasm();
    const before = core.memory().numTensors;
    const one = await engine({ spec: digitsSpec({ learning: { optimizer: { name: 'adam', learningRate: '0.01' } } }) });
    one.update();
    one.dispose();
    expect(core.memory().numTensors).toBe(before);
  });

  it('goes on from a snapshot at its age', async () => {
    const engines = await fleet(2);
    gossip(engines, 20);
    const saved = engines[0]!.snapshot();
    const restarted = await engine({ resume: saved });
    expect(restarted.age).toBe(saved.age);
    expect(restarted.snapshot()).toEqual(saved);
    expect(restarted.evaluate()).toEqual(engines[0]!.evaluate());
    expect(restarted.update().age).toBe(saved.age + 10);
  });

  const strategies = ['gossip', 'outer', 'federated', 'grouped'] as const;
  it.each(strategies.map((from, i) => ({ from, to: strategies[(i + 1) % strategies.length]! })))(
    'goes on from its weights when $from becomes $to',
    async ({ from, to }) => {
      const one = await engine({ spec: digitsSpec({ learning: { strategy: from } }) });
      for (let i = 0; i < 10; i++) one.update();
      const saved = one.snapshot();
      const changed = await engine({ spec: digitsSpec({ learning: { strategy: to } }), resume: saved });
      expect(changed.snapshot()).toEqual(saved);
      expect(changed.evaluate()).toEqual(one.evaluate());
      expect(changed.update().age).toBe(saved.age + 10);
      expect(changed.evaluate().accuracy).toBeGreaterThan(one.evaluate().accuracy - 0.05);
    },
  );

  it('catches up within a few exchanges after it was away for long, and does not drag the other back', async () => {
    const [away, ...others] = await fleet(3, { spec: digitsSpec({ learning: { localSteps: 4 } }) });
    gossip([away!, ...others], 2);
    gossip(others, 30);
    const { age } = others[0]!.snapshot();
    const before = leastAccuracy(others);
    expect(age).toBeGreaterThan(10 * away!.age);
    expect(away!.evaluate().accuracy).toBeLessThan(before - 0.02);
    gossip([away!, ...others], 5);
    expect(away!.age).toBeGreaterThan(age);
    expect(away!.evaluate().accuracy).toBeGreaterThan(before - 0.02);
    expect(leastAccuracy(others)).toBeGreaterThan(before - 0.02);
  });

  it('merges: age is the maximum, the distance shrinks, losses are those on the shared probe', async () => {
    const [one, two] = await fleet(2);
    for (let i = 0; i < 10; i++) one!.update();
    for (let i = 0; i < 30; i++) two!.update();
    const first = one!.merge(messageOf(two!));
    expect(first).toMatchObject({ accepted: true, age: 300 });
    expect(first.lossAfter).toBeLessThan(first.lossBefore);
    expect(first.distance).toBeGreaterThan(0);
    const second = one!.merge(messageOf(two!));
    expect(second.distance).toBeLessThan(first.distance);
  });

  it('refuses hostile messages and is unchanged by them', async () => {
    const [one, two] = await fleet(2);
    const other = await engine({ uid: 'another model' });
    gossip([one!, two!], 5);
    const before = one!.snapshot();
    for (const bytes of [new Uint8Array(0), new Uint8Array(100_000), messageOf(other), messageOf(two!).slice(0, -1)]) {
      const outcome = one!.merge(bytes);
      expect(outcome).toMatchObject({ accepted: false, age: before.age, distance: Number.NaN });
      expect(outcome.reason).toMatch(/^Message refused: /);
    }
    const { age, tensors } = two!.snapshot();
    two!.load({ age, tensors: tensors.map((each) => ({ ...each, data: each.data.map((w) => -4 * w) })) });
    expect(one!.merge(messageOf(two!)).reason).toMatch(/loss on the shared probe/);
    two!.load({ age, tensors: tensors.map((each) => ({ ...each, data: each.data.map(() => 3e38) })) });
    expect(one!.merge(messageOf(two!)).accepted).toBe(false);
    expect(one!.snapshot()).toEqual(before);
  });

  it('scores foreign weights without touching its own', async () => {
    const [one, two] = await fleet(2);
    for (let i = 0; i < 30; i++) two!.update();
    const before = one!.snapshot();
    const theirs = one!.score(two!.snapshot());
    expect(theirs).toEqual(two!.score(two!.snapshot()));
    expect(theirs.accuracy).toBeGreaterThan(0.8);
    expect(one!.snapshot()).toEqual(before);
    expect(one!.score(before).accuracy).toBeLessThan(0.4);
  });

  it('refuses weights of another model, of another shape, or not finite', async () => {
    const one = await engine();
    const { age, tensors } = one.snapshot();
    const [first, ...rest] = tensors;
    const bad = [
      { age, tensors: rest },
      { age, tensors: [...rest, first!] },
      { age, tensors: [{ ...first!, shape: [32, 64] }, ...rest] },
      { age, tensors: [{ ...first!, data: new Float32Array(3) }, ...rest] },
      { age, tensors: [{ ...first!, data: first!.data.map(() => Number.NaN) }, ...rest] },
      { age: -1, tensors },
    ];
    for (const snapshot of bad) expect(() => one.load(snapshot)).toThrow(ModelError);
  });

  it('predicts, from features on the scale of the file, what it is evaluated by', async () => {
    const one = await engine({ partition: { index: 0, of: 1 } });
    for (let i = 0; i < 20; i++) one.update();
    const table = await digits();
    const { test } = splitRows(table.rows, digitsSpec().data.split);
    const rows = [...test].map((row) => [...table.read(Int32Array.of(row))]);
    const losses = one.predict(rows).map((probabilities, i) => {
      expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
      return -Math.log(probabilities[table.labels[test[i]!]!]!);
    });
    expect(losses.reduce((sum, loss) => sum + loss, 0) / losses.length).toBeCloseTo(one.evaluate().loss, 4);
  });

  it('keeps the held-out rows out of the probe', async () => {
    const one = await engine({ spec: digitsSpec({ data: { split: { testRows: 3 } } }) });
    // A score over 200 rows, not over the 3 held out.
    const { loss } = one.score(one.snapshot());
    expect(loss).not.toBeCloseTo(one.evaluate().loss, 3);
  });

  it.each<[string, unknown, RegExp]>([
    ['none', [], /at least one record/],
    ['no list', 'x', /at least one record/],
    ['too few numbers', [[1, 2]], /Instance 0 has 2 numbers; model digits takes 64/],
    ['a record that is no list', [Array(64).fill(0), 3], /Instance 1 has number/],
    ['text', [Array(64).fill('1')], /finite number at position 0/],
    ['NaN', [[...Array(63).fill(0), Number.NaN]], /finite number at position 63/],
    ['5000 at once', Array(5000).fill([]), /at most 4096/],
  ])('refuses instances: %s', async (_, instances, says) => {
    const one = await engine();
    expect(() => one.predict(instances as number[][])).toThrow(says);
  });

  it('takes another part of the data when told to, and keeps weights and age', async () => {
    const spec = digitsSpec({ data: { partition: 'byLabel' }, learning: { localSteps: 30 } });
    const one = await engine({ spec, partition: { index: 0, of: 4 } });
    one.update();
    const before = one.snapshot();
    one.repartition({ index: 3, of: 4 });
    expect(one.snapshot()).toEqual(before);
    // The first digits of the other part are news to it.
    const lost = one.update().loss;
    one.repartition({ index: 3, of: 4 });
    expect(lost).toBeGreaterThan(one.update().loss);
    expect(() => one.repartition({ index: 4, of: 4 })).toThrow(RangeError);
  });

  it('trains on its own data alone where the partition is own', async () => {
    const spec = digitsSpec({ data: { partition: 'own' } });
    await expect(engine({ spec })).rejects.toThrow(/no data of its own/);
    const narrow = Buffer.from('1,2,0\n1,2,1\n');
    await expect(engine({ spec, ownData: narrow })).rejects.toThrow(/have 2 feature columns, the model's have 64/);
    const zeros = Buffer.from(`${'0,'.repeat(64)}7\n`.repeat(40));
    const one = await engine({ spec, ownData: zeros });
    for (let i = 0; i < 30; i++) one.update();
    const [probabilities] = one.predict([Array(64).fill(0)]);
    expect(probabilities![7]).toBeGreaterThan(0.9);
    expect(one.evaluate().accuracy).toBeLessThan(0.5);
  });

  it('says that the learning rate is too high when training diverges, and stays as it was', async () => {
    const one = await engine({
      spec: digitsSpec({ learning: { optimizer: { learningRate: '100000000000' } }, data: { scale: '0.000001' } }),
    });
    const before = one.message();
    expect(() => one.update()).toThrow(/learningRate below 100000000000/);
    expect(one.message()).toEqual(before);
  });

  it('passes on what is wrong with the data', async () => {
    await expect(engine({ data: Buffer.from('1,0\n1\n') })).rejects.toThrow(DataError);
    await expect(engine({ spec: digitsSpec({ data: { classes: 9 } }) })).rejects.toMatchObject({
      reason: 'LabelOutOfRange',
    });
    await expect(engine({ data: DIGITS.subarray(0, 1000) })).rejects.toMatchObject({ reason: 'DataTruncated' });
  });
});
