import { describe, expect, it } from 'vitest';
import { ModelSpec } from '../../../src/api/index.ts';
import { Guard } from '../../../src/learning/guard.ts';
import { layoutOf } from '../../../src/learning/layout.ts';
import { Participant } from '../../../src/learning/participant.ts';
import { createStrategy, packingOf } from '../../../src/learning/strategies.ts';
import type { Trainee } from '../../../src/learning/trainee.ts';

const layout = layoutOf([{ name: 'kernel', shape: [4] }]);

/** Its loss is how far the first weight is from 10; each training brings all weights one nearer. */
const trainee: Trainee = {
  layout,
  guessing: 10,
  train: (weights) => {
    weights.forEach((w, i) => {
      weights[i] = w + 1;
    });
    return { steps: 1, loss: 1 };
  },
  probe: ([first = 0]) => Math.abs(10 - first),
};

function participant(learning: object = {}, guard = new Guard(trainee, { clips: false, alike: false })): Participant {
  const { learning: chosen } = ModelSpec.parse({
    data: { source: { builtin: 'digits' }, classes: 10 },
    learning: { ...learning, compression: { bits: 32, ...(learning as { compression?: object }).compression } },
  });
  return new Participant({
    uid: 'uid-1',
    trainee,
    start: new Float32Array(4),
    strategy: createStrategy(chosen, layout.size),
    packing: packingOf(chosen.compression),
    guard,
  });
}

describe('a frame for who takes no part in the strategy', () => {
  it.each([
    { strategy: 'gossip' },
    { strategy: 'gossip', compression: { partitions: 2 } },
    { strategy: 'outer', compression: { topK: '0.5' } },
    { strategy: 'federated' },
    { strategy: 'grouped' },
  ])('holds all weights, and comes back: %o', (learning) => {
    const [validator, user] = [participant(learning), participant({ strategy: 'gossip' })];
    validator.update();
    user.adopt(validator.frame());
    expect([...user.own.flat, user.own.age]).toEqual([1, 1, 1, 1, 1]);
    for (let i = 0; i < 4; i++) user.update();
    expect(validator.blend(user.frame(), { maxShare: 0.25 })).toMatchObject({ accepted: true, age: 1 });
    expect([...validator.own.flat, validator.own.age]).toEqual([2, 2, 2, 2, 1]);
  });

  it('counts for less, the younger it is', () => {
    const [old, young] = [participant(), participant()];
    for (let i = 0; i < 9; i++) old.update();
    young.update();
    old.blend(young.frame(), { maxShare: 0.5 });
    expect(old.own.flat[0]).toBeCloseTo(9 - 0.8, 5);
  });

  it('is no frame that a strategy sent', () => {
    const [outer, parts, other] = [
      participant({ strategy: 'outer' }),
      participant({ compression: { partitions: 2 } }),
      participant({ strategy: 'outer' }),
    ];
    for (const message of [outer.message(), parts.message()]) {
      expect(other.blend(message ?? new Uint8Array(), { maxShare: 1 }).reason).toContain('does not hold all weights');
      expect(() => other.adopt(message ?? new Uint8Array())).toThrow('does not hold all weights');
    }
  });

  it('is held against the probe, which those of neighbours are not held against it', () => {
    const guard = new Guard(trainee, { clips: true, alike: false });
    const [one, bad, fair] = [participant({}, guard), participant(), participant()];
    one.load(Float32Array.of(9.5, 0, 0, 0), 100);
    bad.load(Float32Array.of(-90, 0, 0, 0), 100);
    expect(one.blend(bad.frame(), { maxShare: 0.2 })).toMatchObject({ accepted: false, age: 100 });
    fair.load(Float32Array.of(9.4, 0, 0, 0), 100);
    const judged = () => guard.judge(Float32Array.of(9.5, 0, 0, 0), Float32Array.of(8, 0, 0, 0), 0.5, false, 1, false);
    const before = judged();
    for (let i = 0; i < 40; i++) one.blend(fair.frame(), { maxShare: 0.2 });
    expect(judged()).toEqual(before);
  });
});
