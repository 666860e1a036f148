import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeReport } from '../../../src/overlay/index.ts';
import { eventually, Fleet, report } from './fleet.ts';

let fleet: Fleet;
beforeEach(async () => {
  fleet = await Fleet.create();
});
afterEach(async () => {
  await fleet.stop();
});

describe('a flock of four that obeys one charter', () => {
  it('hears the reports of each other, with the verified signer', async () => {
    const peers = await fleet.flock(4);
    const heard = peers.map(() => new Map<string, string>());
    peers.forEach(({ overlay }, i) => {
      overlay.subscribe('reports', ({ node }, from) => heard[i]!.set(from, node));
    });
    // A subscription travels after the connection: say it until it is heard, as a validator does.
    const say = () => Promise.all(peers.map((p) => p.overlay.publish('reports', encodeReport(report(p.member.name)))));
    await say();
    const again = setInterval(say, 300);
    try {
      await eventually('everyone has heard everyone else', 10_000, () => heard.every((h) => h.size === 3));
    } finally {
      clearInterval(again);
    }
    for (const [i, peer] of peers.entries()) {
      const others = peers.filter((p) => p !== peer);
      expect([...heard[i]!].sort()).toEqual(others.map((p) => [p.key.peerId, p.member.name]).sort());
    }
  });
});
