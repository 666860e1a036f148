import { describe, expect, it } from 'vitest';
import { fleetState } from '../../../../src/cli/fleet/state.ts';
import { fleetLineText, fleetText, problemsText, progress } from '../../../../src/cli/render/fleet.ts';
import { condition, convergedModel, fleet, model, node, now, readyNode } from '../fleet/objects.ts';

const listed = { fleets: [fleet(2, 1)], nodes: [readyNode('flock-0'), node('flock-1')], models: [model()], shards: [] };
const state = fleetState(listed, now);

describe('the state of fleets as text', () => {
  it('is a line a model and a table of validators', () => {
    const lines = fleetText(fleetState({ ...listed, models: [convergedModel()] }, now), 200);
    expect(lines).toEqual([
      'digits   accuracy 0.957 of 0.95  ▕████████████████████▏  version bafy…q3e certified by 4 of 4   converged after 58 s',
      'VALIDATOR  READY             PEERS  CHUNKS          UPDATES  LOSS   ACCURACY  REPUTATION  NODE',
      'flock-0    yes               3      ▕████████▏ 6/6  1 204    0.141  0.958     0.930       murmuration-worker',
      'flock-1    no: not seen yet  -      -               -        -      -         -           -',
    ]);
  });

  it('tells what is left while it learns, and the time from the first update to the target when it is there', () => {
    const target = { metric: 'accuracy', value: '0.95', reached: false, secondsLeft: 190 };
    const learning = fleetState({ ...listed, models: [model({ updates: 9, target })] }, now);
    expect(fleetText(learning, 200)[0]).toMatch(/learning, about 3 min 10 s left$/);
    const status = { ...convergedModel().status, target: { ...target, reached: true, secondsTaken: 41 } };
    const there = fleetState({ ...listed, models: [model(status)] }, now);
    expect(fleetText(there, 200)[0]).toMatch(/converged after 41 s$/);
  });

  it('keeps the width of the bar while it is empty', () => {
    expect(fleetText(state, 200)[0]).toBe(
      'digits   accuracy - of 0.95  ▕                    ▏  no version yet   starting',
    );
  });

  it('draws how many of its chunks a validator holds', () => {
    const held = (chunks: object) => {
      const nodes = [readyNode('flock-0', { chunks: { bytes: 0, summary: '', ...chunks } })];
      return fleetText(fleetState({ ...listed, nodes }, now), 200).at(-1);
    };
    expect(held({ held: 12, assigned: 48 })).toContain(' ▕██      ▏ 12/48 ');
    expect(held({ held: 0, assigned: 0 })).toContain(' ▕████████▏ 0/0 ');
  });

  it('fits the window', () => {
    for (const line of fleetText(state, 40)) expect([...line].length).toBeLessThanOrEqual(40);
  });

  it('says what to do where nothing is', () => {
    const empty = fleetState({ fleets: [], nodes: [], models: [], shards: [] }, now);
    expect(fleetText(empty, 80).join('\n')).toContain('kubectl apply');
  });

  it('is one line for logs', () => {
    expect(fleetLineText(fleetState({ ...listed, models: [convergedModel()] }, now))).toBe(
      'digits: accuracy 0.957 of 0.95, 1 204 updates, version bafy…q3e certified by 4 of 4; 1 of 2 validators ready',
    );
    expect(fleetLineText(state)).toBe('digits: accuracy - of 0.95, 0 updates, no version yet; 1 of 2 validators ready');
  });

  it('tells objects that suffer the same in one line', () => {
    const full = { conditions: [condition('Ready', 'False', 'VolumeFull', 5, 'Ask for more storage.size.')] };
    const { problems } = fleetState({ ...listed, nodes: [node('flock-0', full), node('flock-1', full)] }, now);
    expect(problemsText(problems)).toEqual([
      '✖ ValidatorNode flock-0, flock-1: VolumeFull: Ask for more storage.size.',
    ]);
  });

  it.each([
    [{ accuracy: '0.475' }, { target: { value: '0.95' } }, 0.5],
    [{ accuracy: '0.99' }, { target: { value: '0.95' } }, 1],
    [{}, { target: { value: '0.95' } }, 0],
    [{ loss: '0.4' }, { target: { metric: 'loss', value: '0.1' } }, 0.25],
    [{}, { target: { metric: 'loss', value: '0.1' } }, 0],
    [{}, {}, 1],
  ])('draws %j under %j as %s of the bar', (status, learning, share) => {
    const [line] = fleetState({ ...listed, models: [model(status, learning)] }, now).models;
    expect(line && progress(line)).toBeCloseTo(share);
  });
});
