import { describe, expect, it } from 'vitest';
import { type BlockOptions, fetchBlocks, type Source, type WantedBlock } from '../../../../src/cli/pull/blocks.ts';
import { version } from '../../validator/fixtures.ts';

const built = version(40);
const wanted: readonly WantedBlock[] = built.chunks.map(({ cid, bytes }, index) => ({
  cid,
  bytes: bytes.byteLength,
  index,
}));
const bytesOf = ({ index = 0 }: WantedBlock): Uint8Array => built.chunks[index]!.bytes.slice();

async function fetched(
  blocks: readonly WantedBlock[],
  sources: readonly Source[],
  ask: BlockOptions['ask'],
  options: Partial<BlockOptions> = {},
) {
  const got: [index: number, from: string][] = [];
  const asked: string[] = [];
  let waited = 0;
  const done = fetchBlocks(blocks, sources, {
    ask: async (source, block, signal) => {
      asked.push(source);
      return ask(source, block, signal);
    },
    onBlock: async ({ index = -1 }, bytes, from) => {
      expect(Buffer.compare(bytes, built.chunks[index]!.bytes)).toBe(0);
      got.push([index, from]);
    },
    wait: async () => {
      waited += 1;
    },
    signal: new AbortController().signal,
    ...options,
  });
  const error = await done.then(
    () => undefined,
    (reason: Error) => reason,
  );
  const from = Object.groupBy(got, ([, source]) => source);
  return { got: got.map(([index]) => index).sort((a, b) => a - b), from, asked, waited: () => waited, error };
}

const all = wanted.map((_, index) => index);
const three: readonly Source[] = ['a', 'b', 'c'].map((name) => ({ name }));

describe('blocks from several validators', () => {
  it('all come, each once, from all of them', async () => {
    const { got, from, error } = await fetched(wanted, three, async (_source, block) => bytesOf(block));
    expect([error, got]).toEqual([undefined, all]);
    for (const { name } of three) expect(from[name]!.length).toBeGreaterThan(10);
  });

  it('are asked for at a few at a time of each', async () => {
    const busy = new Map<string, number>();
    let most = 0;
    await fetched(wanted, three, async (source, block) => {
      busy.set(source, (busy.get(source) ?? 0) + 1);
      most = Math.max(most, ...busy.values());
      await new Promise(setImmediate);
      busy.set(source, busy.get(source)! - 1);
      return bytesOf(block);
    });
    expect(most).toBe(4);
  });

  it('are asked of those first who are said to have them', async () => {
    const sources: readonly Source[] = [
      { name: 'first', ranges: [[0, 20]] },
      { name: 'nobody says' },
      { name: 'second', ranges: [[20, 40]] },
    ];
    const { asked, from } = await fetched(wanted, sources, async (_source, block) => bytesOf(block));
    expect(asked).not.toContain('nobody says');
    expect(from.first!.every(([index]) => index < 20)).toBe(true);
    expect(from.second).toHaveLength(20);
  });

  it('come from elsewhere where one has none, is busy or breaks off', async () => {
    const { got, error, waited } = await fetched(wanted, three, async (source, block) => {
      if (source !== 'c') throw new Error('404 Block is not here');
      return bytesOf(block);
    });
    expect([error, got, waited()]).toEqual([undefined, all, 0]);
  });

  it('are not what somebody says they are: it is asked no more', async () => {
    const { got, asked, from, error } = await fetched(wanted, three, async (source, block) => {
      const bytes = bytesOf(block);
      if (source === 'a') bytes[7]! ^= 1;
      return source === 'b' ? bytes.subarray(1) : bytes;
    });
    expect([error, got, Object.keys(from)]).toEqual([undefined, all, ['c']]);
    expect(asked.filter((name) => name !== 'c').length).toBeLessThanOrEqual(8);
  });

  it('may be had a moment later', async () => {
    let calls = 0;
    const { got, waited } = await fetched(wanted.slice(0, 1), three, async (_source, block) => {
      calls += 1;
      if (calls <= 3) throw new Error('503 busy');
      return bytesOf(block);
    });
    expect([got, waited()]).toEqual([[0], 1]);
  });

  it('that nobody has end it all, with what each said', async () => {
    const { error, waited } = await fetched(wanted.slice(0, 1), three.slice(0, 2), async (source) => {
      throw new Error(`404 not at ${source}.`);
    });
    expect(error?.message).toBe(`Block ${wanted[0]!.cid} is not to be had. a: 404 not at a; b: 404 not at b.`);
    expect(waited()).toBe(2);
    expect((await fetched(wanted, [], async () => new Uint8Array())).error?.message).toContain('No validator is known');
  });

  it('end it all where they cannot be kept: no other validator would help', async () => {
    const { error, asked } = await fetched(wanted.slice(0, 1), three, async (_source, block) => bytesOf(block), {
      onBlock: async () => {
        throw new Error('ENOSPC');
      },
    });
    expect([error?.message, asked.length]).toEqual(['ENOSPC', 1]);
  });

  it('are asked for no longer when the command ends', async () => {
    const stop = new AbortController();
    const { error, asked } = await fetched(
      wanted,
      three,
      async (_source, block) => {
        stop.abort(new Error('stopped'));
        return bytesOf(block);
      },
      { signal: stop.signal },
    );
    expect(error?.message).toBe('stopped');
    expect(asked.length).toBeLessThanOrEqual(12);
  });
});
