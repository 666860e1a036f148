import { describe, expect, it } from 'vitest';
import { ATTACKS, type AttackName } from '../../../bench/learning/attackers.ts';
import { Pegasos, pegasosError, Softmax, type StepOptions, softmaxError } from '../../../bench/learning/linear.ts';
import { EXTREME, Fleet, type FleetOptions, type Peer } from '../../../bench/learning/simulator.ts';
import { besideStragglers } from '../../../bench/learning/stragglers.ts';
import { bundled, type Partition, softmaxes } from '../../../bench/learning/tables.ts';
import { ModelSpec } from '../../../src/api/index.ts';
import { buildModel } from '../../../src/learning/architecture.ts';
import { Network } from '../../../src/learning/network.ts';
import { seeded } from '../../../src/learning/random.ts';
import { wasm } from './fleet.ts';

const spambase = await bundled('spambase');
const STEPS = { localSteps: 4, batchSize: 10, learningRate: 0.3 };

function fleet(
  learning: object,
  more: Partial<FleetOptions> & { partition?: Partition; of?: number; steps?: Partial<StepOptions> } = {},
): Fleet {
  const { partition = 'iid', of = 10, steps, ...rest } = more;
  const rolled = rest.attack === ATTACKS['label roll'] ? (rest.attackers ?? 0) : 0;
  const trainees = softmaxes(spambase, of, partition, { ...STEPS, ...steps }, rolled);
  return new Fleet({ learning, partition, trainees, start: new Float32Array(58 * 2), seed: 1, ...rest });
}
const errors = (peers: readonly Peer[]): number[] =>
  peers.map(({ participant }) => softmaxError(participant.average, spambase.table, spambase.test));
const worst = (peers: readonly Peer[]): number => Math.max(...errors(peers));

describe('the plain learner', () => {
  it('makes the very steps that TensorFlow.js makes', async () => {
    const backend = await wasm();
    const { columns, features, labels } = spambase.table;
    const spec = ModelSpec.parse({
      architecture: { preset: 'logistic' },
      data: { source: { builtin: 'spambase' }, classes: 2 },
      learning: { optimizer: { name: 'sgd', learningRate: '0.3' } },
    });
    const model = await buildModel(backend, spec.architecture, { columns }, 2, 1);
    const network = new Network(backend, model, spec, columns, 2);
    const weights = new Float32Array(network.layout.size);
    network.read(weights);
    const plain = new Softmax(spambase, spambase.train, STEPS, seeded(1));
    expect(plain.layout).toEqual(network.layout);
    for (let step = 0; step < 20; step++) {
      const rows = spambase.train.subarray(step * 10, step * 10 + 10);
      const batch = Float32Array.from(
        [...rows].flatMap((row) => [...features.subarray(row * columns, (row + 1) * columns)]),
      );
      const loss = network.step(
        batch,
        rows.map((row) => labels[row]!),
        step + 1,
      );
      expect(plain.step(weights, rows)).toBeCloseTo(loss, 4);
    }
    const theirs = new Float32Array(weights.length);
    network.read(theirs);
    for (const [i, w] of weights.entries()) expect(w).toBeCloseTo(theirs[i]!, 4);
  });

  it('makes the step of Pegasos', () => {
    const table = { rows: 1, columns: 2, classes: 2, features: Float32Array.of(3, -1), labels: Int32Array.of(1) };
    const one = new Pegasos({ table, probe: Int32Array.of(0) }, Int32Array.of(0), 0.5);
    const weights = Float32Array.of(0, 0, 0);
    expect(one.train(weights, 0)).toEqual({ steps: 1, loss: 1 });
    expect([...weights]).toEqual([6, -2, 2]); // rate 1 / (0.5 * 1)
    one.train(weights, 1); // margin far above 1: only shrinks, by 1 - 1/2
    expect([...weights]).toEqual([3, -1, 1]);
    expect(pegasosError(weights, table, Int32Array.of(0))).toBe(0);
  });
});

describe('a simulated fleet', () => {
  it('does the same again for the same seed, and something else for another', async () => {
    const run = async (seed: number) => {
      const one = fleet({}, { seed, weather: EXTREME });
      await one.run(15);
      one.stop();
      return [one.messages, ...one.peers.map(({ participant }) => participant.own.flat[3])];
    };
    expect(await run(1)).toEqual(await run(1));
    expect(await run(2)).not.toEqual(await run(1));
  });

  it.each<[string, object, Partial<StepOptions>?]>([
    ['gossip', {}],
    ['gossip in parts', { compression: { partitions: 4 } }, { localSteps: 1, learningRate: 0.1 }],
    ['gossip by tokens', { tokens: {} }],
    ['gossip, exponential', { peers: 'exponential' }],
    ['gossip, permutation', { peers: 'permutation' }],
    ['outer', { strategy: 'outer' }],
    ['outer, a tenth of a change', { strategy: 'outer', compression: { topK: '0.1' } }],
    ['federated', { strategy: 'federated' }],
    ['federated, a tenth of a change', { strategy: 'federated', compression: { topK: '0.1' } }],
    ['grouped', { strategy: 'grouped' }],
  ])('learns by %s what nobody of it could alone', async (_, learning, steps = {}) => {
    const one = fleet(learning, { partition: 'byLabel', steps });
    await one.run(120);
    one.stop();
    // With other seeds the worst of ten comes to between 0.12 and 0.18; alone it stays above 0.3.
    expect(worst(one.peers)).toBeLessThan(0.2);
    expect(one.refused).toBeLessThan(0.05 * one.messages);
  });

  it('alone, somebody knows one class only', async () => {
    const one = fleet({}, { partition: 'byLabel', weather: { drop: 1, delay: [0, 0], online: 1, away: 1 } });
    await one.run(60);
    one.stop();
    expect(worst(one.peers)).toBeGreaterThan(0.3);
  });

  it('learns by gossip where half is lost, late and away', async () => {
    const one = fleet({}, { weather: EXTREME });
    await one.run(120);
    one.stop();
    expect(worst(one.peers)).toBeLessThan(0.12);
  });

  it('goes on without its aggregator, and with it when it is back', async () => {
    const one = fleet({
      strategy: 'federated',
      waitMilliseconds: 1000,
      aggregator: { waitSeconds: 5, silentSeconds: 20 },
    });
    const age = (peer: Peer) => peer.participant.own.age;
    await one.run(20);
    const before = one.peers.map(age);
    // Whoever leads: take them away one after another.
    for (const { id } of one.peers.slice(0, 4)) one.setOnline(id, false);
    await one.run(150);
    for (const peer of one.peers.slice(4)) expect(age(peer)).toBeGreaterThan(Math.max(...before) + 40);
    for (const { id } of one.peers.slice(0, 4)) one.setOnline(id, true);
    await one.run(100);
    one.stop();
    const ages = one.peers.map(age);
    expect(Math.max(...ages) - Math.min(...ages)).toBeLessThanOrEqual(8);
    expect(worst(one.peers)).toBeLessThan(0.12);
  });

  it('sends an eighth of the bytes for an eighth of the parts, and less than half of int8 for a tenth of a change', async () => {
    const sizes = async (learning: object) => {
      const one = fleet(learning);
      await one.run(3);
      one.stop();
      return one.bytes / one.messages;
    };
    const whole = await sizes({ compression: { bits: 32 } });
    expect(await sizes({ compression: { bits: 8 } })).toBeLessThan(0.6 * whole);
    expect(await sizes({ compression: { bits: 32, partitions: 8 } })).toBeLessThan(0.35 * whole);
  });
});

describe('a simulated fleet with slow validators', () => {
  // One ten times slower, one behind half a second. A round takes 1.2 s and deviates by 0.29 s: of the 667 rounds of the eight
  // others in 100 s the number deviates by 0.9 %, and that of one run from another by 1.3 %. The bound is three of these.
  it.each<[string, object]>([
    ['gossip', {}],
    ['gossip with momentum', { strategy: 'outer' }],
  ])('trains and learns by %s as if there were none', async (_, learning) => {
    const options = { learning, seed: 1, waits: 100 };
    const without = await besideStragglers(spambase, { ...options, isSlow: false });
    const beside = await besideStragglers(spambase, { ...options, isSlow: true });
    expect(Math.abs(beside.stepsPerSecond / without.stepsPerSecond - 1)).toBeLessThan(0.04);
    expect(beside.error - without.error).toBeLessThan(0.01);
  });

  it('has stragglers that are slow indeed', async () => {
    const one = fleet({}, { of: 4, work: 0.2, stragglers: { 3: { slower: 10 } } });
    await one.run(40);
    one.stop();
    // 1.2 s a round, and 3 s.
    expect(one.steps[3]! / one.steps[0]!).toBeGreaterThan(0.3);
    expect(one.steps[3]! / one.steps[0]!).toBeLessThan(0.5);
  });
});

describe('a validator that was away for long', () => {
  const at = ({ participant }: Peer): number => softmaxError(participant.average, spambase.table, spambase.test);
  const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

  it.each<[string, object]>([
    ['gossip', {}],
    ['gossip with momentum', { strategy: 'outer' }],
    [
      'federated averaging',
      { strategy: 'federated', waitMilliseconds: 1000, aggregator: { waitSeconds: 2, silentSeconds: 5 } },
    ],
  ])('does not drag the others back, and is where they are within ten waits: %s', async (_, learning) => {
    const one = fleet(learning, { of: 6 });
    const [away, ...others] = one.peers as [Peer, ...Peer[]];
    await one.run(3);
    one.setOnline(away.id, false);
    await one.run(200);
    const before = { age: away.participant.own.age, others: mean(others.map(at)), away: at(away) };
    expect(others[0]!.participant.own.age).toBeGreaterThan(20 * before.age);
    one.setOnline(away.id, true);
    for (let wait = 0; wait < 10; wait++) {
      await one.run(1);
      expect(mean(others.map(at))).toBeLessThan(before.others + 0.01);
    }
    one.stop();
    const ages = one.peers.map(({ participant }) => participant.own.age);
    expect(ages[0]! / Math.max(...ages)).toBeGreaterThan(0.95);
    expect(at(away)).toBeLessThan(mean(others.map(at)) + 0.01);
  });

  it('does not either when it learned on alone meanwhile', async () => {
    const one = fleet({}, { of: 6 });
    const [away, ...others] = one.peers as [Peer, ...Peer[]];
    await one.run(10);
    one.cutOff(away.id, true);
    await one.run(200);
    const before = mean(others.map(at));
    one.cutOff(away.id, false);
    for (let wait = 0; wait < 20; wait++) {
      await one.run(1);
      expect(mean(others.map(at))).toBeLessThan(before + 0.01);
    }
    one.stop();
    expect(at(away)).toBeLessThan(mean(others.map(at)) + 0.01);
  });
});

describe('a simulated fleet that starts again from its checkpoints', () => {
  // What strategies, compression and the guard remember is not in a checkpoint: weights and age are.
  it.each<[string, object]>([
    ['gossip', {}],
    ['gossip in parts', { compression: { partitions: 4 } }],
    ['gossip with momentum', { strategy: 'outer' }],
    ['gossip with momentum, a tenth of a change', { strategy: 'outer', compression: { topK: '0.1' } }],
    ['federated averaging', { strategy: 'federated' }],
    ['federated averaging, a tenth of a change', { strategy: 'federated', compression: { topK: '0.1' } }],
    ['groups', { strategy: 'grouped' }],
  ])('loses nothing of what it knew: %s', async (_, learning) => {
    const one = fleet(learning, { of: 6 });
    await one.run(40);
    const before = errors(one.peers);
    for (const { participant } of one.peers) participant.load(participant.average.slice(), participant.own.age);
    expect(errors(one.peers)).toEqual(before);
    for (let wait = 0; wait < 10; wait++) {
      await one.run(1);
      expect(worst(one.peers)).toBeLessThan(Math.max(...before) + 0.015);
    }
    one.stop();
  });
});

describe('a simulated fleet a third of which wants to do harm', () => {
  it.each(Object.keys(ATTACKS) as AttackName[])('learns in spite of it: %s', async (name) => {
    const one = fleet({ fanout: 3 }, { of: 12, attackers: 4, attack: ATTACKS[name] });
    await one.run(60);
    one.stop();
    expect(Math.max(...errors(one.honest))).toBeLessThan(0.13);
  });

  it('does not where nothing stands before a merge', async () => {
    const unguarded = () => ({
      judge: () => ({ distance: 0, lossBefore: Number.NaN, lossAfter: Number.NaN, force: 1 }),
    });
    const one = fleet({ fanout: 3 }, { of: 12, attackers: 4, attack: ATTACKS['sign flip x4'], guard: unguarded });
    await one.run(60);
    one.stop();
    expect(Math.max(...errors(one.honest))).toBeGreaterThan(0.3);
  });
});
