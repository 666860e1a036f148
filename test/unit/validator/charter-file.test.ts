import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { followFile } from '../../../src/validator/charter-file.ts';
import { folder, Sleeps } from './fixtures.ts';

/** A mounted ConfigMap: the file is a link through `..data`, a link to a folder, which the kubelet replaces by a rename. */
async function mount(volume: string, generation: number, text: string): Promise<void> {
  const data = path.join(volume, `..${generation}`);
  await mkdir(data);
  await writeFile(path.join(data, 'charter.bin'), text);
  await symlink(`..${generation}`, path.join(volume, '..data_tmp'));
  await rename(path.join(volume, '..data_tmp'), path.join(volume, '..data'));
}

async function following(file: string, onBytes: (text: string) => Promise<void> = async () => undefined) {
  const sleeps = new Sleeps();
  const stop = new AbortController();
  const seen: string[] = [];
  const errors: unknown[] = [];
  const running = followFile(
    file,
    {
      everyMilliseconds: 2000,
      sleep: sleeps.sleep,
      onBytes: async (bytes) => {
        seen.push(Buffer.from(bytes).toString());
        await onBytes(Buffer.from(bytes).toString());
      },
      onError: (error) => errors.push(error),
    },
    stop.signal,
  );
  const end = async () => {
    stop.abort();
    await running;
  };
  return { seen, errors, look: () => sleeps.next(), end };
}

it('sees a ConfigMap whose links are swapped, each content once', async () => {
  const volume = await folder();
  await symlink('..data/charter.bin', path.join(volume, 'charter.bin'));
  const { seen, errors, look, end } = await following(path.join(volume, 'charter.bin'));
  await look(); // there is nothing yet
  await mount(volume, 1, 'first');
  await look();
  await look();
  await mount(volume, 2, 'second');
  await look();
  await look();
  await look();
  await end();
  expect(seen).toEqual(['first', 'second']);
  expect(errors).toEqual([]);
});

it('goes on after content that cannot be used, and complains of it once', async () => {
  const file = path.join(await folder(), 'charter.bin');
  await writeFile(file, 'forged');
  const { seen, errors, look, end } = await following(file, async (text) => {
    if (text === 'forged') throw new Error('charter refused');
  });
  await look();
  await look();
  await writeFile(file, 'signed');
  await look();
  await look();
  await end();
  expect(seen).toEqual(['forged', 'signed']);
  expect(errors).toHaveLength(1);
});
