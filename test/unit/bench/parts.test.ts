import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { row } from '../../../bench/figures.ts';
import { listed, Parts, wholeNumber } from '../../../bench/parts.ts';

const PARTS = { walk: ['walk_s', 'steps'], swim: ['swim_s'] } as const;
type Name = (typeof PARTS)[keyof typeof PARTS][number];

const one = (name: Name) => async () => [row(name, 1, 's', 'once')];

let told: string[];
const parts = (only?: string) =>
  new Parts<keyof typeof PARTS, ReturnType<typeof row<Name>>>(PARTS, only, (line) => told.push(line));

beforeEach(() => {
  told = [];
  vi.spyOn(console, 'error').mockImplementation((line) => void told.push(line));
  vi.spyOn(process, 'exit').mockImplementation((code) => {
    throw new Error(`ends with ${code}`);
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

describe('the parts of a bench', () => {
  it('are all wanted where none is named', () => {
    const all = parts();
    expect([all.isWanted('walk'), all.isWanted('swim')]).toEqual([true, true]);
  });

  it.each(['walk', 'steps', 'steps,walk_s'])('are chosen by their names and their figures: %s', async (only) => {
    const some = parts(only);
    await some.run('walk', one('walk_s'));
    await some.run('swim', one('swim_s'));
    expect(some.rows.map(({ name }) => name)).toEqual(['walk_s']);
    expect(told).toEqual(['walk', 'walk took 0 s']);
  });

  it.each(['fly', 'walk,fly', ''])('are refused where a name is unknown: "%s"', (only) => {
    expect(() => parts(only)).toThrow('ends with 2');
    expect(told[0]).toMatch(/There is no part or figure "(fly)?"/);
  });

  it('keep their figures where another fails, and the process ends with 1', async () => {
    const all = parts();
    await all.run('walk', async () => {
      throw new Error('it rains');
    });
    await all.run('swim', one('swim_s'));
    expect(all.rows.map(({ name }) => name)).toEqual(['swim_s']);
    expect(told).toEqual(['walk', 'walk failed: Error: it rains', 'walk took 0 s', 'swim', 'swim took 0 s']);
    expect(process.exitCode).toBe(1);
  });

  it('stand in a help text with their figures', () => {
    expect(listed({ ...PARTS, run: ['run_s'] })).toBe('  walk  walk_s, steps\n  swim  swim_s\n  run   run_s');
  });
});

describe('a whole number', () => {
  it('is taken from a flag', () => expect(wholeNumber('rounds', '3')).toBe(3));

  it.each(['0', '-1', '1.5', 'many', ''])('is not "%s"', (text) => {
    expect(() => wholeNumber('rounds', text)).toThrow('ends with 2');
    expect(told).toEqual([`--rounds ${text}: give a whole number above 0.`]);
  });
});
