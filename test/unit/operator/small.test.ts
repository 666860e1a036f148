import { describe, expect, it } from 'vitest';
import { planAuthority } from '../../../src/operator/authority/plan.ts';
import { measured } from '../../../src/operator/numbers.ts';
import { decide, transitions } from '../../../src/operator/status-writer.ts';

describe('a measured number', () => {
  it.each([
    [0.95714, '0.957'],
    [0.9, '0.9'],
    [1, '1'],
    [0, '0'],
    [1.2449, '1.24'],
    [12.345, '12.3'],
    [12_345.6, '12300'],
    [0.00012345, '0.000123'],
    [0.0000001, '0'],
    [null, undefined],
    [Number.NaN, undefined],
  ])('%s is written as %s', (value, text) => {
    expect(measured(value)).toBe(text);
  });
});

describe('a status', () => {
  const condition = (status: 'True' | 'False', message: string) => ({
    type: 'Ready',
    status,
    reason: 'Reconciled',
    message,
    lastTransitionTime: 't',
  });
  const loud = (): unknown => undefined;
  const ready = { conditions: [condition('True', 'a')] };

  it('is not written where it says the same', () => {
    expect(decide(ready, { conditions: [condition('True', 'a')] }, loud, 60_000)).toEqual({ write: false });
  });
  it('is written at once where a condition changes', () => {
    expect(decide(ready, { conditions: [condition('False', 'a')] }, loud, 0)).toEqual({ write: true });
  });
  it('waits its turn where a mere number changes', () => {
    expect(decide(ready, { conditions: [condition('True', 'b')] }, loud, 1_000)).toEqual({
      write: false,
      afterMs: 4_000,
    });
    expect(decide(ready, { conditions: [condition('True', 'b')] }, loud, 5_000)).toEqual({ write: true });
    // The wall clock was set back since.
    expect(decide(ready, { conditions: [condition('True', 'b')] }, loud, -3_600_000)).toEqual({ write: true });
  });
  it('makes an event of a change that a person cares about, and of no other', () => {
    const no = (reason: string) => [{ ...condition('False', 'why'), reason }];
    expect(transitions(['Ready'], ready.conditions, no('VolumeFull'))).toEqual([
      { type: 'Warning', reason: 'VolumeFull', action: 'Observe', note: 'why' },
    ]);
    expect(transitions(['Ready'], ready.conditions, no('Pending'))).toEqual([]);
    expect(transitions(['Ready'], no('VolumeFull'), no('VolumeFull'))).toEqual([]);
  });
});

describe('the authority key', () => {
  const names = { authority: 'A', overlay: 'O' };
  it('is made where none was ever recorded, and then recorded', () => {
    expect(planAuthority('ns', { is: 'absent' }, undefined)).toEqual({ do: 'make' });
    expect(planAuthority('ns', { is: 'keys', names }, undefined)).toEqual({ do: 'record', names });
    expect(planAuthority('ns', { is: 'keys', names }, names)).toEqual({ do: 'use', names });
  });
  it('is never made again, and another one is not used', () => {
    expect(planAuthority('ns', { is: 'absent' }, names)).toMatchObject({ do: 'stop', reason: 'KeyMissing' });
    const other = { authority: 'B', overlay: 'O' };
    expect(planAuthority('ns', { is: 'keys', names: other }, names)).toMatchObject({
      do: 'stop',
      reason: 'KeyMalformed',
    });
  });
});
