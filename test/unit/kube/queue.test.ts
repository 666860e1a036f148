import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WorkQueue } from '../../../src/kube/index.ts';
import { StillClock, settle } from './clock.ts';

function queue(more: { random?: () => number } = {}) {
  const clock = new StillClock();
  return { clock, queue: new WorkQueue({ clock, random: more.random ?? (() => 0) }) };
}

/** What can be taken now, in order; each is done at once. */
async function drain(of: WorkQueue): Promise<string[]> {
  const taken: string[] = [];
  while (of.depth > 0) {
    const key = (await of.take())!;
    taken.push(key);
    of.done(key);
  }
  return taken;
}

describe('the work queue', () => {
  it('hands out a key once, however often it was added', async () => {
    const { queue: q } = queue();
    q.add('a');
    q.add('b');
    q.add('a');
    expect(await drain(q)).toEqual(['a', 'b']);
  });

  it('does not hand out a key that is worked on, but once more afterwards when it was added meanwhile', async () => {
    const { queue: q } = queue();
    q.add('a');
    expect(await q.take()).toBe('a');
    q.add('a');
    q.add('a');
    expect(q.depth).toBe(0);
    q.done('a');
    expect(await drain(q)).toEqual(['a']);
  });

  it('lets the earlier of two times win', async () => {
    const { queue: q, clock } = queue();
    q.add('a', { afterMs: 1000 });
    q.add('a', { afterMs: 100 });
    q.add('a', { afterMs: 5000 });
    await clock.pass(99);
    expect(q.depth).toBe(0);
    await clock.pass(1);
    expect(await drain(q)).toEqual(['a']);
    await clock.pass(10_000);
    expect(q.depth).toBe(0);
  });

  it('gives a waiting taker the key as soon as it is due', async () => {
    const { queue: q, clock } = queue();
    let got: string | undefined;
    void q.take().then((key) => {
      got = key;
    });
    q.add('a', { afterMs: 50 });
    await clock.pass(49);
    expect(got).toBeUndefined();
    await clock.pass(1);
    expect(got).toBe('a');
  });

  it('takes high before low, and raises a waiting low key that someone wants high', async () => {
    const { queue: q } = queue();
    q.add('resync-1', { priority: 'low' });
    q.add('resync-2', { priority: 'low' });
    q.add('person');
    q.add('resync-2');
    expect(await drain(q)).toEqual(['person', 'resync-2', 'resync-1']);
  });

  it('does not let low keys wait for ever', async () => {
    const { queue: q } = queue();
    q.add('low', { priority: 'low' });
    for (let at = 0; at < 100; at += 1) q.add(`high-${at}`);
    expect((await drain(q)).indexOf('low')).toBe(15);
  });

  it('backs off from 5 ms to 16 min, and starts over after forget', async () => {
    const { queue: q } = queue();
    const delays = Array.from({ length: 20 }, () => q.retry('a'));
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays[19]).toBe(16 * 60_000);
    q.forget('a');
    expect(q.retry('a')).toBe(5);
  });

  it('gives undefined to everyone who waits once it is stopped, and takes nothing more', async () => {
    const { queue: q, clock } = queue();
    const waiting = q.take();
    q.add('later', { afterMs: 10 });
    q.stop();
    expect(await waiting).toBeUndefined();
    q.add('a');
    expect(await q.take()).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  it('neither loses a key, nor doubles one, nor hands one out early, whatever happens in whatever order', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({
        do: fc.constant('add' as const),
        key,
        afterMs: fc.constantFrom(0, 0, 5, 50),
        priority: fc.constantFrom('high' as const, 'low' as const),
      }),
      fc.record({ do: fc.constant('take' as const) }),
      fc.record({ do: fc.constant('done' as const), key }),
      fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 5, 60) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const { queue: q, clock } = queue();
        /** When each key that is wanted is due. */
        const wanted = new Map<string, number>();
        const working = new Set<string>();
        const take = async () => {
          const taken = await q.take();
          expect(working.has(taken!)).toBe(false);
          expect(wanted.get(taken!)).toBeLessThanOrEqual(clock.monotonic());
          wanted.delete(taken!);
          working.add(taken!);
        };
        for (const one of steps) {
          if (one.do === 'add') {
            const due = clock.monotonic() + one.afterMs;
            wanted.set(one.key, Math.min(due, wanted.get(one.key) ?? due));
            q.add(one.key, one);
          } else if (one.do === 'take' && q.depth > 0) {
            await take();
          } else if (one.do === 'done') {
            working.delete(one.key);
            q.done(one.key);
          } else if (one.do === 'pass') {
            clock.passAtOnce(one.ms);
          }
          const ready = [...wanted].filter(([name, due]) => due <= clock.monotonic() && !working.has(name));
          expect(q.depth).toBe(ready.length);
        }
        for (const name of working) q.done(name);
        working.clear();
        clock.passAtOnce(1000);
        await settle();
        while (q.depth > 0) {
          await take();
          for (const name of working) q.done(name);
          working.clear();
        }
        expect([...wanted.keys()]).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
