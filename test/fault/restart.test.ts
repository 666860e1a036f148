import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ControlPlane, startControlPlane } from '../apiserver/control-plane.ts';
import { installKinds } from '../apiserver/harness.ts';
import { play, SHORT } from './play.ts';

const LIMIT_MS = 60_000;

describe('an operator whose API server', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
    await installKinds(plane);
  });
  afterAll(() => plane.stop());

  it('is restarted on the same data while people change things misses, leaks and doubles nothing', async () => {
    const init = { access: plane, random: Math.random, awayMs: 0, chapterMs: LIMIT_MS, times: SHORT };
    const [undisturbed, restarted] = await Promise.all([
      play([], init),
      play(
        [
          () => {
            const going = (async () => {
              await new Promise((resolve) => setTimeout(resolve, 3_000));
              await plane.stopApiServer();
              await plane.startApiServer();
            })();
            return () => going;
          },
        ],
        init,
      ),
    ]);
    expect(restarted.problems).toEqual([]);
    expect(restarted.inventory).toEqual(undisturbed.inventory);
  });
});
