import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Member } from '../../../src/overlay/index.ts';
import { PeerKeeper } from '../../../src/overlay/peer-keeper.ts';
import { log, memberOf } from './fleet.ts';

const address = ['/ip4/10.0.0.1/tcp/4001'];
const second = 1000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A keeper of peer `m` whose dials are told how to end. */
function keeper(members: readonly Member[], outcome: (peer: string) => Promise<void>) {
  const connected = new Set<string>();
  const dials: { readonly peer: string; readonly at: number }[] = [];
  const from = Date.now();
  const made = new PeerKeeper({
    self: 'm',
    members: () => members,
    connected: () => connected,
    dial: async ({ peerId }) => {
      dials.push({ peer: peerId, at: Date.now() - from });
      await outcome(peerId);
      connected.add(peerId);
    },
    log,
    clock: Date.now,
    random: () => 0.5,
  });
  return { made, connected, dials, times: (peer: string) => dials.filter((d) => d.peer === peer).map((d) => d.at) };
}

const self = memberOf('me', 'm', address);

describe('the peer keeper', () => {
  it('tries for ever, and never waits longer than 15 s', async () => {
    const { made, times } = keeper([self, memberOf('gone', 'z', address)], async () => {
      throw new Error('connection refused');
    });
    made.start();
    await vi.advanceTimersByTimeAsync(3600 * second);
    const at = times('z');
    const waits = at.slice(1).map((t, i) => t - at[i]!);
    expect(at.length).toBeGreaterThan(3600 / 15);
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(15 * second);
    expect(waits[0]).toBeLessThan(1.1 * second);
    made.stop();
  });

  it('does not spend its time on dialing a thousand that are all away, and finds the first that comes back', async () => {
    const away = Array.from({ length: 1000 }, (_, at) => memberOf(`away-${at}`, `z${at}`, address));
    let back = false;
    const { made, connected, dials } = keeper([self, ...away], async () => {
      if (!back) throw new Error('connection refused');
    });
    made.start();
    await vi.advanceTimersByTimeAsync(60 * second);
    expect(dials.length).toBeGreaterThan(60);
    expect(dials.length).toBeLessThan(200);
    back = true;
    await vi.advanceTimersByTimeAsync(6 * second);
    expect(connected.size).toBeGreaterThanOrEqual(8);
    made.stop();
  });

  it('stops when a peer is connected, and dials again within 3 s after it is lost', async () => {
    const { made, connected, times } = keeper([self, memberOf('other', 'z', address)], async () => undefined);
    made.start();
    await vi.advanceTimersByTimeAsync(60 * second);
    expect(times('z')).toHaveLength(1);
    connected.delete('z');
    made.lost('z');
    await vi.advanceTimersByTimeAsync(3 * second);
    expect(times('z')).toHaveLength(2);
    made.stop();
  });

  it('lets the lesser id dial first, and takes over when it does not', async () => {
    const { made, times } = keeper(
      [self, memberOf('lesser', 'a', address), memberOf('greater', 'z', address)],
      async () => undefined,
    );
    made.charterChanged();
    made.start();
    await vi.advanceTimersByTimeAsync(second);
    expect([times('a').length, times('z').length]).toEqual([0, 1]);
    await vi.advanceTimersByTimeAsync(second);
    expect(times('a')).toHaveLength(1);
    made.stop();
  });

  it('dials everyone at once where it cannot be dialed itself', async () => {
    const { made, times } = keeper(
      [{ ...self, addresses: [] }, memberOf('lesser', 'a', address)],
      async () => undefined,
    );
    made.charterChanged();
    made.start();
    await vi.advanceTimersByTimeAsync(10);
    expect(times('a')).toHaveLength(1);
    made.stop();
  });

  it('dials nobody while it is no member itself, or after it was stopped', async () => {
    const { made, dials } = keeper([memberOf('other', 'z', address)], async () => undefined);
    made.start();
    await vi.advanceTimersByTimeAsync(60 * second);
    expect(dials).toEqual([]);
    const other = keeper([self, memberOf('gone', 'z', address)], async () => {
      throw new Error('connection refused');
    });
    other.made.start();
    await vi.advanceTimersByTimeAsync(10);
    other.made.stop();
    const before = other.dials.length;
    await vi.advanceTimersByTimeAsync(60 * second);
    expect(other.dials).toHaveLength(before);
  });
});
