import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildVersion } from '../../../../src/chunks/index.ts';
import { lookAt, missingIn, PulledFolder, Shards } from '../../../../src/cli/pull/folder.ts';
import { folder } from '../../validator/fixtures.ts';

/** Nine mebibytes and a bit in chunks that do not divide four mebibytes evenly. */
const large = buildVersion({
  model: 'uid',
  network: 'test/default',
  age: 1,
  tensors: [
    {
      name: 'kernel',
      shape: [9 * 256 * 1024 + 5],
      data: Float32Array.from({ length: 9 * 256 * 1024 + 5 }, (_, i) => i),
    },
  ],
  chunkBytes: 300_000,
});
const { manifest, chunks } = large;
const version = large.cid.toString();
const stream = Buffer.concat(chunks.map(({ bytes }) => bytes));
const note = 'murmuration.json';
const files = [{ name: note, content: JSON.stringify({ version: { cid: version } }) }];

const fill = async (pulled: PulledFolder, indexes: readonly number[]) => {
  for (const index of indexes) await pulled.write(index, chunks[index]!.bytes);
};

describe('a folder that is being pulled', () => {
  it('holds the byte stream in files of whole chunks, and has its name only when it is complete', async () => {
    const out = join(await folder(), 'model');
    const pulled = await PulledFolder.open(out, version, manifest);
    expect(pulled.missing).toHaveLength(chunks.length);
    await fill(pulled, [...pulled.missing].reverse());
    expect(await lookAt(out, note)).toEqual({ is: 'nothing' });
    await pulled.finish(files);
    expect(await lookAt(out, note)).toEqual({ is: 'pulled', version });
    const { names } = new Shards(manifest);
    expect(names).toEqual(['group1-shard1of3.bin', 'group1-shard2of3.bin', 'group1-shard3of3.bin']);
    const parts = await Promise.all(names.map((name) => readFile(join(out, name))));
    expect(parts.map(({ byteLength }) => byteLength % 300_000).slice(0, 2)).toEqual([0, 0]);
    expect(Buffer.concat(parts).equals(stream)).toBe(true);
    expect(await missingIn(out, manifest)).toEqual([]);
    expect(await readdir(join(out, '..'))).toEqual(['model']);
  });

  it('goes on from what is there and right, not from what is there', async () => {
    const out = join(await folder(), 'model');
    const first = await PulledFolder.open(out, version, manifest);
    await fill(first, [0, 1, 2, 14]);
    await first.write(1, Buffer.alloc(300_000)); // a torn write
    const again = await PulledFolder.open(out, version, manifest);
    expect(again.missing).toEqual(chunks.map((_, i) => i).filter((i) => ![0, 2, 14].includes(i)));
    await fill(again, again.missing);
    await again.finish(files);
    expect(await missingIn(out, manifest)).toEqual([]);
  });

  it('has no bytes beyond its end, whatever lay there', async () => {
    const out = join(await folder(), 'model');
    const pulled = await PulledFolder.open(out, version, manifest);
    await fill(pulled, pulled.missing);
    const last = new Shards(manifest).names.at(-1)!;
    await writeFile(join(pulled.part, last), Buffer.alloc(1000), { flag: 'a' });
    await pulled.finish(files);
    expect((await stat(join(out, last))).size).toBe(manifest.bytes - 2 * 13 * 300_000);
  });

  it('does not take the place of something else that came meanwhile', async () => {
    const out = join(await folder(), 'model');
    const pulled = await PulledFolder.open(out, version, manifest);
    await fill(pulled, pulled.missing);
    await mkdir(out);
    await writeFile(join(out, 'mine'), 'mine');
    await expect(pulled.finish(files)).rejects.toThrow();
    expect(await readdir(out)).toEqual(['mine']);
  });
});

describe('what is at a place', () => {
  it('is told apart: nothing, something else, a pulled version, a damaged one', async () => {
    const home = await folder();
    expect(await lookAt(join(home, 'none'), note)).toEqual({ is: 'nothing' });
    expect(await lookAt(home, note)).toEqual({ is: 'other', what: 'it has no murmuration.json' });
    await writeFile(join(home, 'file'), '');
    expect(await lookAt(join(home, 'file'), note)).toEqual({ is: 'other', what: 'it is no folder' });
    await writeFile(join(home, note), '{"version": 7}');
    expect(await lookAt(home, note)).toMatchObject({ is: 'other' });
  });

  it('is missing chunks that changed since', async () => {
    const out = join(await folder(), 'model');
    const pulled = await PulledFolder.open(out, version, manifest);
    await fill(pulled, pulled.missing);
    await pulled.finish(files);
    const shard = join(out, 'group1-shard2of3.bin');
    const bytes = await readFile(shard);
    bytes[300_000] = (bytes[300_000] ?? 0) ^ 1;
    await writeFile(shard, bytes);
    expect(await missingIn(out, manifest)).toEqual([14]);
  });
});
