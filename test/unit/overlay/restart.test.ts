import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOverlay, fileCharterStore, generateIdentity, memoryCharterStore } from '../../../src/overlay/index.ts';
import { allConnected, eventually, Fleet, log, network } from './fleet.ts';

let fleet: Fleet;
let folder: string;
beforeEach(async () => {
  fleet = await Fleet.create();
  folder = await mkdtemp(join(tmpdir(), 'charter-'));
});
afterEach(async () => {
  await fleet.stop();
  await rm(folder, { recursive: true });
});

describe('a peer that restarts', () => {
  it('comes back with the same identity at the same address and is connected again', async () => {
    const peers = await fleet.flock(3);
    const [first, second, old] = peers;
    await old!.overlay.stop();
    fleet.peers.splice(fleet.peers.indexOf(old!), 1);
    const back = await fleet.peer('flock-2', { key: old!.key, store: old!.store, listen: old!.member.addresses });
    expect(back.overlay.peerId).toBe(old!.overlay.peerId);
    await allConnected([first!, second!, back]);
  });

  it('obeys the charter that it had stored, with nobody there to tell it', async () => {
    const path = join(folder, 'charter');
    const before = await fleet.peer('one', { store: fileCharterStore(path) });
    await before.overlay.adopt(await fleet.charter([before.member], { seq: 41 }));
    await before.overlay.stop();
    const after = await fleet.peer('one', { key: before.key, store: fileCharterStore(path) });
    expect(after.overlay.charter).toMatchObject({ seq: 41, members: [before.member] });
    // The number is remembered too: what was replaced before the restart stays replaced.
    await expect(after.overlay.adopt(await fleet.charter([before.member], { seq: 40 }))).resolves.toBe('older');
  });

  it('starts without a charter where the stored one is damaged or not signed by the authority', async () => {
    const path = join(folder, 'charter');
    const store = fileCharterStore(path, log);
    const impostor = await Fleet.create();
    await store.save(await impostor.charter([]));
    expect((await fleet.peer('fooled', { store })).overlay.charter).toBeUndefined();
    await truncate(path, 20);
    expect(await store.load()).toBeUndefined();
    expect((await fleet.peer('torn', { store })).overlay.charter).toBeUndefined();
  });
});

describe('an overlay', () => {
  it('may be started and stopped again and again', async () => {
    const [one, two] = await fleet.flock(2);
    one!.overlay.handle('/murmuration/echo/1.0.0', { maxRequestBytes: 10, timeoutMs: 1000 }, async (bytes) => bytes);
    await one!.overlay.stop();
    await one!.overlay.stop();
    await eventually('the other one notices', 3000, () => two!.overlay.peers().length === 0);
    await one!.overlay.start();
    await one!.overlay.start();
    await allConnected([one!, two!]);
    const options = { timeoutMs: 2000, maxReplyBytes: 10 };
    const reply = await two!.overlay.request(one!.key.peerId, '/murmuration/echo/1.0.0', Uint8Array.of(1), options);
    expect(reply).toEqual(Uint8Array.of(1));
  });

  it('that cannot listen says on what, and can be started when it can', async () => {
    const [first] = await fleet.flock(1);
    const listen = first!.overlay.addresses;
    const { key } = await generateIdentity();
    const charters = memoryCharterStore();
    const second = createOverlay({ network, identity: key, authority: fleet.authority.peerId, listen, charters, log });
    await expect(second.start()).rejects.toThrow(listen[0]!);
    await first!.overlay.stop();
    await second.start();
    expect(second.addresses).toEqual(listen);
    await second.stop();
  });
});

describe('the stored charter', () => {
  it('is replaced as a whole: what was being written beside it at a crash does not matter', async () => {
    const path = join(folder, 'deep', 'charter');
    const store = fileCharterStore(path);
    expect(await store.load()).toBeUndefined();
    const first = await fleet.charter([]);
    await store.save(first);
    await writeFile(`${path}.new`, (await readFile(path)).subarray(0, 30));
    expect(await store.load()).toEqual(first);
    const second = await fleet.charter([]);
    await store.save(second);
    expect(await store.load()).toEqual(second);
  });
});

describe('a volume that is full', () => {
  it('does not keep a removed member in, and the charter is stored later', async () => {
    let full = true;
    const path = join(folder, 'charter');
    const file = fileCharterStore(path);
    const store = {
      load: file.load,
      save: async (signed: Parameters<typeof file.save>[0]) => {
        if (full) throw new Error('ENOSPC: no space left on device');
        await file.save(signed);
      },
    };
    const peer = await fleet.peer('full', { store });
    await expect(peer.overlay.adopt(await fleet.charter([peer.member], { seq: 3 }))).resolves.toBe('adopted');
    expect(peer.overlay.charter?.seq).toBe(3);
    full = false;
    await peer.overlay.stop();
    expect(await file.load()).toBeDefined();
  });
});
