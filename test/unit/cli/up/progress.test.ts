import { describe, expect, it } from 'vitest';
import { type Report, runSteps, stepLine } from '../../../../src/cli/up/progress.ts';
import { fakeIo } from '../fake-io.ts';

const stepOf = (name: string, run: (report: Report) => Promise<string>) => ({ name, run });

describe('steps where there is no terminal', () => {
  it('leave a line each, with what they took', async () => {
    const io = fakeIo();
    const cluster = stepOf('cluster', async () => {
      await io.wait(27_000, io.signal);
      return 'kind "murmuration", 3 nodes';
    });
    await runSteps([cluster], io, () => undefined);
    expect(io.written.err()).toMatch(/^ ✔ cluster {4}kind "murmuration", 3 nodes +27 s\n$/);
  });

  it('count their own time, not that of what they waited for', async () => {
    const io = fakeIo();
    const image = stepOf('image', async (report) => {
      await io.wait(60_000, io.signal);
      report.begin();
      await io.wait(4000, io.signal);
      return 'loaded';
    });
    await runSteps([image], io, () => undefined);
    expect(io.written.err()).toMatch(/loaded +4 s\n$/);
  });

  it('say a line every 10 s at most, but a note at once and once', async () => {
    const io = fakeIo();
    const busy = stepOf('image', async (report) => {
      for (let second = 0; second < 25; second += 1) {
        report.say(`second ${second}`);
        report.note('about 9 minutes, once');
        await io.wait(1000, io.signal);
      }
      return 'built';
    });
    await runSteps([busy], io, () => undefined);
    const lines = io.written.err().split('\n');
    expect(lines.filter((line) => line.includes('second')).map((line) => line.trim())).toEqual([
      '· image      second 0',
      '· image      second 10',
      '· image      second 20',
    ]);
    expect(lines.filter((line) => line.includes('about 9 minutes'))).toHaveLength(1);
  });

  it('stop when one fails, and tell only that failure', async () => {
    const io = fakeIo();
    const abort = new AbortController();
    const bad = stepOf('cluster', () => Promise.reject(new Error('no docker')));
    const other = stepOf(
      'image',
      () =>
        new Promise((_resolve, reject) => abort.signal.addEventListener('abort', () => reject(abort.signal.reason))),
    );
    await expect(runSteps([bad, other], io, (reason) => abort.abort(reason))).rejects.toThrow('no docker');
    expect(io.written.err()).toBe(' ✖ cluster\n');
  });
});

it('a step line keeps names and times in columns, and fits the window', () => {
  expect(stepLine('tools', 'node 24', 2000)).toMatch(/^tools {6}node 24 {62}2 s$/);
  const narrow = stepLine('manifest', 'Model "digits", ValidatorFleet "flock": unchanged', 252_000, 60);
  expect(narrow).toMatch(/…/);
  expect(narrow).toMatch(/4 min 12 s$/);
  expect(narrow.length).toBeLessThanOrEqual(56);
});
