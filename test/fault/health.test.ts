import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { fleet, type Stage } from '../apiserver/operator/stage.ts';
import { missed } from './outcome.ts';
import { disturbedStage, untilNone } from './play.ts';
import type { FaultProxy } from './proxy.ts';
import { settled } from './story.ts';

/** An eighth of the times that operators run with, whose sums are held to in test/unit/kube/health.test.ts. */
const times = { watchTimeoutSeconds: 5, watchIdleMs: 6_300, stuckMs: 7_000, deadMs: 22_000, graceMs: 2_000 };
const LIMIT_MS = 60_000;

let stage: Stage;
let proxy: FaultProxy;
beforeEach(async () => {
  ({ stage, proxy } = await disturbedStage(inject('apiServer'), { times }));
});
afterEach(async () => {
  await stage.end();
  await proxy.stop();
});

/** How long it takes until `holds`, ms. */
async function timeUntil(what: string, holds: () => boolean): Promise<number> {
  const began = performance.now();
  await stage.until(what, async () => holds(), LIMIT_MS);
  return performance.now() - began;
}

describe('health that means it', () => {
  it.each([
    ['the network is half-open', 8_000],
    ['watches open and say nothing', 14_500],
  ])('is bad while %s, and good again soon after', { timeout: 110_000 }, async (what, readyMs) => {
    const { operator } = stage;
    await stage.apply(fleet('flock', 1));
    await settled(stage, 1, LIMIT_MS);
    expect(operator.readyz()).toEqual({ ok: true, problems: [] });
    const end = proxy.rule({ on: ({ verb }) => verb === 'watch', fault: { do: 'stall' } });
    if (what.startsWith('the network')) proxy.silent = true;
    else proxy.reset();
    expect(await timeUntil('it is not ready', () => !operator.readyz().ok)).toBeLessThan(readyMs);
    expect(operator.readyz().problems.join()).toMatch(/watch of \w+.*: nothing heard for \d+ s/);
    expect(operator.healthz()).toEqual({ ok: true, problems: [] });
    await timeUntil('it is not alive', () => {
      expect(operator.readyz().ok, 'it says once that it is well, and is not').toBe(false);
      return !operator.healthz().ok;
    });
    end();
    proxy.silent = false;
    await timeUntil('it is alive and ready', () => operator.healthz().ok && operator.readyz().ok);
    expect(await untilNone(() => missed(stage, operator))).toEqual([]);
  });
});
