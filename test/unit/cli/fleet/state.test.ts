import { describe, expect, it } from 'vitest';
import type { Listed } from '../../../../src/cli/fleet/listed.ts';
import { fleetState } from '../../../../src/cli/fleet/state.ts';
import { ago, condition, convergedModel, fleet, model, node, now, readyNode, shard } from './objects.ts';

const nothing: Listed = { fleets: [], nodes: [], models: [], shards: [] };
const flock = { ...nothing, fleets: [fleet(1, 1)], nodes: [readyNode('flock-0')] };

describe('the state of fleets', () => {
  it('is empty where nothing is', () => {
    expect(fleetState(nothing, now)).toEqual({
      verdict: 'empty',
      models: [],
      fleets: [],
      validators: [],
      problems: [],
    });
  });

  it('holds of a validator what a row shows', () => {
    expect(fleetState(flock, now).validators[0]).toEqual({
      namespace: 'default',
      name: 'flock-0',
      network: 'default',
      ready: true,
      readyText: 'yes',
      podName: 'flock-0',
      nodeName: 'murmuration-worker',
      peers: 3,
      chunks: { held: 6, assigned: 6, bytes: 12_000 },
      updates: 1204,
      loss: 0.141,
      accuracy: 0.958,
      reputation: 0.93,
    });
  });

  it('leaves out what nobody has reported yet', () => {
    const [line] = fleetState({ ...nothing, nodes: [node('flock-0')] }, now).validators;
    expect(line).toEqual({
      namespace: 'default',
      name: 'flock-0',
      network: 'default',
      ready: false,
      readyText: 'no: not seen yet',
    });
  });

  it('takes text that is no number for unknown', () => {
    const odd = node('flock-0', { models: [{ name: 'digits', age: 1, loss: 'NaN', accuracy: '' }] });
    const [line] = fleetState({ ...nothing, nodes: [odd] }, now).validators;
    expect(line).not.toHaveProperty('loss');
    expect(line).not.toHaveProperty('accuracy');
  });

  it('orders flock-2 before flock-10', () => {
    const nodes = ['flock-10', 'flock-2', 'flock-0'].map((name) => node(name));
    const names = fleetState({ ...nothing, nodes }, now).validators.map((line) => line.name);
    expect(names).toEqual(['flock-0', 'flock-2', 'flock-10']);
  });

  it('tells how long a model took to converge', () => {
    const [line] = fleetState({ ...flock, models: [convergedModel()] }, now).models;
    expect(line).toMatchObject({ converged: true, convergedAfter: 58_000, accuracy: 0.957, target: { value: 0.95 } });
    expect(line?.version).toMatchObject({ short: 'bafy…q3e', certifiedBy: '4 of 4' });
  });

  it('tells the time from the first update to the target, and what is left', () => {
    const target = { metric: 'accuracy', value: '0.95', reached: false };
    const told = (more: object) =>
      fleetState({ ...flock, models: [model({ target: { ...target, ...more } })] }, now).models[0];
    expect(told({ reached: true, secondsTaken: 41 })).toMatchObject({ timeToTarget: 41_000 });
    expect(told({ secondsLeft: 190 })).toMatchObject({ timeLeft: 190_000 });
    expect(told({})).not.toHaveProperty('timeLeft');
  });

  it('counts replicated shards by itself until the model says', () => {
    const listed = { ...nothing, models: [model()], shards: [shard(0, 3), shard(1, 2)] };
    expect(fleetState(listed, now).models[0]?.shards).toEqual({ total: 2, replicated: 1 });
    const said = { ...listed, models: [model({ shards: { ready: 0, total: 3, summary: '0/3' } })] };
    expect(fleetState(said, now).models[0]?.shards).toEqual({ total: 3, replicated: 0 });
  });

  it.each([
    ['starting', [model()]],
    ['learning', [model({ updates: 5 })]],
    ['converged', [convergedModel()]],
  ] as const)('is %s', (verdict, models) => {
    expect(fleetState({ ...flock, models }, now).verdict).toBe(verdict);
  });

  it('does not count a model without a target as converged', () => {
    expect(fleetState({ ...flock, models: [model({ updates: 5 }, {})] }, now).verdict).toBe('learning');
  });
});

describe('problems', () => {
  const problemsOf = (reason: string, since: number) =>
    fleetState(
      { ...nothing, nodes: [node('flock-0', { conditions: [condition('Ready', 'False', reason, since)] })] },
      now,
    ).problems;

  it.each(['ImagePullFailed', 'VolumeFull', 'KeyInUse', 'DataDigestMismatch', 'SomethingNew'])(
    'are told at once: %s',
    (reason) => {
      expect(problemsOf(reason, 0)).toEqual([
        {
          kind: 'ValidatorNode',
          namespace: 'default',
          name: 'flock-0',
          reason,
          message: `${reason} it is.`,
          since: ago(0),
        },
      ]);
    },
  );

  it.each(['PodNotReady', 'NoReports', 'TooFewValidators', 'UnderReplicated'])(
    'are not told while every start passes through them, but when they last: %s',
    (reason) => {
      expect(problemsOf(reason, 59)).toEqual([]);
      expect(problemsOf(reason, 61)).toHaveLength(1);
    },
  );

  it.each(['Pending', 'InProgress', 'BelowTarget', 'NoVersion', 'ValidatorsNotReady', 'Paused'])(
    'are never the steps on the way: %s',
    (reason) => expect(problemsOf(reason, 10_000)).toEqual([]),
  );

  it('are told where they begin, not again by all who suffer from them', () => {
    const suffering = (reason: string) => {
      const conditions = [condition('Ready', 'False', reason)];
      const listed = { ...nothing, models: [model({ conditions })], nodes: [node('flock-0', { conditions })] };
      return fleetState(listed, now).problems.map((problem) => problem.kind);
    };
    expect(suffering('NoReports')).toEqual(['ValidatorNode']);
    expect(suffering('DataDigestMismatch')).toEqual(['Model']);
    const alone = model({ conditions: [condition('Ready', 'False', 'QuorumLost')] });
    expect(fleetState({ ...nothing, models: [alone] }, now).problems).toHaveLength(1);
  });

  it('show through Stalled where Ready says something ordinary', () => {
    const conditions = [
      condition('Ready', 'False', 'Pending'),
      condition('Stalled', 'True', 'KeyMissing', 300, 'Secret stake-0 is gone. Restore it.'),
    ];
    const state = fleetState({ ...nothing, nodes: [node('flock-0', { conditions })] }, now);
    expect(state.verdict).toBe('troubled');
    expect(state.problems[0]).toMatchObject({ reason: 'KeyMissing', message: 'Secret stake-0 is gone. Restore it.' });
  });
});
