import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, inject, test } from 'vitest';
import { Cluster, condition, eventually, OPERATOR } from './cluster.ts';

const AWAY_SECONDS = 120;

export const operatorAway = (): void => {
  describe('without the operator', () => {
    const cluster = new Cluster(inject('kubeconfig'));
    const scale = (replicas: number) =>
      cluster.system.kubectl('scale', 'deployment', '-l', OPERATOR, `--replicas=${replicas}`);

    test('the fleet goes on learning and answering for two minutes, and is picked up again afterwards', async () => {
      const ages = async () =>
        Promise.all(
          ['flock-0', 'flock-1', 'flock-2', 'flock-3'].map(async (pod) => (await cluster.status(pod)).models[0]!.age),
        );
      await scale(0);
      try {
        await eventually(
          'the operator to be gone',
          60,
          async () => (await cluster.system.list('pod', OPERATOR)).length === 0,
        );
        let before = await ages();
        const end = Date.now() + AWAY_SECONDS * 1000;
        while (Date.now() < end) {
          await sleep(30_000);
          const now = await ages();
          for (const [index, age] of now.entries()) expect(age).toBeGreaterThan(before[index]!);
          before = now;
          const [prediction] = await cluster.predict('flock-3', 'digits', [new Array<number>(64).fill(0)]);
          expect(prediction).toHaveLength(10);
        }
        expect((await cluster.status('flock-0')).peers).toHaveLength(3);
      } finally {
        await scale(2);
      }
      const updates = Number((await cluster.get('vn', 'flock-0'))?.status.updates);
      await eventually('the operator to hear the fleet again', 90, async () => {
        const node = await cluster.get('vn', 'flock-0');
        return condition(node, 'Ready').status === 'True' && Number(node?.status.updates) > updates;
      });
    });
  });
};
