import { expect, inject, it } from 'vitest';
import { connect } from '../../apiserver/harness.ts';
import { run } from './run.ts';

/** Worlds side by side, since most of a step is waiting. */
const SEEDS = [1, 2, 3];
const STEPS = [0, 1];

it('specs that are changed at random converge or say why not, and go back', async () => {
  const lines: string[] = [];
  const options = { steps: STEPS, keepGoing: true, say: (line: string) => void lines.push(line) };
  const totals = await Promise.all(SEEDS.map((seed) => run(connect(inject('apiServer')), { ...options, seed })));
  expect(
    totals.flatMap(({ failed }) => failed),
    lines.join('\n'),
  ).toEqual([]);
  expect(totals.reduce((sum, { steps }) => sum + steps, 0)).toBe(SEEDS.length * STEPS.length);
});
