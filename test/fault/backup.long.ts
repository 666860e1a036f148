import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigMap } from '../../src/kube/index.ts';
import { ValidatorFleet } from '../../src/operator/kinds.ts';
import { type ControlPlane, startControlPlane } from '../apiserver/control-plane.ts';
import { installKinds } from '../apiserver/harness.ts';
import { fleet } from '../apiserver/operator/stage.ts';
import { inventory, missed } from './outcome.ts';
import { disturbedStage, SHORT, untilNone } from './play.ts';
import { settled } from './story.ts';

const LIMIT_MS = 60_000;

/** Takes a minute on a quiet machine and depends on how fast a server counts on: not in the short form. */
describe('an operator whose API server', () => {
  let plane: ControlPlane;
  beforeAll(async () => {
    plane = await startControlPlane();
    await installKinds(plane);
  });
  afterAll(() => plane.stop());

  it('gets the data of a backup back follows it in the end', async () => {
    const times = { ...SHORT, watchBehindMs: 3_000 };
    const { stage, proxy } = await disturbedStage(plane, { times });
    try {
      await stage.apply(fleet('flock', 2));
      await settled(stage, 2, LIMIT_MS);
      const before = await inventory(stage);
      await plane.backUp();
      await stage.client.scale(ValidatorFleet, stage.key('flock'), 3);
      await settled(stage, 3, LIMIT_MS);
      // So that the restored server does not count on beyond what was seen before anyone looks.
      const noise: ConfigMap = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: stage.namespace, name: 'noise' },
      };
      for (let at = 0; at < 2_000; at += 50) {
        const writes = Array.from({ length: 50 }, (_, of) => ({ ...noise, data: { at: String(at + of) } }));
        await Promise.all(writes.map((one) => stage.client.apply(ConfigMap, one, { fieldManager: 'person' })));
      }
      // Each kind is told where the server stands once its watch ends.
      await new Promise((resolve) => setTimeout(resolve, 7_000));
      await plane.restore();
      await settled(stage, 2, LIMIT_MS);
      expect(await untilNone(() => missed(stage, stage.operator))).toEqual([]);
      expect(await inventory(stage)).toEqual(before);
      await stage.client.scale(ValidatorFleet, stage.key('flock'), 3);
      await settled(stage, 3, LIMIT_MS);
      expect(await untilNone(() => missed(stage, stage.operator))).toEqual([]);
    } finally {
      await stage.end();
      await proxy.stop();
    }
  }, 300_000);
});
