import { describe, expect, it } from 'vitest';
import { ModelSpec } from '../../../src/api/index.ts';
import { digitsSpec, engine, fleet, gossip, leastAccuracy, messageOf, SPAMBASE } from './fleet.ts';

const limit = { timeout: 120_000 };

describe('gossip learning on the digits, four validators', () => {
  it('reaches 0.95 on every validator within 300 exchanges, each seeing a quarter of the data', limit, async () => {
    const engines = await fleet(4);
    const refused = gossip(engines, 150);
    // What an honest model costs that is a little behind the others: one in twenty, of those that are no better than one's own.
    expect(refused).toBeLessThanOrEqual(0.05 * 600);
    expect(leastAccuracy(engines)).toBeGreaterThanOrEqual(0.95);
  });

  it('reaches 0.90 on every validator within 1000 exchanges, each knowing two to four digits', limit, async () => {
    const spec = digitsSpec({
      data: { partition: 'byLabel' },
      learning: { localSteps: 2, optimizer: { learningRate: '0.3' } },
    });
    const engines = await fleet(4, { spec });
    let refused = gossip(engines, 200);
    // Not by luck at one moment: the running average does not swing towards one's own digits.
    for (let seed = 2; seed < 12; seed++) {
      refused += gossip(engines, 10, seed);
      expect(leastAccuracy(engines)).toBeGreaterThanOrEqual(0.91);
    }
    // An honest model may look like a poisoned one right after training on two digits, but rarely.
    expect(refused).toBeLessThanOrEqual(24);
  });

  it('is what makes them learn: alone on its two to four digits a validator stays below 0.45', limit, async () => {
    const spec = digitsSpec({ data: { partition: 'byLabel' }, learning: { localSteps: 2 } });
    const alone = await engine({ spec });
    for (let i = 0; i < 300; i++) alone.update();
    expect(alone.evaluate().accuracy).toBeLessThan(0.45);
  });

  it('goes on when one of four sends poison', limit, async () => {
    const engines = await fleet(4);
    gossip(engines, 40);
    const [liar, ...honest] = engines;
    const { age, tensors } = liar!.snapshot();
    liar!.load({ age, tensors: tensors.map((each) => ({ ...each, data: each.data.map((w) => -4 * w) })) });
    const poison = messageOf(liar!);
    for (let round = 0; round < 20; round++) {
      for (const each of honest) expect(each.merge(poison)).toMatchObject({ accepted: false });
      gossip(honest, 1, round);
    }
    expect(leastAccuracy(honest)).toBeGreaterThanOrEqual(0.95);
  });

  it('lets a newcomer take over what the fleet knows with its first message', limit, async () => {
    const engines = await fleet(4);
    gossip(engines, 60);
    const newcomer = await engine({ partition: { index: 3, of: 4 } });
    expect(newcomer.evaluate().accuracy).toBeLessThan(0.4);
    expect(newcomer.merge(messageOf(engines[0]!))).toMatchObject({ accepted: true, age: engines[0]!.age });
    expect(newcomer.evaluate().accuracy).toBeGreaterThanOrEqual(0.93);
    // What the newcomer sends meanwhile changes nothing and counts as no offence.
    const untrained = await engine({ partition: { index: 3, of: 4 } });
    const before = engines[1]!.snapshot();
    expect(engines[1]!.merge(messageOf(untrained))).toMatchObject({ accepted: true, age: before.age });
    expect(engines[1]!.snapshot()).toEqual(before);
  });
});

describe('gossip learning on Spambase, four validators, logistic regression', () => {
  const spambase = (partition: string) =>
    ModelSpec.parse({
      architecture: { preset: 'logistic' },
      data: { source: { builtin: 'spambase' }, classes: 2, partition, split: { testRows: 461 } },
      learning: { localSteps: 4, optimizer: { learningRate: '0.1' } },
    });

  it.each(['iid', 'byLabel'])('comes to an error below 0.10, partition %s', limit, async (partition) => {
    const engines = await fleet(4, { spec: spambase(partition), data: SPAMBASE });
    gossip(engines, 150);
    expect(1 - leastAccuracy(engines)).toBeLessThanOrEqual(0.1);
  });
});
