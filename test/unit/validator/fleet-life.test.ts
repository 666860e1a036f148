import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Disk, realDisk } from '../../../src/disk/index.ts';
import type { CharterModel, Member } from '../../../src/overlay/index.ts';
import { digits, eventually, Flock } from './flock.ts';

/** A disk that has no room while it is told so. */
function fillableDisk(): { readonly disk: Disk; isFull: boolean } {
  const state = {
    isFull: false,
    disk: {
      ...realDisk,
      open: async (path: string, flags: 'r' | 'w' | 'wx') => {
        if (state.isFull && flags !== 'r')
          throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        return realDisk.open(path, flags);
      },
    },
  };
  return state;
}

/** One fleet from its first charter on; each test goes on where the one before it ended. */
describe('the life of a fleet', () => {
  let flock: Flock;
  let birds: Awaited<ReturnType<Flock['hatch']>>[];
  const volume = fillableDisk();
  const model = (generation: number, spec: Record<string, unknown>): CharterModel => ({ ...digits(spec), generation });
  const everyThousand = { versions: { everyAge: 1000, minimumVoters: 2 } };
  const often = { versions: { everyAge: 200, minimumVoters: 2 } };
  const members = (of: number): Member[] => birds.slice(0, of).map(({ member }) => member);
  const charter = (of: number, learned: CharterModel) =>
    flock.charter(
      members(of),
      [learned],
      [
        {
          model: learned.uid,
          index: 0,
          of: 1,
          holders: members(of)
            .slice(0, 3)
            .map(({ peerId }) => peerId),
        },
      ],
    );

  beforeAll(async () => {
    flock = await Flock.make();
    birds = await Promise.all([0, 1, 2, 3, 4].map((n) => flock.hatch(`flock-${n}`)));
    await charter(3, model(1, everyThousand));
    await Promise.all(birds.slice(0, 3).map((bird, n) => flock.start(bird, n === 1 ? { disk: volume.disk } : {})));
  }, 120_000);
  afterAll(() => flock[Symbol.asyncDispose](), 60_000);

  it('lets a validator that restarts go on as itself from its checkpoint', async () => {
    await eventually('flock-2 to have learned a little', 60, async () => {
      const { models } = await flock.status('flock-2');
      return models[0]?.age >= 100 ? true : undefined;
    });
    const before = await flock.status('flock-2');
    await flock.stop('flock-2');
    await flock.start(birds[2]!);
    const after = await eventually('flock-2 to learn again', 60, async () => {
      const status = await flock.status('flock-2');
      return status.models[0]?.startedFrom !== undefined && status.peers.length === 2 ? status : undefined;
    });
    expect(after.peerId).toBe(before.peerId);
    expect(after.models[0].startedFrom).toBe('checkpoint');
    expect(after.models[0].startedAtAge).toBeGreaterThanOrEqual(before.models[0].age);
  }, 120_000);

  it('lets validators that join begin with the certified version, and deals the data anew', async () => {
    await eventually('a version to be certified', 60, async () => {
      const { models } = await flock.status('flock-0');
      return models[0]?.certified;
    });
    await charter(5, model(1, everyThousand));
    await Promise.all(birds.slice(3).map((bird) => flock.start(bird)));
    for (const name of ['flock-3', 'flock-4']) {
      const { models } = await eventually(`${name} to learn`, 60, async () => {
        const status = await flock.status(name);
        return status.models[0]?.startedFrom === undefined ? undefined : status;
      });
      expect(models[0].startedFrom).toBe('certified');
      expect(models[0].startedAtAge % 1000).toBe(0);
      expect(models[0].startedAtAge).toBeGreaterThan(0);
    }
    for (const { name } of birds) {
      await eventually(`${name} to learn from a fifth`, 60, async () => {
        const { models } = await flock.status(name);
        return models[0]?.partition.of === 5 ? true : undefined;
      });
    }
  }, 120_000);

  it('says what is wrong with data of another digest, and learns on once a new spec mends it', async () => {
    const data = { source: { builtin: 'digits' }, classes: 10, scale: '16' };
    await charter(5, model(2, { ...often, data: { ...data, sha256: '0'.repeat(64) } }));
    for (const { name } of birds) {
      const problem = await eventually(`${name} to complain`, 60, async () => {
        const { models } = await flock.status(name);
        return models[0]?.problem;
      });
      expect(problem.reason).toBe('DataDigestMismatch');
    }
    await charter(5, model(3, often));
    for (const { name } of birds) {
      const learned = await eventually(`${name} to learn again`, 60, async () => {
        const { models } = await flock.status(name);
        return models[0]?.startedFrom !== undefined && models[0].problem === undefined ? models[0] : undefined;
      });
      expect(learned.startedFrom).not.toBe('scratch');
    }
  }, 120_000);

  it('says that a volume is full, and holds what is placed on it once there is room', async () => {
    volume.isFull = true;
    await eventually('flock-1 to complain', 60, async () => {
      const { problems } = await flock.status('flock-1');
      return problems.some(({ reason }: { reason: string }) => reason === 'VolumeFull') ? true : undefined;
    });
    const full = await flock.status('flock-1');
    volume.isFull = false;
    await eventually('flock-1 to hold a version that is newer', 150, async () => {
      const { problems, chunks, models } = await flock.status('flock-1');
      const isNewer = models[0]?.certified?.age > (full.models[0]?.certified?.age ?? 0);
      const isHeld = chunks.assigned > 0 && chunks.held === chunks.assigned;
      return problems.length === 0 && isNewer && isHeld ? true : undefined;
    });
  }, 240_000);

  it('stops the learning of a validator that the charter removes, and cuts it off', async () => {
    await charter(4, model(3, often));
    const removed = await eventually('flock-4 to be alone', 60, async () => {
      const status = await flock.status('flock-4');
      return status.models.length === 0 && status.peers.length === 0 ? status : undefined;
    });
    expect(removed.problems).toEqual([]);
    for (const name of ['flock-0', 'flock-1', 'flock-2', 'flock-3']) {
      await eventually(`${name} to let flock-4 go`, 60, async () => {
        const { peers } = await flock.status(name);
        return peers.length === 3 && !peers.includes(removed.peerId) ? true : undefined;
      });
    }
  }, 120_000);
});
