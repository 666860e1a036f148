import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  COMMON_CONDITIONS,
  type Condition,
  FLEET_CONDITIONS,
  findCondition,
  isTrue,
  MODEL_CONDITIONS,
  NODE_CONDITIONS,
  REASONS,
  readyText,
  SHARD_CONDITIONS,
  withCondition,
} from '../../../src/api/index.ts';

const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const verdict = (type: string, status: Condition['status'], reason = 'Reconciled') => ({
  type,
  status,
  reason,
  message: '',
});

describe('a list of conditions', () => {
  test('keeps the time of the last change while only the message changes', () => {
    const first = withCondition([], verdict('Ready', 'False', 'Pending'), at(1));
    const second = withCondition(first, { ...verdict('Ready', 'False', 'VolumeFull'), message: 'more' }, at(2));
    expect(second).toEqual([
      { type: 'Ready', status: 'False', reason: 'VolumeFull', message: 'more', lastTransitionTime: at(1) },
    ]);
    expect(withCondition(second, verdict('Ready', 'True'), at(3))[0]?.lastTransitionTime).toBe(at(3));
  });

  test('has Ready first, whatever came before it', () => {
    const list = withCondition(withCondition([], verdict('PodReady', 'True'), at(1)), verdict('Ready', 'True'), at(2));
    expect(list.map(({ type }) => type)).toEqual(['Ready', 'PodReady']);
  });

  test('holds one condition a type, and loses none, for any order of verdicts', () => {
    const types = fc.constantFrom(...Object.values(NODE_CONDITIONS));
    fc.assert(
      fc.property(fc.array(fc.tuple(types, fc.constantFrom('True' as const, 'False' as const))), (verdicts) => {
        let list: readonly Condition[] = [];
        verdicts.forEach(([type, status], index) => {
          list = withCondition(list, verdict(type, status), at(index));
        });
        expect(new Set(list.map(({ type }) => type))).toEqual(new Set(verdicts.map(([type]) => type)));
        expect(list.length).toBe(new Set(verdicts.map(([type]) => type)).size);
        for (const { type, status } of list) expect(status).toBe(verdicts.findLast(([of]) => of === type)?.[1]);
      }),
    );
  });
});

test('a condition that was never judged is not true', () => {
  expect(isTrue({}, 'Ready')).toBe(false);
  expect(isTrue({ status: {} }, 'Ready')).toBe(false);
  expect(findCondition({ status: { conditions: [] } }, 'Ready')).toBeUndefined();
});

test('the READY column tells the reason in words', () => {
  expect(readyText({ status: 'True', reason: 'Reconciled' })).toBe('yes');
  expect(readyText({ status: 'False', reason: 'VolumeFull' })).toBe('no: VolumeFull');
  expect(readyText({ status: 'Unknown', reason: 'NodeLost' })).toBe('unknown: NodeLost');
  expect(readyText(undefined)).toBe('unknown');
});

test('reasons and condition types are CamelCase and spelled as their keys', () => {
  for (const words of [
    REASONS,
    COMMON_CONDITIONS,
    NODE_CONDITIONS,
    FLEET_CONDITIONS,
    MODEL_CONDITIONS,
    SHARD_CONDITIONS,
  ]) {
    for (const [key, value] of Object.entries(words)) {
      expect(value).toBe(key);
      expect(value).toMatch(/^([A-Z][a-z]+)+$/);
    }
  }
});
