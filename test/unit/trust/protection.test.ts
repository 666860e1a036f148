import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seeded } from '../../../src/learning/random.ts';
import {
  DoubleVoteError,
  type Intent,
  ProtectionCorruptError,
  type ProtectionDisk,
  ProtectionStore,
  ProtectionTakenError,
} from '../../../src/trust/index.ts';
import { CrashingDisk, PowerLossError } from './crashing-disk.ts';
import { folder, key, versionCid } from './fixtures.ts';

const { publicKey } = key(1);
const intent = (age: number, version: number, model = 'm'): Intent => ({
  network: 'n',
  model,
  age,
  version: versionCid(version),
});
const sign = (wanted: Intent) => () => `${wanted.model}/${wanted.age}/${wanted.version}`;

/** Fails when two different votes of one model and age are among the signatures. */
function expectNoDoubleVote(signatures: readonly string[]): void {
  const heights = new Set(signatures.map((signature) => signature.slice(0, signature.lastIndexOf('/'))));
  expect(new Set(signatures).size).toBe(heights.size);
}

/** Where a test holds somebody up. */
class Gate {
  readonly #reached = Promise.withResolvers<void>();
  #passage: PromiseWithResolvers<void> | undefined;

  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  shut(): void {
    this.#passage = Promise.withResolvers();
  }

  open(): void {
    this.#passage?.resolve();
  }

  async pass(): Promise<void> {
    if (this.#passage === undefined) return;
    this.#reached.resolve();
    await this.#passage.promise;
  }
}

/** A disk as one of its users sees it, who can be held up before making a file or writing to it. */
function gated(
  disk: ProtectionDisk,
  gates: { readonly beforeCreate?: Gate; readonly beforeWrite?: Gate },
): ProtectionDisk {
  return {
    mkdir: (path, options) => disk.mkdir(path, options),
    readdir: (path) => disk.readdir(path),
    readFile: (path) => disk.readFile(path),
    unlink: (path) => disk.unlink(path),
    open: async (path, flags) => {
      if (flags === 'wx') await gates.beforeCreate?.pass();
      const file = await disk.open(path, flags);
      const writeFile = async (data: Uint8Array): Promise<void> => {
        await gates.beforeWrite?.pass();
        await file.writeFile(data);
      };
      return { writeFile, sync: () => file.sync(), close: () => file.close() };
    },
  };
}

describe('slashing protection', () => {
  it('signs once a height, the same again, and nothing else', async () => {
    const store = await ProtectionStore.open(await folder(), publicKey);
    await expect(store.protect(intent(100, 1), () => 'signed')).resolves.toBe('signed');
    await expect(store.protect(intent(100, 1), () => 'again')).resolves.toBe('again');
    await expect(store.protect(intent(100, 2), () => 'no')).rejects.toThrow(DoubleVoteError);
    await expect(store.protect(intent(50, 1), () => 'no')).rejects.toThrow(/age 100 was signed already/);
    await expect(store.protect(intent(50, 1, 'other model'), () => 'yes')).resolves.toBe('yes');
    await expect(store.protect(intent(101, 2), () => 'yes')).resolves.toBe('yes');
  });

  it('remembers after a restart', async () => {
    const dir = await folder();
    await (await ProtectionStore.open(dir, publicKey)).protect(intent(100, 1), () => 0);
    const again = await ProtectionStore.open(dir, publicKey);
    expect(again.last('n', 'm')).toEqual(intent(100, 1));
    await expect(again.protect(intent(100, 2), () => 0)).rejects.toThrow(DoubleVoteError);
  });

  it('lets one signer sign: who opens the store last has it', async () => {
    const dir = await folder();
    const old = await ProtectionStore.open(dir, publicKey);
    await old.protect(intent(100, 1), () => 0);
    const young = await ProtectionStore.open(dir, publicKey);
    await expect(old.protect(intent(200, 1), () => 0)).rejects.toThrow(ProtectionTakenError);
    await expect(old.protect(intent(100, 1), () => 0)).rejects.toThrow(ProtectionTakenError);
    await expect(young.protect(intent(200, 2), () => 'young')).resolves.toBe('young');
  });

  it('keeps few files, however much is signed', async () => {
    const dir = await folder();
    const store = await ProtectionStore.open(dir, publicKey);
    for (let age = 1; age <= 30; age++) await store.protect(intent(age, 1), () => 0);
    expect((await readdir(dir)).length).toBeLessThanOrEqual(8);
    expect((await ProtectionStore.open(dir, publicKey)).last('n', 'm')?.age).toBe(30);
  });

  it('uses the state before a torn one', async () => {
    const dir = await folder();
    const store = await ProtectionStore.open(dir, publicKey);
    await store.protect(intent(100, 1), () => 0);
    const newest = (await readdir(dir)).sort().at(-1)!;
    const next = `state-${String(Number(newest.slice(6)) + 1).padStart(12, '0')}`;
    await writeFile(join(dir, next), (await readFile(join(dir, newest))).subarray(0, 40));
    const again = await ProtectionStore.open(dir, publicKey);
    expect(again.last('n', 'm')).toEqual(intent(100, 1));
    await expect(again.protect(intent(200, 1), () => 'yes')).resolves.toBe('yes');
  });

  it('signs nothing when its newest state was changed after it was written', async () => {
    const dir = await folder();
    await (await ProtectionStore.open(dir, publicKey)).protect(intent(100, 1), () => 0);
    const newest = join(dir, (await readdir(dir)).sort().at(-1)!);
    await writeFile(newest, (await readFile(newest, 'utf8')).replace('"age":100', '"age":001'));
    await expect(ProtectionStore.open(dir, publicKey)).rejects.toThrow(ProtectionCorruptError);
  });

  it("is one key's: another key does not get it", async () => {
    const dir = await folder();
    await ProtectionStore.open(dir, publicKey);
    await expect(ProtectionStore.open(dir, key(2).publicKey)).rejects.toThrow(/belongs to the key/);
  });

  it('grows from where a restored older copy is', async () => {
    const dir = await folder();
    const store = await ProtectionStore.open(dir, publicKey);
    await store.protect(intent(100, 1), () => 0);
    const backup = await Promise.all(
      (await readdir(dir)).map(async (name) => [name, await readFile(join(dir, name))] as const),
    );
    await store.protect(intent(200, 1), () => 0);
    const restored = await folder();
    for (const [name, bytes] of backup) await writeFile(join(restored, name), bytes);
    const again = await ProtectionStore.open(restored, publicKey);
    await expect(again.protect(intent(99, 1), () => 0)).rejects.toThrow(DoubleVoteError);
    await expect(again.protect(intent(100, 2), () => 0)).rejects.toThrow(DoubleVoteError);
  });

  it('gives no signature when the disk is full, and goes on when it is not', async () => {
    let full = false;
    const disk = new CrashingDisk(seeded(1));
    const fs: ProtectionDisk = {
      ...gated(disk, {}),
      open: async (path, flags) => {
        const file = await disk.open(path, flags);
        return full && flags === 'wx' ? { ...file, writeFile: () => Promise.reject(new Error('ENOSPC')) } : file;
      },
    };
    const store = await ProtectionStore.open('dir', publicKey, { fs });
    full = true;
    await expect(store.protect(intent(100, 1), () => 'signed')).rejects.toThrow('ENOSPC');
    full = false;
    await expect(store.protect(intent(100, 2), () => 'signed')).resolves.toBe('signed');
  });

  it('never signs two different votes for one height, whenever the power fails', async () => {
    const wishes = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(1), fc.constantFrom('a', 'b')), {
      minLength: 1,
      maxLength: 6,
    });
    const lives = fc.array(fc.tuple(wishes, fc.nat(40)), { minLength: 2, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(lives, fc.integer(), async (all, seed) => {
        const disk = new CrashingDisk(seeded(seed));
        const released: string[] = [];
        for (const [wanted, stepsLeft] of all) {
          disk.stepsLeft = stepsLeft;
          try {
            const store = await ProtectionStore.open('dir', publicKey, { fs: disk });
            for (const [age, version, model] of wanted) {
              const wish = intent(age, version, model);
              await store.protect(wish, sign(wish)).then(
                (signature) => released.push(signature),
                (error: unknown) => {
                  if (!(error instanceof DoubleVoteError)) throw error;
                },
              );
            }
          } catch (error) {
            expect(error).toBeInstanceOf(PowerLossError);
          }
          disk.restart();
        }
        expectNoDoubleVote(released);
      }),
      { numRuns: 400 },
    );
  });

  it('never signs two different votes at any single step where the power can fail', async () => {
    const run = async (stepsLeft: number, seed: number): Promise<number> => {
      const disk = new CrashingDisk(seeded(seed));
      const released: string[] = [];
      disk.stepsLeft = stepsLeft;
      try {
        const store = await ProtectionStore.open('dir', publicKey, { fs: disk });
        for (const age of [1, 2]) released.push(await store.protect(intent(age, 1), sign(intent(age, 1))));
      } catch (error) {
        expect(error).toBeInstanceOf(PowerLossError);
      }
      const { steps } = disk;
      disk.restart();
      const again = await ProtectionStore.open('dir', publicKey, { fs: disk });
      for (const age of [1, 2])
        await again.protect(intent(age, 2), sign(intent(age, 2))).then(
          (signature) => released.push(signature),
          (error: unknown) => expect(error).toBeInstanceOf(DoubleVoteError),
        );
      expectNoDoubleVote(released);
      return steps;
    };
    const steps = await run(Number.POSITIVE_INFINITY, 0);
    expect(steps).toBeGreaterThan(20);
    for (let step = 0; step <= steps; step++) for (let seed = 0; seed < 5; seed++) await run(step, seed);
  });

  it('knows of a vote that the signer before it was still writing while this one opened the store', async () => {
    const disk = new CrashingDisk(seeded(1));
    const oldWrites = new Gate();
    const newClaims = new Gate();
    const first = await ProtectionStore.open('dir', publicKey, { fs: gated(disk, { beforeWrite: oldWrites }) });
    oldWrites.shut();
    const signing = first.protect(intent(100, 1), () => 'released');
    await oldWrites.reached; // its file is there, and still empty
    newClaims.shut();
    const opening = ProtectionStore.open('dir', publicKey, { fs: gated(disk, { beforeCreate: newClaims }) });
    await newClaims.reached; // it has read the empty file as torn
    oldWrites.open();
    await expect(signing).resolves.toBe('released');
    newClaims.open();
    await expect((await opening).protect(intent(100, 2), () => 'no')).rejects.toThrow(DoubleVoteError);
  });

  it('never signs two different votes when two signers share a store, in whatever order they run', async () => {
    const property = fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.tuple(fc.nat(2), fc.integer({ min: 1, max: 2 })), { minLength: 1, maxLength: 4 }),
      async (scheduler, plan) => {
        const disk = new CrashingDisk(seeded(1), (what) => scheduler.schedule(Promise.resolve(), what));
        const released: string[] = [];
        const life = async (version: number): Promise<void> => {
          try {
            const store = await ProtectionStore.open('dir', publicKey, { fs: disk });
            for (const [skip, step] of plan) {
              const wish = intent(1 + skip + step, version);
              await store.protect(wish, sign(wish)).then(
                (signature) => released.push(signature),
                (error: unknown) => {
                  if (!(error instanceof DoubleVoteError)) throw error;
                },
              );
            }
          } catch (error) {
            expect(error).toBeInstanceOf(ProtectionTakenError);
          }
        };
        const lives = [life(1), life(2), life(3)];
        await scheduler.waitFor(Promise.all(lives));
        expectNoDoubleVote(released);
      },
    );
    // In the first, a signer once counted on from a state that another one was still writing.
    await fc.assert(property, { numRuns: 150, seed: -1466775749 });
    await fc.assert(property, { numRuns: 300 });
  });
});
