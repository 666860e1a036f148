import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { ChunkStore, cidOf, DAG_CBOR, WrongBytesError } from '../../../src/chunks/index.ts';
import { type Disk, realDisk, VolumeFullError } from '../../../src/disk/index.ts';
import { folder } from './fixtures.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const pathOf = (dir: string, cid: { toString(): string }): string => join(dir, 'blocks', cid.toString());

describe('a chunk store', () => {
  it('gives back what was put, under the CID of its bytes', async () => {
    const store = await ChunkStore.open(await folder());
    const cid = await store.put(bytes('a starling'));
    expect(cid.equals(cidOf(bytes('a starling')))).toBe(true);
    expect(await store.get(cid)).toEqual(Buffer.from('a starling'));
    expect(store.has(cid)).toBe(true);
    expect(store.usedBytes).toBe(10);
  });

  it('keeps manifests beside chunks', async () => {
    const store = await ChunkStore.open(await folder());
    const cid = await store.put(bytes('a manifest'), DAG_CBOR);
    expect(cid.code).toBe(DAG_CBOR);
    expect(await store.check(cid)).toBe(true);
  });

  it('writes nothing of bytes that are not what their CID says', async () => {
    const dir = await folder();
    const opened: string[] = [];
    const fs: Disk = {
      ...realDisk,
      open: (path, flags) => {
        opened.push(path);
        return realDisk.open(path, flags);
      },
    };
    const store = await ChunkStore.open(dir, { fs });
    await expect(store.putVerified(cidOf(bytes('true')), bytes('lies'))).rejects.toThrow(WrongBytesError);
    expect(opened).toEqual([]);
    expect(store.list()).toEqual([]);
  });

  it('removes a file that was changed on disk and counts it as missing', async () => {
    const dir = await folder();
    const store = await ChunkStore.open(dir, { cacheBytes: 0 });
    const onLost = vi.fn();
    store.listen({ onLost });
    const cid = await store.put(bytes('sound'));
    await writeFile(pathOf(dir, cid), 'rotten');
    expect(await store.get(cid)).toBeUndefined();
    expect(store.has(cid)).toBe(false);
    expect(store.usedBytes).toBe(0);
    expect(onLost).toHaveBeenCalledExactlyOnceWith(cid, 'corrupt');
    expect(await readdir(join(dir, 'blocks'))).toEqual([]);
  });

  it('takes a block again after it was lost', async () => {
    const dir = await folder();
    const store = await ChunkStore.open(dir, { cacheBytes: 0 });
    const cid = await store.put(bytes('again'));
    await writeFile(pathOf(dir, cid), '');
    await store.get(cid);
    await store.put(bytes('again'));
    expect(await store.get(cid)).toEqual(Buffer.from('again'));
  });

  it('goes on from disk after a restart, and believes a file only once its bytes were checked', async () => {
    const dir = await folder();
    const first = await ChunkStore.open(dir);
    const good = await first.put(bytes('good'));
    const bad = await first.put(bytes('bad'));
    await first.close();
    await writeFile(pathOf(dir, bad), 'BAD');
    const again = await ChunkStore.open(dir);
    expect(again.has(good)).toBe(false);
    expect(await again.verified).toEqual({ checked: 2, corrupt: 1 });
    expect(again.list().map(String)).toEqual([good.toString()]);
    expect(again.usedBytes).toBe(4);
  });

  it('can be asked for a block before the check after a restart has come to it', async () => {
    const dir = await folder();
    const first = await ChunkStore.open(dir);
    const cid = await first.put(bytes('early'));
    await first.close();
    const again = await ChunkStore.open(dir);
    expect(await again.check(cid)).toBe(true);
    expect(again.has(cid)).toBe(true);
  });

  it('clears away what a crash left half written, and leaves files alone that are none of its own', async () => {
    const dir = await folder();
    await mkdir(join(dir, 'tmp'), { recursive: true });
    await mkdir(join(dir, 'blocks'), { recursive: true });
    await writeFile(join(dir, 'tmp', 'half'), 'hal');
    await writeFile(join(dir, 'blocks', 'README'), 'mine');
    const store = await ChunkStore.open(dir);
    expect(await readdir(join(dir, 'tmp'))).toEqual([]);
    expect(await readFile(join(dir, 'blocks', 'README'), 'utf8')).toBe('mine');
    expect(await store.verified).toEqual({ checked: 0, corrupt: 0 });
  });

  it.each(['ENOSPC', 'EDQUOT'])('says that the volume is full on %s, and leaves nothing behind', async (code) => {
    const dir = await folder();
    let full = true;
    const fs: Disk = {
      ...realDisk,
      open: async (path, flags) => {
        const file = await realDisk.open(path, flags);
        const writeFile = async (data: Uint8Array): Promise<void> => {
          await file.writeFile(full ? data.subarray(0, 1) : data);
          if (full) throw Object.assign(new Error('no room'), { code });
        };
        return { writeFile, sync: () => file.sync(), close: () => file.close() };
      },
    };
    const store = await ChunkStore.open(dir, { fs });
    await expect(store.put(bytes('too much'))).rejects.toThrow(VolumeFullError);
    expect(await readdir(join(dir, 'tmp'))).toEqual([]);
    expect(store.usedBytes).toBe(0);
    full = false;
    expect(store.has(await store.put(bytes('too much')))).toBe(true);
  });

  it('holds its own limit, also against writes at the same time', async () => {
    const store = await ChunkStore.open(await folder(), { maxBytes: 10 });
    const results = await Promise.allSettled(['aaaa', 'bbbb', 'cccc', 'dddd'].map((text) => store.put(bytes(text))));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(store.usedBytes).toBe(8);
  });

  it('writes a block once when it is put many times at once', async () => {
    const store = await ChunkStore.open(await folder());
    const onHave = vi.fn();
    store.listen({ onHave });
    await Promise.all(Array.from({ length: 8 }, () => store.put(bytes('once'))));
    expect(onHave).toHaveBeenCalledTimes(1);
    expect(store.usedBytes).toBe(4);
  });

  it('makes many blocks durable with few syncs of the folder', async () => {
    let folderSyncs = 0;
    const fs: Disk = {
      ...realDisk,
      open: (path, flags) => {
        if (flags === 'r') folderSyncs++;
        return realDisk.open(path, flags);
      },
    };
    const store = await ChunkStore.open(await folder(), { fs });
    const blocks = Array.from({ length: 64 }, (_, index) => ({
      cid: cidOf(new Uint8Array([index])),
      bytes: new Uint8Array([index]),
    }));
    await store.putAll(blocks);
    expect(store.list()).toHaveLength(64);
    expect(folderSyncs).toBeLessThan(64);
  });

  it('says so when one of many blocks is not what its name says', async () => {
    const store = await ChunkStore.open(await folder());
    const wrong = { cid: cidOf(bytes('true')), bytes: bytes('lies') };
    await expect(store.putAll([wrong])).rejects.toThrow(WrongBytesError);
  });

  it('does not keep a block whose folder could not be synced, and takes it once it can', async () => {
    let broken = true;
    const fs: Disk = {
      ...realDisk,
      open: async (path, flags) => {
        if (flags === 'r' && broken) throw Object.assign(new Error('input/output error'), { code: 'EIO' });
        return realDisk.open(path, flags);
      },
    };
    const store = await ChunkStore.open(await folder(), { fs });
    const results = await Promise.allSettled([store.put(bytes('a')), store.put(bytes('b'))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(store.list()).toEqual([]);
    broken = false;
    expect(store.has(await store.put(bytes('a')))).toBe(true);
  });

  it('finds many blocks again after a restart, with their sizes', async () => {
    const dir = await folder();
    const first = await ChunkStore.open(dir);
    const blocks = Array.from({ length: 500 }, (_, index) => {
      const one = bytes('x'.repeat(index));
      return { cid: cidOf(one), bytes: one };
    });
    await first.putAll(blocks);
    await first.close();
    const again = await ChunkStore.open(dir);
    expect(again.usedBytes).toBe((499 * 500) / 2);
    await again.verified;
    expect(new Set(again.names())).toEqual(new Set(blocks.map(({ cid }) => cid.toString())));
    expect(again.list().map(String)).toEqual(again.names());
  });

  it('deletes', async () => {
    const store = await ChunkStore.open(await folder());
    const cid = await store.put(bytes('gone'));
    expect(await store.delete(cid)).toBe(true);
    expect(await store.delete(cid)).toBe(false);
    expect(await store.get(cid)).toBeUndefined();
    expect(store.usedBytes).toBe(0);
  });
});
