import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import {
  createLearner,
  type Learner,
  type LearnerInit,
  LearnerStoppedError,
  loadData,
} from '../../../src/learning/index.ts';
import { DIGITS, digitsSpec } from './fleet.ts';

const limit = { timeout: 60_000 };
const open: Learner[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((learner) => learner.close()));
});

function learner(changes: Partial<LearnerInit> = {}, spec = digitsSpec()): Learner {
  const made = createLearner({
    model: { uid: 'uid-1', name: 'digits', spec, probeSeed: 7 },
    partition: { index: 0, of: 4 },
    data: DIGITS,
    backend: 'wasm',
    log: () => undefined,
    ...changes,
  });
  open.push(made);
  return made;
}

describe('a learner, in its worker', () => {
  it(
    'learns from a neighbour, and tells messages, snapshots and predictions over the thread border',
    limit,
    async () => {
      const [one, two] = [learner(), learner({ partition: { index: 1, of: 4 } })];
      await Promise.all([one.ready(), two.ready()]);
      expect(one.backend).toBe('wasm');
      await expect(two.update()).resolves.toMatchObject({ age: 10 });
      const bytes = await two.message();
      if (bytes === undefined) throw new Error('it has nothing to say');
      expect(bytes).toBeInstanceOf(Uint8Array);
      expect(bytes.length).toBeLessThan(one.maxMessageBytes);
      await expect(one.merge(bytes)).resolves.toMatchObject({ accepted: true, age: 10 });
      const snapshot = await one.snapshot();
      expect(snapshot.tensors[0]?.data).toBeInstanceOf(Float32Array);
      await two.load(snapshot);
      expect(await two.snapshot()).toEqual(snapshot);
      await expect(one.score(snapshot)).resolves.toEqual(await two.score(snapshot));
      await expect(one.evaluate()).resolves.toMatchObject({ accuracy: expect.any(Number) });
      await one.repartition({ index: 2, of: 5 });
      expect((await one.predict([Array(64).fill(0)]))[0]).toHaveLength(10);
    },
  );

  it('reads a file that is open on the main thread, and needs it no more once it is ready', limit, async () => {
    const dataDir = fileURLToPath(new URL('../../../data', import.meta.url));
    const fetch = () => Promise.reject(new Error('no network here'));
    const { file, release } = await loadData(digitsSpec().data, { dataDir, fetch, memoryBytes: 1 });
    expect(file).toHaveProperty('descriptor');
    const [one, two] = [learner({ data: file }), learner()];
    await one.ready();
    await release();
    expect(await one.update()).toEqual(await two.update());
    expect(await one.evaluate()).toEqual(await two.evaluate());
  });

  it('does calls that come before it is ready, in order', limit, async () => {
    const one = learner();
    const ages = await Promise.all([one.update(), one.update(), one.update()]);
    expect(ages.map(({ age }) => age)).toEqual([10, 20, 30]);
  });

  it('keeps the main thread free while it trains', limit, async () => {
    const one = learner({}, digitsSpec({ learning: { localSteps: 400 } }));
    await one.ready();
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    const started = performance.now();
    await one.update();
    clearInterval(beat);
    // Far from the whole training time, even on a busy machine.
    expect(longest).toBeLessThan((performance.now() - started) * 0.8);
  });

  it('rejects ready, and every call, with what is wrong with the data', limit, async () => {
    const one = learner({ data: Buffer.from('1,2,0\n1,0\n') });
    await expect(one.ready()).rejects.toMatchObject({ name: 'DataError', reason: 'DataMalformed' });
    await expect(one.update()).rejects.toMatchObject({ name: 'DataError' });
  });

  it('rejects ready with ModelError for layers that do not fit', limit, async () => {
    const spec = {
      ...digitsSpec(),
      architecture: { layers: [{ class_name: 'Dense' as const, config: { units: 3 } }] },
    };
    await expect(learner({}, spec).ready()).rejects.toMatchObject({ name: 'ModelError' });
  });

  it('says which backend is missing when one is demanded', limit, async () => {
    await expect(learner({ backend: 'tensorflow-gpu' }).ready()).rejects.toMatchObject({
      name: 'BackendUnavailableError',
      message: expect.stringContaining('MURMURATION_BACKEND'),
    });
  });

  it('keeps its errors apart: bad input is the caller’s, and the learner lives on', limit, async () => {
    const one = learner();
    await expect(one.predict([[1, 2]])).rejects.toMatchObject({ name: 'BadInputError' });
    await expect(one.load({ age: 1, tensors: [] })).rejects.toMatchObject({ name: 'ModelError' });
    await expect(one.predict([(() => 1) as unknown as number[]])).rejects.toBeInstanceOf(Error);
    await expect(one.merge(new Uint8Array(2))).resolves.toMatchObject({ accepted: false });
    await expect(one.update()).resolves.toMatchObject({ age: 10 });
  });

  it('stops a worker that does not answer in time, and says so in every call', limit, async () => {
    const one = learner({ deadlineMilliseconds: 30 }, digitsSpec({ learning: { localSteps: 10_000 } }));
    await one.ready();
    const [first, second] = await Promise.allSettled([one.update(), one.evaluate()]);
    for (const outcome of [first, second]) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(LearnerStoppedError) });
    }
    await expect(one.update()).rejects.toThrow(/did not answer update/);
  });

  it('rejects what is under way and what comes later when closed; closing twice is fine', limit, async () => {
    const one = learner();
    const pending = one.update();
    const settled = Promise.allSettled([pending, one.ready()]);
    await one.close();
    await one.close();
    for (const outcome of await settled) expect(outcome).toMatchObject({ status: 'rejected' });
    await expect(one.evaluate()).rejects.toBeInstanceOf(LearnerStoppedError);
  });
});
