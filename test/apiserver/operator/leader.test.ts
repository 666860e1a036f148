import { afterEach, beforeEach, expect, it } from 'vitest';
import { ConfigMap } from '../../../src/kube/index.ts';
import { ValidatorFleet } from '../../../src/operator/kinds.ts';
import { fleet, type Stage, setStage, untilSettled } from './stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await setStage({ leaderElect: true });
});
afterEach(() => stage.end());

it('of two operators one leads; the other takes over when it ends, and goes on where it was', async () => {
  await stage.until('the first leads', async () => stage.operator.leading);
  const second = await stage.another({ podName: 'operator-1' });
  expect(second.readyz()).toEqual({ ok: true, problems: [] });
  await stage.apply(fleet('flock', 1));
  await untilSettled(stage, 'flock', 1);
  const before = await stage.get(ConfigMap, 'default-charter');
  expect(second.leading).toBe(false);
  await stage.operator.stop();
  await stage.until('the second leads', async () => second.leading, 5_000);
  await stage.client.scale(ValidatorFleet, stage.key('flock'), 2);
  await untilSettled(stage, 'flock', 2);
  const after = await stage.get(ConfigMap, 'default-charter');
  const seq = (map: typeof after): number => Number(map?.metadata.annotations?.['murmuration.dev/charter-seq']);
  expect(seq(after)).toBeGreaterThan(seq(before));
  await second.stop();
});
