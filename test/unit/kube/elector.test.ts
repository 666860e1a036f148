import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Client, Elector, LeaseFence, silent } from '../../../src/kube/index.ts';
import { StillClock } from './clock.ts';
import { LeaseServer } from './lease-server.ts';

interface Candidate {
  readonly name: string;
  readonly elector: Elector;
  readonly fence: LeaseFence;
  readonly way: ReturnType<LeaseServer['transport']>;
  readonly stop: AbortController;
  readonly running: Promise<void>;
  readonly terms: string[];
}

function candidate(name: string, server: LeaseServer, clock: StillClock): Candidate {
  const way = server.transport();
  const fence = new LeaseFence(clock);
  const stop = new AbortController();
  const terms: string[] = [];
  const elector = new Elector({
    client: new Client({ transport: way, clock, random: () => 0.5, attempts: 1 }),
    fence,
    lease: { namespace: 'ns', name: 'l' },
    identity: name,
    clock,
    random: () => 0.5,
    log: silent,
    lead: async (signal) => {
      terms.push('begins');
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      terms.push('ends');
    },
  });
  return { name, elector, fence, way, stop, terms, running: elector.run(stop.signal) };
}

/** a leads, b has waited for so long. */
async function leaderAndOther(ms: number) {
  const clock = new StillClock();
  const server = new LeaseServer();
  const a = candidate('a', server, clock);
  await clock.pass(100);
  const b = candidate('b', server, clock);
  await clock.pass(ms);
  return { clock, server, a, b };
}

const mayWrite = (one: Candidate) => one.fence.remainingMs() > 0;

describe('the elector', () => {
  it('takes a free lease and renews it', async () => {
    const clock = new StillClock();
    const server = new LeaseServer();
    const a = candidate('a', server, clock);
    await clock.pass(60_000);
    expect([a.elector.leading, mayWrite(a), a.terms]).toEqual([true, true, ['begins']]);
    expect(server.lease?.spec).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    expect(server.writes).toBeGreaterThanOrEqual(30);
    a.stop.abort(new Error('enough'));
    await a.running;
  });

  it('says when nobody has held the lease for long, and why', async () => {
    const clock = new StillClock();
    const server = new LeaseServer();
    const a = candidate('a', server, clock);
    a.way.loseAnswers = true;
    await clock.pass(50_000);
    expect(a.elector.leaderless(55_000)).toBeUndefined();
    await clock.pass(10_000);
    expect(a.elector.leaderless(55_000)).toMatch(/^lease ns\/l: nobody has held it for 6\d s \(.*reset\)$/);
    a.way.loseAnswers = false;
    await clock.pass(20_000);
    expect([a.elector.leading, a.elector.leaderless(55_000)]).toEqual([true, undefined]);
    const b = candidate('b', server, clock);
    await clock.pass(70_000);
    expect([b.elector.leading, b.elector.leaderless(55_000)]).toEqual([false, undefined]);
    for (const one of [a, b]) one.stop.abort(new Error('enough'));
    await Promise.all([a.running, b.running]);
  });

  it('gives the lease back when it stops, and the next one has it within half a second', async () => {
    const { clock, server, a, b } = await leaderAndOther(5000);
    expect(b.elector.leading).toBe(false);
    expect(b.elector.holder).toBe('a');
    a.stop.abort(new Error('enough'));
    await a.running;
    expect(a.terms).toEqual(['begins', 'ends']);
    await clock.pass(510);
    expect(b.elector.leading).toBe(true);
    expect(server.lease?.spec.leaseTransitions).toBe(1);
    b.stop.abort(new Error('enough'));
    await b.running;
  });

  it('stops writing 10 s after the last renewal, and the other begins 15 s after having seen it', async () => {
    const { clock, a, b } = await leaderAndOther(10_000);
    a.way.cut = true;
    await clock.pass(8_000);
    expect(mayWrite(a)).toBe(true);
    await clock.pass(2_200);
    expect(mayWrite(a)).toBe(false);
    expect([a.elector.leading, a.terms, b.elector.leading]).toEqual([false, ['begins', 'ends'], false]);
    await clock.pass(6_000);
    expect([mayWrite(b), b.elector.leading]).toEqual([true, true]);
    // It comes back: it competes again, and does not disturb.
    a.way.cut = false;
    await clock.pass(60_000);
    expect([a.elector.leading, b.elector.leading]).toEqual([false, true]);
    for (const one of [a, b]) one.stop.abort(new Error('enough'));
    await Promise.all([a.running, b.running]);
  });

  it('takes over as soon as the lease has run out', async () => {
    const { clock, server, a, b } = await leaderAndOther(10_000);
    a.way.cut = true;
    const before = server.writes;
    const renewed = Date.parse(String(server.lease?.spec.renewTime));
    while (server.writes === before) await clock.pass(10);
    // Seen half a second late at the most, and not looked at any later than it runs out.
    expect(clock.now() - renewed).toBeGreaterThanOrEqual(15_000);
    expect(clock.now() - renewed).toBeLessThanOrEqual(15_520);
    for (const one of [a, b]) one.stop.abort(new Error('enough'));
    await Promise.all([a.running, b.running]);
  });

  it('goes on after a renewal whose answer was lost', async () => {
    const clock = new StillClock();
    const server = new LeaseServer();
    const a = candidate('a', server, clock);
    await clock.pass(1000);
    a.way.loseAnswers = true;
    await clock.pass(3000);
    a.way.loseAnswers = false;
    await clock.pass(30_000);
    expect([a.elector.leading, a.terms]).toEqual([true, ['begins']]);
    a.stop.abort(new Error('enough'));
    await a.running;
  });

  it('refuses times that do not keep two leaders apart', () => {
    const clock = new StillClock();
    const init = {
      client: new Client({ transport: new LeaseServer().transport() }),
      fence: new LeaseFence(clock),
      lease: { namespace: 'n', name: 'l' },
      identity: 'a',
      clock,
      random: () => 0,
      log: silent,
      lead: async () => undefined,
    };
    expect(() => new Elector({ ...init, leaseMs: 10_000, renewMs: 10_000 })).toThrow(RangeError);
  });

  it('never lets two write at once, whatever is cut, lost, stopped or started, and always finds a leader in the end', async () => {
    const step = fc.record({
      who: fc.nat({ max: 2 }),
      do: fc.constantFrom(
        'cut' as const,
        'join' as const,
        'lose' as const,
        'stop' as const,
        'start' as const,
        'nothing' as const,
      ),
      ms: fc.constantFrom(10, 500, 1900, 2100, 4000, 9900, 15_100),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const clock = new StillClock();
        const server = new LeaseServer();
        const everyone: Candidate[] = [];
        const now: Candidate[] = ['a', 'b', 'c'].map((name) => candidate(name, server, clock));
        everyone.push(...now);
        const check = () => {
          const writers = everyone.filter(mayWrite).map(({ name }) => name);
          if (writers.length > 1) throw new Error(`${writers.join(' and ')} may write`);
        };
        let lives = 0;
        for (const { who, do: what, ms } of steps) {
          const one = now[who]!;
          if (what === 'cut') one.way.cut = true;
          if (what === 'join') Object.assign(one.way, { cut: false, loseAnswers: false });
          if (what === 'lose') one.way.loseAnswers = true;
          if (what === 'stop') one.stop.abort(new Error('enough'));
          if (what === 'start' && one.stop.signal.aborted) {
            now[who] = candidate(`${one.name.slice(0, 1)}${lives++}`, server, clock);
            everyone.push(now[who]!);
          }
          for (let passed = 0; passed < ms; passed += 500) {
            await clock.pass(Math.min(500, ms - passed));
            check();
          }
        }
        for (const one of now) Object.assign(one.way, { cut: false, loseAnswers: false });
        await clock.pass(20_000);
        check();
        const alive = now.filter(({ stop }) => !stop.signal.aborted);
        expect(alive.filter(mayWrite).length).toBe(alive.length === 0 ? 0 : 1);
        for (const one of everyone) one.stop.abort(new Error('enough'));
        await clock.pass(10_000);
        await Promise.all(everyone.map(({ running }) => running));
      }),
      { numRuns: 100 },
    );
  }, 60_000);
});
