import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { realDisk } from '../../../src/disk/index.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

async function folder(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'murmuration-disk-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

describe("the machine's own disk", () => {
  it('writes one part after the other, for its owner alone, and replaces what was there', async () => {
    const file = join(await folder(), 'file');
    await writeFile(file, 'something longer');
    const opened = await realDisk.open(file, 'w');
    await opened.writeFile(bytes('one '));
    await opened.writeFile(bytes('two'));
    await opened.sync();
    await opened.close();
    expect(await readFile(file, 'utf8')).toBe('one two');
    await rm(file);
    await (await realDisk.open(file, 'wx')).close();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(realDisk.open(file, 'wx')).rejects.toMatchObject({ code: 'EEXIST' });
  });

  it('never touches a file again that it closed, whoever has its number now', async () => {
    const dir = await folder();
    const first = await realDisk.open(join(dir, 'first'), 'w');
    await first.close();
    const second = await realDisk.open(join(dir, 'second'), 'w');
    await first.close();
    await expect(first.writeFile(bytes('late'))).rejects.toThrow();
    await expect(first.sync()).rejects.toThrow();
    await second.writeFile(bytes('fine'));
    await second.close();
    expect(await readFile(join(dir, 'second'), 'utf8')).toBe('fine');
    expect(await readFile(join(dir, 'first'), 'utf8')).toBe('');
    expect(await readdir(dir)).toHaveLength(2);
  });

  it('syncs a folder', async () => {
    const opened = await realDisk.open(await folder(), 'r');
    await opened.sync();
    await opened.close();
  });

  it('knows the room on a volume', async () => {
    const { freeBytes, totalBytes } = await realDisk.space(await folder());
    expect(totalBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeGreaterThan(0);
    expect(freeBytes).toBeLessThanOrEqual(totalBytes);
  });
});
