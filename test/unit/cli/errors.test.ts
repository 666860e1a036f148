import { describe, expect, it } from 'vitest';
import { exitCodeOf, explain, failed, misused, reasonOf, timedOut } from '../../../src/cli/errors.ts';

describe('errors in words', () => {
  it('have the exit codes that --help promises', () => {
    expect([failed('x'), misused('x'), timedOut('x'), new Error('x'), 'x'].map(exitCodeOf)).toEqual([1, 2, 3, 1, 1]);
  });

  it('say what failed, why, and what to do, without a stack', () => {
    const error = failed('The file a.json could not be read.', 'Check its name.', new Error('ENOENT'));
    expect(explain(error, false)).toBe('murmur: The file a.json could not be read: ENOENT\nFix: Check its name.');
  });

  it('show the stack, and those of causes, to whoever debugs', () => {
    const text = explain(failed('No.', undefined, new Error('deeper')), true);
    expect(text).toMatch(/^ +at /m);
    expect(text).toContain('caused by: Error: deeper');
  });

  it('tell a bug from a foreseen failure', () => {
    expect(explain(new TypeError('x is not a function'), false)).toContain('this is a bug');
    class KeyMissing extends Error {}
    expect(explain(new KeyMissing('Secret a is gone. Restore it.'), false)).toBe(
      'murmur: Secret a is gone. Restore it.',
    );
  });

  it('give the reason of an error whose message is empty by its code or its causes', () => {
    const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' });
    expect(reasonOf(refused)).toBe('ECONNREFUSED');
    expect(reasonOf(new AggregateError([refused]))).toContain('ECONNREFUSED');
    expect(reasonOf(new Error('outer', { cause: new Error('inner') }))).toBe('outer: inner');
    expect(reasonOf('just text')).toBe('just text');
  });

  it('do not follow causes for ever', () => {
    const loop: { message: string; cause?: unknown } = new Error('round');
    loop.cause = loop;
    expect(reasonOf(loop)).toBe('round');
  });
});
