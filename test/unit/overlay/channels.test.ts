import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelOptions, Channels, Interaction } from '../../../src/overlay/index.ts';
import { eventually, Fleet, type TestPeer } from './fleet.ts';

const protocol = '/murmuration/echo/1.0.0';
const kib = 1024;
const options: ChannelOptions = {
  maxFrameBytes: 256 * kib,
  frameTimeoutMs: 1_000,
  maxFramesPerSecond: 10_000,
  maxBufferedBytes: 512 * kib,
};

interface End extends TestPeer {
  readonly channels: Channels;
  readonly heard: (readonly [string, Uint8Array])[];
  readonly closed: string[];
  drained: number;
}

let fleet: Fleet;
beforeEach(async () => {
  fleet = await Fleet.create();
});
afterEach(async () => {
  await fleet.stop();
});

async function ends(size: number, more: Partial<ChannelOptions> = {}): Promise<readonly End[]> {
  const made: { channels: Channels; heard: [string, Uint8Array][]; closed: string[]; drained: number }[] = [];
  const peers = await fleet.flock(size, (overlay, index) => {
    const end = { heard: [] as [string, Uint8Array][], closed: [] as string[], drained: 0 };
    const channels = overlay.channels(
      protocol,
      { ...options, ...more },
      {
        onFrame: (peer, frame) => {
          if (frame[0] === 0xff) throw new Error('nonsense');
          end.heard.push([peer, frame]);
        },
        onDrain: () => {
          made[index]!.drained += 1;
        },
        onClosed: (peer) => end.closed.push(peer),
      },
    );
    made[index] = Object.assign(end, { channels });
  });
  return peers.map((peer, index) => Object.assign(made[index]!, peer));
}

const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value);

describe('a channel', () => {
  it('carries frames of every size in order, both ways over one stream', async () => {
    const [a, b] = (await ends(2)) as [End, End];
    const sizes = [0, 1, 127, 128, 16 * kib, 65_535, 65_536, 128 * kib + 9, 256 * kib];
    for (const [i, size] of sizes.entries())
      a.channels.send(b.key.peerId, [bytes(size >> 1, i), bytes(size - (size >> 1), i)]);
    await eventually('b.heard.length === sizes.length', 15_000, () => b.heard.length === sizes.length);
    for (const [i, [from, frame]] of b.heard.entries()) {
      expect(from).toBe(a.key.peerId);
      expect(Buffer.compare(frame, bytes(sizes[i]!, i))).toBe(0);
    }
    b.channels.send(a.key.peerId, [bytes(3)]);
    await eventually('a.heard.length === 1', 15_000, () => a.heard.length === 1);
    expect([a.closed, b.closed]).toEqual([[], []]);
  });

  it('says when there is no more room, and when there is again', async () => {
    const [a, b] = (await ends(2)) as [End, End];
    let sent = 0;
    while (a.channels.send(b.key.peerId, [bytes(64 * kib)]) && sent < 1_000) sent += 1;
    expect(sent).toBeLessThan(100);
    await eventually('a.drained > 0', 15_000, () => a.drained > 0);
    await eventually('b.heard.length === sent + 1', 15_000, () => b.heard.length === sent + 1);
  });

  it('ends when its peer sends nonsense or too much, who is told of; the next frame opens another', async () => {
    const [a, b] = (await ends(2)) as [End, End];
    const seen: Interaction[] = [];
    b.overlay.onInteraction((_peer, event) => seen.push(event));
    a.channels.send(b.key.peerId, [bytes(3, 0xff)]);
    await eventually(
      'a.closed.length === 1 && b.closed.length === 1',
      15_000,
      () => a.closed.length === 1 && b.closed.length === 1,
    );
    expect(seen).toContain('malformed');
    a.channels.send(b.key.peerId, [bytes(300 * kib)]);
    await eventually(
      'a.closed.length === 2 && b.closed.length === 2',
      15_000,
      () => a.closed.length === 2 && b.closed.length === 2,
    );
    expect(seen).toContain('oversize');
    a.channels.send(b.key.peerId, [bytes(3)]);
    await eventually('b.heard.length === 1', 15_000, () => b.heard.length === 1);
  });

  it('ends with a peer that is no member any more, and is not opened to one', async () => {
    const [a, b] = (await ends(2)) as [End, End];
    a.channels.send(b.key.peerId, [bytes(3)]);
    await eventually('b.heard.length === 1', 15_000, () => b.heard.length === 1);
    const signed = await fleet.charter([a.member]);
    await a.overlay.adopt(signed);
    await eventually(
      'a.closed.length === 1 && b.closed.length === 1',
      15_000,
      () => a.closed.length === 1 && b.closed.length === 1,
    );
    a.channels.send(b.key.peerId, [bytes(3)]);
    await eventually('a.closed.length === 2', 15_000, () => a.closed.length === 2);
    expect(b.heard).toHaveLength(1);
  });

  it('takes no more than so many frames a second', async () => {
    const [a, b] = (await ends(2, { maxFramesPerSecond: 50 })) as [End, End];
    for (let i = 0; i < 200; i++) a.channels.send(b.key.peerId, [bytes(2_000)]);
    const begun = performance.now();
    await eventually('b.heard.length === 200', 15_000, () => b.heard.length === 200);
    expect(performance.now() - begun).toBeGreaterThan(900);
  });

  it('ends when a peer takes nothing of what is sent to it', async () => {
    const [a, b] = (await ends(2, { maxFramesPerSecond: 1 })) as [End, End];
    for (let i = 0; i < 200 && a.closed.length === 0; i++) {
      a.channels.send(b.key.peerId, [bytes(64 * kib)]);
      await new Promise(setImmediate);
    }
    expect(a.closed).toEqual([b.key.peerId]);
  });

  it('begins anew for both when one side has lost it', async () => {
    const [a, b] = (await ends(2)) as [End, End];
    a.channels.send(b.key.peerId, [bytes(3)]);
    b.channels.send(a.key.peerId, [bytes(3)]);
    await eventually('both heard', 15_000, () => a.heard.length === 1 && b.heard.length === 1);
    a.channels.close(b.key.peerId, new Error('lost'));
    a.channels.send(b.key.peerId, [bytes(4)]);
    await eventually('the next frame', 15_000, () => b.heard.length === 2);
    expect([a.closed.length, b.closed.length]).toEqual([1, 1]);
    b.channels.send(a.key.peerId, [bytes(4)]);
    await eventually('and back', 15_000, () => a.heard.length === 2);
  });

  it('is given up with its overlay', async () => {
    const [a, b] = (await ends(2)) as [End, End];
    a.channels.send(b.key.peerId, [bytes(3)]);
    await eventually('b.heard.length === 1', 15_000, () => b.heard.length === 1);
    await a.overlay.stop();
    await eventually('b.closed.length === 1', 15_000, () => b.closed.length === 1);
    expect(a.closed).toHaveLength(1);
  });
});
