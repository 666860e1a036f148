import { expect, it } from 'vitest';
import { VolumeFullError } from '../../../src/disk/index.ts';
import { Problems } from '../../../src/validator/problems.ts';

const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
const failing = (error: Error) => async () => {
  throw error;
};

it('makes a full volume a problem that people see, until the next write there succeeds', async () => {
  const problems = new Problems();
  for (const error of [
    full,
    Object.assign(new Error('quota'), { code: 'EDQUOT' }),
    new VolumeFullError('/state', 10),
  ]) {
    expect(await problems.writing('chunks', failing(error))).toBe(false);
    expect(problems.list()).toEqual([{ reason: 'VolumeFull', message: error.message }]);
    expect(await problems.writing('chunks', async () => undefined)).toBe(true);
    expect(problems.list()).toEqual([]);
  }
});

it('does not take a write elsewhere for a cure', async () => {
  const problems = new Problems();
  await problems.writing('chunks', failing(full));
  await problems.writing('certificates', async () => undefined);
  expect(problems.list()).toHaveLength(1);
});

it('hands other errors on', async () => {
  const problems = new Problems();
  await expect(problems.writing('chunks', failing(new Error('read-only')))).rejects.toThrow('read-only');
  expect(problems.list()).toEqual([]);
});

it('tells each reason once', async () => {
  const problems = new Problems();
  await problems.writing('chunks', failing(full));
  await problems.writing('certificates', failing(full));
  expect(problems.list().map(({ reason }) => reason)).toEqual(['VolumeFull']);
});
