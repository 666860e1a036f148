import { describe, expect, it } from 'vitest';
import { Ball, Guard } from '../../../src/learning/guard.ts';

describe('the ball', () => {
  it('lets everything through until it knows what is usual, then draws in to the 30 % quantile', () => {
    const ball = new Ball();
    for (let i = 1; i <= 16; i++) expect(ball.clip(i)).toBe(1);
    // 30 % of 1..16 is 5.
    expect(ball.clip(10)).toBe(0.5);
    expect(ball.clip(4)).toBe(1);
  });

  it('follows a fleet that comes together, and is not widened by a few who stand far off', () => {
    const ball = new Ball();
    for (let i = 0; i < 64; i++) ball.clip(100);
    for (let i = 0; i < 64; i++) ball.clip(i % 3 === 0 ? 1e9 : 1);
    expect(ball.clip(10)).toBeCloseTo(0.1, 10);
  });

  it('stands still where all are in one place', () => {
    const ball = new Ball();
    for (let i = 0; i < 20; i++) ball.clip(0);
    expect(ball.clip(0)).toBe(1);
    expect(ball.clip(5)).toBe(0);
  });
});

describe('the guard', () => {
  // The loss is the first weight.
  const judged = { guessing: 1, probe: ([loss = 0]: Float32Array) => loss };
  const weights = (...values: number[]) => Float32Array.from(values);

  it('lets nothing in that the probe finds bad, and says what it found', () => {
    const guard = new Guard(judged, { clips: true, alike: false });
    expect(guard.judge(weights(0.5, 0), weights(3, 0), 0.5, false, 1)).toMatchObject({
      force: 0,
      lossBefore: 0.5,
      lossAfter: 3,
      reason: expect.stringContaining('its loss on the shared probe is 3.00, the limit is 2.00'),
    });
    expect(guard.judge(weights(0.5, 0), weights(Number.NaN, 0), 0.5, false, 1).force).toBe(0);
  });

  it('goes as far as the ball and its trust in the sender let it', () => {
    const guard = new Guard(judged, { clips: true, alike: false });
    for (let i = 0; i < 20; i++) guard.judge(weights(0.5, 1), weights(0.5, 2), 0.5, false, 1);
    expect(guard.judge(weights(0.5, 1), weights(0.5, 5), 0.5, false, 1).force).toBeCloseTo(0.25, 6);
    expect(guard.judge(weights(0.5, 1), weights(0.5, 5), 0.5, false, 0.5).force).toBeCloseTo(0.125, 6);
    expect(
      new Guard(judged, { clips: false, alike: false }).judge(weights(0.5, 1), weights(0.5, 500), 0.5, false, 1).force,
    ).toBe(1);
  });

  it('takes whole what is of use only whole', () => {
    const guard = new Guard(judged, { clips: true, alike: false });
    for (let i = 0; i < 20; i++) guard.judge(weights(0.5, 1), weights(0.5, 2), 0.5, false, 1);
    expect(guard.judge(weights(0.5, 1), weights(0.5, 50), 1, true, 0.5).force).toBe(1);
  });
});
