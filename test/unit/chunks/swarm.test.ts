import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { BufferMap, type BuiltVersion, buildVersion, FetchStalledError } from '../../../src/chunks/index.ts';
import { encodeBlock, encodeWords, type Message } from '../../../src/chunks/swarm/messages.ts';
import { VolumeFullError } from '../../../src/disk/index.ts';
import { fill, seeded, version } from './fixtures.ts';
import { follower, holder, SimNet, type SimPeer, unitsOf } from './swarm-sim.ts';

const built = version(40);
const MIB = 1024 * 1024;

/** A version of chunks of 128 KiB, as big as a swarm is measured with. */
function large(mib: number, seed = 1): BuiltVersion {
  const random = seeded(seed);
  const data = Float32Array.from({ length: (mib * MIB) / 4 }, () => random());
  return buildVersion({ model: 'm', network: 'n', age: 1, tensors: [{ name: 'w', shape: [data.length], data }] });
}

const fetchAll = (peer: SimPeer, what: BuiltVersion, sources: readonly string[], options = {}) =>
  peer.swarm.download(what.cid, { units: unitsOf(what), sources: () => sources, ...options });

const held = ({ store }: SimPeer, what: BuiltVersion) => what.chunks.filter(({ cid }) => store.has(cid)).length;

describe('a swarm', () => {
  it('brings every chunk to everyone, near to the bound, and little twice', async () => {
    const file = large(8);
    const net = new SimNet({ seed: 3 });
    const rate = 2_500; // 20 Mbit/s
    const seed = await holder(net, 'seed', file, { rate });
    const others = await Promise.all(Array.from({ length: 8 }, (_, i) => follower(net, `p${i}`, file, { rate })));
    const names = ['seed', ...others.map(({ name }) => name)];
    const took: number[] = [];
    const all = others.map(async (peer) => {
      await fetchAll(
        peer,
        file,
        names.filter((name) => name !== peer.name),
      );
      took.push(net.time.now());
    });
    await net.time.until(Promise.all(all));
    for (const peer of others) expect(held(peer, file)).toBe(file.chunks.length);
    // Mundinger, Weber, Weiss 2008: with equal uplinks nobody can be done earlier than this.
    const bound = ((8 * MIB) / rate) * (1 + Math.floor(Math.log2(8)) / file.chunks.length);
    took.sort((a, b) => a - b);
    expect(bound / took[4]!).toBeGreaterThan(0.8);
    expect(bound / took[7]!).toBeGreaterThan(0.75);
    expect(seed.swarm.traffic.sentBytes / (8 * MIB)).toBeLessThan(1.35);
    const twice = others.reduce((sum, { swarm }) => sum + swarm.traffic.duplicateBytes, 0);
    expect(twice / (8 * 8 * MIB)).toBeLessThan(0.06);
  });

  it('has the first holder send no chunk twice before each has left it once', async () => {
    const file = large(4);
    const net = new SimNet();
    const sent: number[] = [];
    await holder(net, 'seed', file, {
      tamper: (_to, frame) => {
        if (frame[0] === 1) sent.push(new DataView(frame.buffer, frame.byteOffset).getUint32(5));
        return frame;
      },
    });
    const others = await Promise.all(['a', 'b', 'c', 'd'].map((name) => follower(net, name, file)));
    const names = ['seed', 'a', 'b', 'c', 'd'];
    await net.time.until(
      Promise.all(
        others.map((peer) =>
          fetchAll(
            peer,
            file,
            names.filter((name) => name !== peer.name),
          ),
        ),
      ),
    );
    expect(new Set(sent.slice(0, file.chunks.length)).size).toBeGreaterThan(file.chunks.length * 0.97);
  });

  it('shows a lone peer everything, at the speed of the link', async () => {
    const file = large(8);
    const net = new SimNet();
    await holder(net, 'seed', file, { rate: 100_000 });
    const one = await follower(net, 'one', file);
    await net.time.until(fetchAll(one, file, ['seed']));
    expect(net.time.now()).toBeLessThan(600);
    expect(one.swarm.traffic.duplicateBytes).toBe(0);
  });

  it('tells of more chunks than one message carries', async () => {
    const many = version(3_000);
    const net = new SimNet();
    await holder(net, 'seed', many, { rate: 100_000 });
    const one = await follower(net, 'one', many);
    await net.time.until(fetchAll(one, many, ['seed']));
    expect(held(one, many)).toBe(3_000);
  });

  it('puts it together from peers of which none has all', async () => {
    const net = new SimNet();
    const indexes = [...built.chunks.keys()];
    await holder(net, 'odd', built, { indexes: indexes.filter((index) => index % 2 === 1) });
    await holder(net, 'even', built, { indexes: indexes.filter((index) => index % 2 === 0) });
    const one = await follower(net, 'one', built);
    await net.time.until(fetchAll(one, built, ['odd', 'even']));
    expect(held(one, built)).toBe(40);
    expect(one.swarm.traffic).toMatchObject({ receivedBytes: 40 * 1024, duplicateBytes: 0, wrongBytes: 0 });
  });

  it('fetches only what it is told to, and what the fewest have comes first', async () => {
    const net = new SimNet();
    const order: number[] = [];
    await holder(net, 'all', built, { rate: 20 });
    const common = [...built.chunks.keys()].filter((index) => index > 2);
    for (const name of ['a', 'b', 'c']) await holder(net, name, built, { indexes: common, tamper: noChunks });
    const one = await follower(net, 'one', built);
    await net.time.until(
      one.swarm.download(built.cid, {
        units: unitsOf(built, [0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]),
        sources: () => ['all', 'a', 'b', 'c'],
        onChunk: (index) => order.push(index),
      }),
    );
    expect(held(one, built)).toBe(18);
    expect(Math.max(...[0, 1, 2].map((index) => order.indexOf(index)))).toBeLessThan(9);
  });

  it('ends with a liar and a silent peer among the sources; the liar is reported, let go and not asked again', async () => {
    const net = new SimNet();
    const onMisbehaviour = vi.fn();
    const onOutcome = vi.fn();
    await holder(net, 'good', built, { rate: 50 });
    await holder(net, 'liar', built, {
      tamper: (_to, frame) => {
        if (frame[0] === 1) frame[100]! ^= 1;
        return frame;
      },
    });
    await holder(net, 'silent', built, { tamper: noChunks });
    const one = await follower(net, 'one', built, { onMisbehaviour, onOutcome, timeoutMs: 500 });
    await net.time.until(fetchAll(one, built, ['liar', 'silent', 'good']));
    expect(onMisbehaviour).toHaveBeenCalledExactlyOnceWith(
      'liar',
      'wrong-bytes',
      expect.stringContaining('do not hash'),
    );
    expect(onOutcome).toHaveBeenCalledWith('good', 'ok');
    expect(one.swarm.isAvoided('liar')).toBe(true);
    for (const { cid, bytes } of built.chunks) expect(Buffer.compare((await one.store.get(cid))!, bytes)).toBe(0);
    const wrong = one.swarm.traffic.wrongBytes;
    const other = version(40, 9);
    await holder(net, 'liar-too', other);
    await fill(one.store, other, []);
    one.holdings.follow(other.cid, other.manifest);
    await net.time.until(fetchAll(one, other, ['liar', 'liar-too']));
    expect(one.swarm.traffic.wrongBytes).toBe(wrong);
  });

  it.each<[string, (frame: Uint8Array) => Uint8Array]>([
    ['a chunk that nobody asked for', (frame) => (frame[0] === 1 ? withIndex(frame, 39) : frame)],
    ['half a chunk', (frame) => (frame[0] === 1 ? frame.subarray(0, 500) : frame)],
    ['nonsense', (frame) => (frame[0] === 1 ? new Uint8Array([7, 7, 7]) : frame)],
    ['a chunk for a version that we do not follow', (frame) => (frame[0] === 1 ? withIndex(frame, 0) : frame)],
  ])('lets go of a peer that sends %s', async (_what, tamper) => {
    const net = new SimNet();
    const onMisbehaviour = vi.fn();
    await holder(net, 'good', built, { rate: 5 });
    await holder(net, 'bad', built, { tamper: (_to, frame) => tamper(frame) });
    const one = await follower(net, 'one', built, { onMisbehaviour });
    await net.time.until(fetchAll(one, built, ['bad', 'good']));
    expect(held(one, built)).toBe(40);
    expect(onMisbehaviour).toHaveBeenCalledExactlyOnceWith(
      'bad',
      expect.stringMatching('malformed|wrong-bytes'),
      expect.any(String),
    );
  });

  it('goes on when a peer leaves in the middle, and with one that comes later', async () => {
    const net = new SimNet();
    await holder(net, 'first', built, { rate: 10 });
    const one = await follower(net, 'one', built);
    const sources = ['first'];
    const fetching = one.swarm.download(built.cid, { units: unitsOf(built), sources: () => sources });
    net.time.at(1_000, () => net.leave('first'));
    net.time.at(5_000, () => {
      void holder(net, 'second', built).then(() => sources.push('second'));
    });
    await net.time.until(fetching);
    expect(held(one, built)).toBe(40);
    expect(one.swarm.traffic.duplicateBytes).toBe(0);
  });

  it('follows the hint of a peer that has it no longer', async () => {
    const net = new SimNet();
    await holder(net, 'keeper', built);
    const teller = await holder(net, 'teller', built, { rate: 10 });
    await net.time.until(teller.swarm.download(built.cid, { units: [], sources: () => ['keeper'] }));
    const one = await follower(net, 'one', built);
    // The teller knows the keeper as one that follows the version too.
    const ask = await follower(net, 'ask', built);
    void ask;
    const fetching = fetchAll(one, built, ['teller', 'keeper']);
    net.time.at(300, () => void teller.store.delete(built.chunks[39]!.cid));
    await net.time.until(fetching);
    expect(held(one, built)).toBe(40);
  });

  it('asks a second source at the end, and counts what then comes twice', async () => {
    const one = version(1);
    const net = new SimNet();
    await holder(net, 'slow', one, { rate: 1 });
    await holder(net, 'quick', one, { rate: 2 });
    const asker = await follower(net, 'asker', one);
    await net.time.until(fetchAll(asker, one, ['slow', 'quick']));
    expect(net.time.now()).toBeLessThan(1_000);
    await net.time.until(net.time.sleep(3_000));
    expect(asker.swarm.traffic).toMatchObject({ receivedBytes: 2_048, duplicateBytes: 1_024 });
  });

  it('gives up when nobody has what is missing, and says whom it asked', async () => {
    const net = new SimNet();
    await holder(net, 'some', built, { indexes: [0, 1] });
    const one = await follower(net, 'one', built, { stallMs: 5_000 });
    const failure = net.time.until(fetchAll(one, built, ['some']));
    await expect(failure).rejects.toThrow(FetchStalledError);
    await expect(failure).rejects.toThrow(/38 blocks .* asked some/);
  });

  it('ends at once when it is told to, and when the volume is full', async () => {
    const net = new SimNet();
    await holder(net, 'all', built, { rate: 10 });
    const one = await follower(net, 'one', built);
    const stop = new AbortController();
    const fetching = fetchAll(one, built, ['all'], { signal: stop.signal });
    net.time.at(500, () => stop.abort(new Error('enough')));
    await expect(net.time.until(fetching)).rejects.toThrow('enough');
    const small = await follower(net, 'small', built, { maxBytes: built.manifestBlock.length + 5 * 1024 });
    await expect(net.time.until(fetchAll(small, built, ['all']))).rejects.toThrow(VolumeFullError);
  });

  it('takes what was on its way when it gave up and began again, and calls nobody a liar for it', async () => {
    const net = new SimNet();
    await holder(net, 'all', built, { rate: 10 });
    const onMisbehaviour = vi.fn();
    const one = await follower(net, 'one', built, { onMisbehaviour });
    const stop = new AbortController();
    const fetching = fetchAll(one, built, ['all'], { signal: stop.signal });
    net.time.at(500, () => stop.abort(new Error('enough')));
    await expect(net.time.until(fetching)).rejects.toThrow('enough');
    const rest = unitsOf(built).filter(({ cid }) => !one.store.has(cid));
    await net.time.until(one.swarm.download(built.cid, { units: rest, sources: () => ['all'] }));
    expect(onMisbehaviour).not.toHaveBeenCalled();
    expect(held(one, built)).toBe(40);
    expect(one.swarm.traffic.duplicateBytes).toBe(0);
  });

  it('takes what was on its way when its sender shut the version', async () => {
    const net = new SimNet();
    const first = await holder(net, 'first', built, { rate: 10 });
    const get = first.store.get.bind(first.store);
    // A chunk that is being read when the version is shut goes out after the word of it.
    const reading = vi.spyOn(first.store, 'get').mockImplementation(async (cid) => {
      if (reading.mock.calls.length === 5) first.holdings.unfollow(built.cid);
      await net.time.sleep(50);
      return get(cid);
    });
    const onMisbehaviour = vi.fn();
    const one = await follower(net, 'one', built, { onMisbehaviour });
    const fetching = fetchAll(one, built, ['first', 'second']);
    net.time.at(1_000, () => void holder(net, 'second', built));
    await net.time.until(fetching);
    expect(onMisbehaviour).not.toHaveBeenCalled();
    expect(held(one, built)).toBe(40);
  });

  it('tells of what it has lost, and is not asked for it', async () => {
    const net = new SimNet();
    const holding = await holder(net, 'holder', built, { rate: 10 });
    const one = await follower(net, 'one', built, { stallMs: 3_000 });
    const fetching = fetchAll(one, built, ['holder']);
    net.time.at(200, () => void holding.store.delete(built.chunks[39]!.cid));
    await expect(net.time.until(fetching)).rejects.toThrow(/1 blocks/);
    expect(held(one, built)).toBe(39);
  });

  it('gets back what it has lost from who got it meanwhile', async () => {
    const net = new SimNet();
    const [keeper, ...others] = await Promise.all(
      ['keeper', 'a', 'b'].map((name) => holder(net, name, built, { indexes: [0, 1] })),
    );
    const late = await follower(net, 'late', built);
    const get = (peer: SimPeer, sources: readonly string[]) =>
      peer.swarm.download(built.cid, { units: unitsOf(built, [0]), sources: () => sources });
    await net.time.until(get(late, ['keeper', 'a', 'b']));
    for (const { name } of others) net.leave(name);
    await keeper!.store.delete(built.chunks[0]!.cid);
    await net.time.until(get(keeper!, ['late']));
    expect(held(keeper!, built)).toBe(2);
  });

  it('bears any words in any order, and serves others as before', async () => {
    const n = fc.integer({ min: 0, max: 3 });
    const at = fc.array(fc.integer({ min: 0, max: 45 }), { maxLength: 60 });
    const length = fc.constantFrom(40, 40, 40, 7);
    const word: fc.Arbitrary<Message> = fc.oneof(
      fc
        .record({ k: fc.constant('open' as const), n, version: fc.constantFrom(built.cid, version(7, 5).cid), length })
        .map((open) => ({ ...open, bits: BufferMap.of(open.length, [0]).bits() })),
      fc.record({
        k: fc.constantFrom('have' as const, 'lost' as const, 'want' as const, 'cancel' as const, 'got' as const),
        n,
        at,
      }),
      fc.record({ k: fc.constant('shut' as const), n }),
      fc.record({
        k: fc.constant('no' as const),
        n,
        at: fc.integer({ min: 0, max: 45 }),
        why: fc.constantFrom('busy' as const, 'not-here' as const),
      }),
    );
    const frame = fc.oneof(
      { weight: 5, arbitrary: fc.array(word, { maxLength: 10 }).map(encodeWords) },
      {
        weight: 1,
        arbitrary: fc.record({ n, index: fc.integer({ min: 0, max: 45 }), bytes: fc.uint8Array() }).map(encodeBlock),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 40 }), fc.boolean(), async (frames, isSeed) => {
        const net = new SimNet();
        const victim = await holder(net, 'victim', built, isSeed ? {} : { indexes: [1, 2, 3] });
        await holder(net, 'friend', built, { indexes: [...built.chunks.keys()].slice(4), rate: 50 });
        const one = await follower(net, 'one', built);
        const fetching = victim.swarm.download(built.cid, {
          units: unitsOf(built, isSeed ? [] : [5, 6, 7, 8, 9]),
          sources: () => ['hostile', 'friend'],
        });
        for (const [i, parts] of frames.entries()) net.time.at(3 * i, () => net.say('hostile', 'victim', parts));
        await net.time.until(fetching);
        await net.time.until(net.time.sleep(300));
        const wanted = isSeed ? [1, 2, 3, 20] : [1, 2, 3, 7];
        await net.time.until(
          one.swarm.download(built.cid, { units: unitsOf(built, wanted), sources: () => ['victim'] }),
        );
        for (const index of wanted) expect(one.store.has(built.chunks[index]!.cid)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('does not let those who never say that something arrived keep its uplink from others', async () => {
    const file = large(2);
    const net = new SimNet();
    const onOutcome = vi.fn();
    const silent = (_to: string, frame: Uint8Array) =>
      frame[0] === 0 && Buffer.from(frame).includes('cgot') ? undefined : frame;
    const most = [...file.chunks.keys()].slice(1);
    await holder(net, 'seed', file, { indexes: most, onOutcome });
    const hogs = await Promise.all(['a', 'b', 'c', 'd'].map((name) => follower(net, name, file, { tamper: silent })));
    const request = { units: unitsOf(file, most), sources: () => ['seed'] };
    for (const { swarm } of hogs) swarm.download(file.cid, request).catch(() => undefined);
    const one = await follower(net, 'one', file);
    await net.time.until(net.time.sleep(2_000));
    await net.time.until(one.swarm.download(file.cid, request));
    expect(held(one, file)).toBe(most.length);
    expect(onOutcome).toHaveBeenCalledWith('a', 'timeout');
  });

  it('gives peers their share of the uplink by their weight', async () => {
    const file = large(4);
    const net = new SimNet();
    const most = [...file.chunks.keys()].slice(1); // who has all shows little at a time
    await holder(net, 'seed', file, { indexes: most, weight: (peer) => (peer === 'good' ? 4 : 1) });
    const good = await follower(net, 'good', file);
    const poor = await follower(net, 'poor', file);
    const request = { units: unitsOf(file, most), sources: () => ['seed'] };
    const fetching = Promise.all([good, poor].map(({ swarm }) => swarm.download(file.cid, request)));
    let then: readonly number[] = [];
    net.time.at(1_000, () => {
      then = [held(good, file), held(poor, file)];
    });
    await net.time.until(fetching);
    expect(then[0]! / then[1]!).toBeGreaterThan(1.5);
  });
});

/** It says what it has, and sends nothing of it. */
const noChunks = (_to: string, frame: Uint8Array): Uint8Array | undefined => (frame[0] === 1 ? undefined : frame);

function withIndex(frame: Uint8Array, index: number): Uint8Array {
  const changed = frame.slice();
  new DataView(changed.buffer).setUint32(index === 0 ? 1 : 5, index === 0 ? 9_999 : index);
  return changed;
}
