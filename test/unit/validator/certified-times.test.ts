import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { CertifiedTimes } from '../../../src/validator/certified-times.ts';
import { folder } from './fixtures.ts';

const noFailure = (file: string, error: unknown) => {
  throw new Error(`${file} cannot be read`, { cause: error });
};

it('remembers over a restart when a kept version was certified, and forgets the others', async () => {
  const file = path.join(await folder(), 'certified-at.json');
  const times = await CertifiedTimes.open(file, noFailure);
  times.saw('old', 1);
  times.saw('new', 2);
  times.saw('new', 3);
  await times.keepOnly(new Set(['new']));
  const again = await CertifiedTimes.open(file, noFailure);
  expect([again.of('old'), again.of('new')]).toEqual([0, 2]);
});

it('writes one after another when versions come fast', async () => {
  const file = path.join(await folder(), 'certified-at.json');
  const times = await CertifiedTimes.open(file, noFailure);
  const saves = Array.from({ length: 20 }, (_, i) => {
    times.saw(`v${i}`, i + 1);
    return times.keepOnly(new Set([`v${i}`]));
  });
  await Promise.all(saves);
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ v19: 20 });
});

it('starts empty, and says so, when the file is torn', async () => {
  const file = path.join(await folder(), 'certified-at.json');
  await writeFile(file, '{"v1": 1');
  const unreadable: string[] = [];
  const times = await CertifiedTimes.open(file, (which) => unreadable.push(which));
  expect(times.of('v1')).toBe(0);
  expect(unreadable).toEqual([file]);
});
