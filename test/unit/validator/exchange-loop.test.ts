import { describe, expect, it } from 'vitest';
import { type MergeOutcome, type Routing, STEADY } from '../../../src/learning/index.ts';
import { ExchangeLoop, type ExchangeLoopParts } from '../../../src/validator/exchange-loop.ts';
import { gate, Sleeps } from './fixtures.ts';

const accepted: MergeOutcome = { age: 1, accepted: true, isNews: true, distance: 0, lossBefore: 1, lossAfter: 1 };
const bytes = (text: string) => new TextEncoder().encode(text);

/** Sends to the first who is free. */
const first: Routing = {
  next: ({ neighbours, isFree }) => [{ way: 'peer', to: neighbours.filter(isFree).slice(0, 1) }],
  relation: () => 'peer',
  heard: () => undefined,
};

/** A loop around a learner that writes down what is done with it. */
function loop(overrides: Partial<ExchangeLoopParts> = {}) {
  const done: string[] = [];
  const sleeps = new Sleeps();
  let now = 0;
  const made = new ExchangeLoop({
    learner: {
      message: async () => bytes('own'),
      merge: async (message) => {
        done.push(`merge ${new TextDecoder().decode(message)}`);
        return accepted;
      },
      update: async () => {
        done.push('update');
        now += 40;
        return { age: 10, loss: 0.5 };
      },
    },
    routing: first,
    pace: STEADY,
    waitMilliseconds: 1000,
    members: () => [],
    trust: () => 1,
    neighbours: () => ['anna'],
    send: async (peer) => void done.push(`send to ${peer}`),
    random: () => 0.5,
    sleep: sleeps.sleep,
    monotonic: () => now,
    now: () => now,
    on: { sent: () => undefined, merged: () => undefined, updated: () => undefined },
    ...overrides,
  });
  return { loop: made, done, sleeps };
}

/** Every promise that could be settled by now is. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const never = new AbortController().signal;

describe('a round of gossip learning', () => {
  it('merges what came in, learns, then sends what it knows now', async () => {
    const { loop: one, done } = loop();
    one.receive('bert', bytes('from bert'));
    await one.round(never);
    expect(done).toEqual(['merge from bert', 'update', 'send to anna']);
  });

  it('merges what came in, and neither learns nor sends, while it rests', async () => {
    let rests = true;
    const { loop: one, done } = loop({ rests: () => rests });
    one.receive('bert', bytes('from bert'));
    await one.round(never);
    expect(done).toEqual(['merge from bert']);
    rests = false;
    await one.round(never);
    expect(done).toEqual(['merge from bert', 'update', 'send to anna']);
  });

  it('merges only the newest model of each neighbour, and each once', async () => {
    const { loop: one, done } = loop({ neighbours: () => [] });
    one.receive('bert', bytes('old'));
    one.receive('carl', bytes('from carl'));
    one.receive('bert', bytes('new'));
    await one.round(never);
    await one.round(never);
    expect(done).toEqual(['merge new', 'merge from carl', 'update', 'update']);
  });

  it('does not wait for a slow neighbour, nor sends it a second model meanwhile', async () => {
    const slow = gate();
    const sent: string[] = [];
    const { loop: one, done } = loop({
      neighbours: () => ['slow', 'quick'],
      random: () => 0,
      send: async (peer) => {
        sent.push(peer);
        if (peer === 'slow') await slow.passed;
      },
    });
    await one.round(never);
    await one.round(never);
    expect(done).toEqual(['update', 'update']);
    expect(sent).toEqual(['slow', 'quick']);
    slow.open();
    await settled();
    await one.round(never);
    expect(sent.at(-1)).toBe('slow');
  });

  it('learns on when a neighbour does not take the model, and says which', async () => {
    const failures: string[] = [];
    const { loop: one, done } = loop({
      send: async () => {
        throw new Error('gone');
      },
      on: {
        sent: (peer, _bytes, error) =>
          void failures.push(`${peer}: ${error instanceof Error ? error.message : 'taken'}`),
        merged: () => undefined,
        updated: () => undefined,
      },
    });
    await one.round(never);
    await settled();
    expect(done).toEqual(['update']);
    expect(failures).toEqual(['anna: gone']);
  });

  it('learns alone when it has no neighbour', async () => {
    const { loop: one, done } = loop({ neighbours: () => [] });
    await one.round(never);
    expect(done).toEqual(['update']);
  });

  it('tells how long an update took', async () => {
    const took: number[] = [];
    const on = {
      sent: () => undefined,
      merged: () => undefined,
      updated: (u: { milliseconds: number }) => void took.push(u.milliseconds),
    };
    await loop({ on }).loop.round(never);
    expect(took).toEqual([40]);
  });
});

describe('the loop', () => {
  it('waits between half and one and a half of the wait, round after round, until aborted', async () => {
    const draws = [0, 0.999];
    const stop = new AbortController();
    const { loop: one, done, sleeps } = loop({ neighbours: () => [], random: () => draws.shift() ?? 0.5 });
    const running = one.run(stop.signal);
    await sleeps.next();
    await sleeps.next();
    stop.abort();
    await running;
    expect(sleeps.asked[0]).toBe(500);
    expect(sleeps.asked[1]).toBeCloseTo(1499);
    expect(done.length).toBeLessThanOrEqual(2);
    expect(done[0]).toBe('update');
  });

  it('ends with the error of a learner that has stopped', async () => {
    const { loop: one, sleeps } = loop({
      neighbours: () => [],
      learner: {
        message: async () => bytes(''),
        merge: async () => accepted,
        update: async () => {
          throw new Error('the worker ended');
        },
      },
    });
    const running = one.run(never);
    await sleeps.next();
    await expect(running).rejects.toThrow('the worker ended');
  });
});
