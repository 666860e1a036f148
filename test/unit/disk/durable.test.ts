import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  type Disk,
  isVolumeFull,
  namesIn,
  readIfThere,
  realDisk,
  removeIfThere,
  replaceFile,
  VolumeFullError,
} from '../../../src/disk/index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'murmuration-disk-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** A disk that notes what is done, and fails the step that `failing` names with a code. */
function watched(done: string[], failing?: { readonly step: string; readonly code: string }): Disk {
  const note = (step: string): void => {
    done.push(step);
    if (step === failing?.step) throw Object.assign(new Error(failing.code), { code: failing.code });
  };
  return {
    ...realDisk,
    mkdir: async (path, options) => {
      note('mkdir');
      return realDisk.mkdir(path, options);
    },
    open: async (path, flags) => {
      const of = flags === 'r' ? 'folder' : 'file';
      note(`open ${of}`);
      const file = await realDisk.open(path, flags);
      return {
        writeFile: async (data) => {
          await file.writeFile(data.subarray(0, 1)); // what a full disk leaves: a part
          note('write');
          await file.writeFile(data.subarray(1));
        },
        sync: async () => {
          await file.sync();
          note(`sync ${of}`);
        },
        close: () => file.close(),
      };
    },
    rename: async (from, to) => {
      note('rename');
      await realDisk.rename(from, to);
    },
  };
}

const steps = ['mkdir', 'open file', 'write', 'sync file', 'rename', 'open folder', 'sync folder'];

describe('a file that is replaced', () => {
  it('has its new content, of any number of parts, in a folder that is made for it, for its owner alone', async () => {
    const file = join(await folder(), 'new', 'state');
    await replaceFile(realDisk, file, bytes('old'));
    await replaceFile(realDisk, file, [bytes('ne'), bytes('w')]);
    expect(await readFile(file, 'utf8')).toBe('new');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(file, '..'))).toEqual(['state']);
  });

  it('is durable step by step: bytes before the name, the name before it resolves', async () => {
    const done: string[] = [];
    await replaceFile(watched(done), join(await folder(), 'state'), bytes('whole'));
    expect(done).toEqual(steps);
  });

  it('is durable with the names of the folders that were made for it', async () => {
    const dir = await folder();
    const synced: string[] = [];
    const disk: Disk = {
      ...realDisk,
      open: async (path, flags) => {
        if (flags === 'r') synced.push(path);
        return realDisk.open(path, flags);
      },
    };
    await replaceFile(disk, join(dir, 'a', 'b', 'state'), bytes('first'));
    expect(synced).toEqual([join(dir, 'a', 'b'), join(dir, 'a'), dir]);
    await replaceFile(disk, join(dir, 'a', 'b', 'state'), bytes('second'));
    expect(synced.slice(3)).toEqual([join(dir, 'a', 'b')]);
  });

  it.each(steps.slice(0, 5))('keeps its old content and leaves nothing beside it when it fails at %s', async (step) => {
    const dir = await folder();
    const file = join(dir, 'state');
    await replaceFile(realDisk, file, bytes('old'));
    const failed = replaceFile(watched([], { step, code: 'EIO' }), file, bytes('new'));
    await expect(failed).rejects.toMatchObject({ code: 'EIO' });
    expect(await readFile(file, 'utf8')).toBe('old');
    expect(await readdir(dir)).toEqual(['state']);
  });

  it.each(steps.flatMap((step) => ['ENOSPC', 'EDQUOT'].map((code) => ({ step, code }))))(
    'says that the volume is full on $code at $step',
    async (failing) => {
      const dir = await folder();
      const failed = replaceFile(watched([], failing), join(dir, 'state'), [bytes('four'), bytes('more')]);
      const error = await failed.catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(VolumeFullError);
      expect(error).toMatchObject({ path: dir, neededBytes: 8, cause: { code: failing.code } });
      expect(String(error)).toContain('raise spec.storage.size');
    },
  );

  it('replaces what an earlier crash left beside it', async () => {
    const dir = await folder();
    await replaceFile(realDisk, join(dir, 'state.tmp'), bytes('half of something longer'));
    await replaceFile(realDisk, join(dir, 'state'), bytes('whole'));
    expect(await readdir(dir)).toEqual(['state']);
    expect(await readFile(join(dir, 'state'), 'utf8')).toBe('whole');
  });
});

describe('what is not there', () => {
  it('is no error to read, to list or to remove', async () => {
    const missing = join(await folder(), 'nothing');
    expect(await readIfThere(realDisk, missing)).toBeUndefined();
    expect(await namesIn(realDisk, missing)).toEqual([]);
    await expect(removeIfThere(realDisk, missing)).resolves.toBeUndefined();
  });

  it('is told from what cannot be read', async () => {
    const dir = await folder();
    await expect(readIfThere(realDisk, dir)).rejects.toMatchObject({ code: 'EISDIR' });
    await replaceFile(realDisk, join(dir, 'file'), bytes(''));
    await expect(namesIn(realDisk, join(dir, 'file'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(removeIfThere(realDisk, join(dir, 'file', 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

it('a full volume is known by the word of the disk and by ours', () => {
  const said = (code: string): Error => Object.assign(new Error(code), { code });
  expect([said('ENOSPC'), said('EDQUOT'), new VolumeFullError('dir', 1)].map(isVolumeFull)).toEqual([true, true, true]);
  expect([said('EIO'), new Error('full'), 'ENOSPC', undefined].map(isVolumeFull)).toEqual([false, false, false, false]);
});
