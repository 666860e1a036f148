import { describe, expect, it } from 'vitest';
import { BufferMap, type BuiltVersion, type Holding } from '../../../src/chunks/index.ts';
import { maxProvidedKeys, type Placement, providerKey } from '../../../src/overlay/index.ts';
import { keysOf, Market, type Offer } from '../../../src/validator/market.ts';
import { charterOf, member, peer, version } from './fixtures.ts';
import { digits } from './flock.ts';

const uid = digits().uid;
const holding = (built: BuiltVersion, chunks: readonly number[]): Holding => ({
  cid: built.cid,
  manifest: built.manifest,
  map: BufferMap.of(built.manifest.chunks.length, chunks),
});
const shard = (index: number, of: number, versionCid?: string): Placement => ({
  model: uid,
  index,
  of,
  holders: [],
  ...(versionCid === undefined ? {} : { versionCid }),
});
const [newest, older] = [version(4, 200), version(4, 100)];

const offer = (change: Partial<Offer> = {}): Offer => ({
  isValidator: true,
  models: [uid],
  wanted: [],
  holdings: [holding(newest, [0, 1, 2])],
  placements: [shard(0, 2), shard(1, 2)],
  newest: () => newest.cid.toString(),
  ...change,
});

describe('what a validator may be looked up by', () => {
  it('is that it is one, its models, versions it has a chunk of, and shards it has all of', () => {
    expect(keysOf(offer())).toEqual([
      'validators',
      `model/${uid}`,
      `version/${newest.cid}`,
      `shard/${uid}/0/2`, // it has chunks 0 and 1 of four, and only one of the other half
    ]);
  });

  it('is a model that it takes users of', () => {
    expect(keysOf(offer({ wanted: [uid] }))).toContain(`data/${uid}`);
  });

  it('is no version of which it has the manifest alone', () => {
    expect(keysOf(offer({ holdings: [holding(newest, [])] }))).toEqual(['validators', `model/${uid}`]);
  });

  it('is a shard of the version that the charter pins, where it pins one', () => {
    const held = { holdings: [holding(newest, [0]), holding(older, [0, 1, 2, 3])] };
    expect(keysOf(offer({ ...held, placements: [shard(0, 2)] }))).not.toContain(providerKey.shard(uid, 0, 2));
    const pinned = offer({ ...held, placements: [shard(0, 2, older.cid.toString())] });
    expect(keysOf(pinned)).toContain(providerKey.shard(uid, 0, 2));
  });

  it('is no shard that has no chunk', () => {
    const one = version(1);
    const placements = [shard(0, 2), shard(1, 2)];
    const keys = keysOf(offer({ holdings: [holding(one, [0])], placements, newest: () => one.cid.toString() }));
    expect(keys.filter((key) => key.startsWith('shard/'))).toEqual([providerKey.shard(uid, 1, 2)]);
  });

  it('is nothing while the charter does not name it', () => {
    expect(keysOf(offer({ isValidator: false }))).toEqual([]);
  });

  it('is so much at most: old versions and shards go first', () => {
    const many = Array.from({ length: 100 }, (_, age) => version(1, age));
    const keys = keysOf(offer({ holdings: many.map((built) => holding(built, [0])) }));
    expect(keys).toHaveLength(maxProvidedKeys);
    expect(keys.slice(0, 3)).toEqual(['validators', `model/${uid}`, `version/${many[99]!.cid}`]);
    expect(keys).not.toContain(`version/${many[0]!.cid}`);
  });
});

describe('the market', () => {
  const self = peer(0);

  function market() {
    const calls: string[] = [];
    const world = {
      charter: charterOf([shard(0, 1)], [member(0)]),
      kept: [newest],
      holdings: [holding(newest, [0, 1, 2, 3])],
      stored: new Set([newest.cid.toString()]),
    };
    const made = new Market({
      overlay: {
        peerId: self,
        get charter() {
          return world.charter;
        },
        provide: async (key) => void calls.push(`+${key}`),
        withhold: async (key) => void calls.push(`-${key}`),
      },
      validators: () => world.charter.members,
      tasks: () => [{ model: digits() }],
      wanted: () => [],
      versions: {
        kept: () => world.kept.map(({ cid, manifest }) => ({ cid, model: manifest.model, age: manifest.age })),
        latest: () => world.kept[0] && ({ version: world.kept[0].cid.toString() } as never),
      },
      holdings: { list: () => world.holdings },
      store: { has: (cid) => world.stored.has(cid.toString()) },
    });
    const sync = async () => {
      calls.length = 0;
      await made.sync();
      await new Promise(setImmediate); // it is told in the background
      return calls.toSorted();
    };
    return { world, sync };
  }

  it('tells what is new once, and withholds what is gone', async () => {
    const { world, sync } = market();
    const [old, next] = [`version/${newest.cid}`, version(2, 300)];
    expect(await sync()).toEqual(['+validators', `+model/${uid}`, `+shard/${uid}/0/1`, `+${old}`].sort());
    expect(await sync()).toEqual([]);
    world.kept = [next];
    world.holdings = [holding(newest, [0, 1, 2, 3]), holding(next, [0])];
    world.stored.add(next.cid.toString());
    expect(await sync()).toEqual([`+version/${next.cid}`, `-shard/${uid}/0/1`, `-${old}`].sort());
  });

  it('tells no version whose manifest is not in the store, and none that nobody certified', async () => {
    const { world, sync } = market();
    world.stored.clear();
    expect(await sync()).toEqual(['+validators', `+model/${uid}`].sort());
    world.stored.add(newest.cid.toString());
    world.kept = [];
    expect(await sync()).toEqual([]);
  });
});
