import { describe, expect, it } from 'vitest';
import { type BuiltVersion, ChunkStore } from '../../../src/chunks/index.ts';
import type { Charter, Placement } from '../../../src/overlay/index.ts';
import { Neighbours } from '../../../src/validator/neighbours.ts';
import { Problems } from '../../../src/validator/problems.ts';
import { Replicas } from '../../../src/validator/replicas.ts';
import { Hub } from '../chunks/hub.ts';
import { charterOf, folder, heldOf, keptLog, peer, report, version } from './fixtures.ts';
import { digits } from './flock.ts';

const self = peer(0);
const [anna, bert] = [peer(1), peer(2)] as const;
const never = new AbortController().signal;
const shard = (index: number, of: number, holders: readonly string[], versionCid?: string): Placement => ({
  model: digits().uid,
  index,
  of,
  holders,
  ...(versionCid === undefined ? {} : { versionCid }),
});

/** One validator's replicas; the others are stores in this process that serve what they have. */
async function replicas(options: {
  readonly placements: readonly Placement[];
  readonly kept: readonly BuiltVersion[];
  readonly here?: readonly (readonly [BuiltVersion, readonly number[]])[];
  readonly there?: Readonly<Record<string, readonly (readonly [BuiltVersion, readonly number[]])[]>>;
  readonly maxBytes?: number;
  readonly inUse?: () => ReadonlySet<string>;
}) {
  const store = await stock(options.here ?? [], options.maxBytes);
  const hub = new Hub();
  const others = Object.entries(options.there ?? {});
  for (const [name, blocks] of others) {
    const { holdings } = hub.join(name, await stock(blocks));
    for (const [built] of blocks) holdings.follow(built.cid, built.manifest);
  }
  const { holdings, fetcher } = hub.join(self, store, { stallMs: 400 });
  const neighbours = new Neighbours(() => 0);
  const problems = new Problems();
  const { log, lines } = keptLog();
  const world = { kept: options.kept, charter: charterOf(options.placements) as Charter | undefined };
  const made = new Replicas({
    self,
    store,
    holdings,
    fetcher,
    neighbours,
    charter: () => world.charter,
    peers: () => others.map(([name]) => name),
    kept: () => world.kept.map(({ cid, manifest }) => ({ cid, model: manifest.model, age: manifest.age })),
    inUse: options.inUse ?? (() => new Set()),
    problems,
    log,
  });
  const says = (who: string, built: BuiltVersion, indexes: readonly number[]) =>
    neighbours.hear(who, report({ held: [heldOf(built, indexes)] }));
  const held = (built: BuiltVersion) => built.chunks.flatMap(({ cid }, i) => (store.has(cid) ? [i] : []));
  return { replicas: made, store, problems, lines, world, says, held };
}

async function stock(blocks: readonly (readonly [BuiltVersion, readonly number[]])[], maxBytes = Infinity) {
  const store = await ChunkStore.open(await folder(), { maxBytes });
  for (const [built, indexes] of blocks) {
    await store.putVerified(built.cid, built.manifestBlock);
    for (const index of indexes) await store.putVerified(built.chunks[index]!.cid, built.chunks[index]!.bytes);
  }
  return store;
}

describe('what is placed here', () => {
  it('is fetched from whoever has it, and nothing else', async () => {
    const built = version(4);
    const one = await replicas({
      placements: [shard(0, 2, [self]), shard(1, 2, [anna])],
      kept: [built],
      there: { [anna]: [[built, [0, 1, 2, 3]]] },
    });
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1]);
    expect(one.replicas.standing()).toEqual({ assigned: 2, held: 2 });
  });

  it('is completed for the newest version of a model only, and for one that is pinned where that is pinned to', async () => {
    const [newest, older, pinned] = [version(2, 300), version(2, 200), version(2, 100)];
    const one = await replicas({
      placements: [shard(0, 2, [anna]), shard(1, 2, [self]), shard(0, 2, [self], pinned.cid.toString())],
      kept: [newest, older],
      there: { [anna]: [newest, older, pinned].map((built) => [built, [0, 1]] as const) },
    });
    await one.replicas.sync(never);
    expect([newest, older, pinned].map(one.held)).toEqual([[1], [], [0]]);
    expect(one.replicas.standing()).toEqual({ assigned: 2, held: 2 });
  });

  it('is waited for when nobody serves it, and said so; what is here stays', async () => {
    const built = version(2);
    const one = await replicas({ placements: [shard(0, 1, [self])], kept: [built], here: [[built, [0]]] });
    await one.replicas.sync(never);
    expect(one.lines.map(({ msg }) => msg)).toEqual(['chunks are not to be had']);
    expect(one.held(built)).toEqual([0]);
    expect(one.replicas.standing()).toEqual({ assigned: 2, held: 1 });
  });

  it('does not keep another version waiting that can be had', async () => {
    const [gone, there] = [version(2, 100), version(2, 200)];
    const one = await replicas({
      placements: [shard(0, 1, [self]), shard(0, 1, [self], there.cid.toString())],
      kept: [gone],
      there: { [anna]: [[there, [0, 1]]] },
    });
    await one.replicas.sync(never);
    expect(one.held(there)).toEqual([0, 1]);
  });

  it('becomes a problem when the volume is full, and is fetched once there is room', async () => {
    const [old, built] = [version(3, 100), version(3, 200)];
    const room = old.manifestBlock.byteLength + built.manifestBlock.byteLength + 3 * 1024 + 100;
    const one = await replicas({
      placements: [shard(0, 1, [self])],
      kept: [built, old],
      here: [[old, [0, 1, 2]]],
      there: { [anna]: [[built, [0, 1, 2]]] },
      maxBytes: room,
    });
    await one.replicas.sync(never);
    expect(one.problems.list().map(({ reason }) => reason)).toEqual(['VolumeFull']);
    one.world.kept = [built]; // the old one is kept no longer
    await one.replicas.sync(never);
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1, 2]);
    expect(one.problems.list()).toEqual([]);
  });
});

describe('what is not placed here', () => {
  it('stays until everybody it is placed on says to hold it', async () => {
    const built = version(4);
    const one = await replicas({
      placements: [shard(0, 2, [anna, bert]), shard(1, 2, [self])],
      kept: [built],
      here: [[built, [0, 1, 2, 3]]],
    });
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1, 2, 3]);
    one.says(anna, built, [0, 1]);
    one.says(bert, built, [1]);
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 2, 3]);
    one.says(bert, built, [0, 1]);
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([2, 3]);
  });

  it('stays when the charter places it on nobody', async () => {
    const built = version(4);
    const one = await replicas({
      placements: [shard(0, 4, [anna]), shard(1, 4, [])],
      kept: [built],
      here: [[built, [0, 1, 2, 3]]],
    });
    one.says(anna, built, [0, 1, 2, 3]);
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([1, 2, 3]);
  });

  it('stays when nothing of the model is placed yet', async () => {
    const built = version(2);
    const one = await replicas({ placements: [], kept: [built], here: [[built, [0, 1]]] });
    one.says(anna, built, [0, 1]);
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1]);
  });

  it('stays while the charter is not known, or the manifest of a kept version is lost', async () => {
    const [built, lost] = [version(2, 100), version(2, 200)];
    const one = await replicas({ placements: [shard(0, 1, [anna])], kept: [], here: [[built, [0, 1]]] });
    one.world.charter = undefined;
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1]);
    one.world.charter = charterOf([shard(0, 1, [anna])]);
    one.world.kept = [lost];
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1]);
  });

  it('is dropped when no kept version names it, unless it is in use', async () => {
    const [proposed, forgotten] = [version(2, 300), version(2, 100)];
    const inUse = new Set([proposed.cid, ...proposed.manifest.chunks].map(String));
    const one = await replicas({
      placements: [],
      kept: [],
      here: [
        [proposed, [0, 1]],
        [forgotten, [0, 1]],
      ],
      inUse: () => inUse,
    });
    await one.replicas.sync(never);
    expect([proposed, forgotten].map(one.held)).toEqual([[0, 1], []]);
    expect(one.store.has(forgotten.cid)).toBe(false);
  });

  it('stays when it comes into use after it was planned to be dropped', async () => {
    const forgotten = version(2);
    let asked = 0;
    const one = await replicas({
      placements: [],
      kept: [],
      here: [[forgotten, [0, 1]]],
      inUse: () => new Set(asked++ === 0 ? [] : [forgotten.chunks[1]!.cid.toString()]),
    });
    await one.replicas.sync(never);
    expect(one.held(forgotten)).toEqual([1]);
  });

  it('is not dropped for the word of a neighbour whose map is nonsense', async () => {
    const built = version(2);
    const one = await replicas({ placements: [shard(0, 1, [anna])], kept: [built], here: [[built, [0, 1]]] });
    one.says(anna, { ...built, manifest: { ...built.manifest, chunks: built.manifest.chunks.slice(0, 1) } }, [0]);
    await one.replicas.sync(never);
    expect(one.held(built)).toEqual([0, 1]);
  });
});
