import { describe, expect, inject, test } from 'vitest';
import { Cluster, condition, eventually } from './cluster.ts';

export const byLabel = (): void => {
  describe('a fleet whose validators have seen two or three digits each', () => {
    const cluster = new Cluster(inject('kubeconfig'), 'by-label');

    test('tells all ten digits on every validator within 8 minutes', async () => {
      const model = await eventually('the model to be Converged', 480, async () => {
        const seen = await cluster.get('mdl', 'digits-by-label');
        return condition(seen, 'Converged').status === 'True' && seen;
      });
      const pods = await cluster.list('pod', 'app.kubernetes.io/name=murmuration-validator');
      const started = Math.max(...pods.map(({ status }) => Date.parse(status.startTime)));
      const converged = (model.status.conditions as { type: string; lastTransitionTime: string }[]).find(
        ({ type }) => type === 'Converged',
      )!;
      expect((Date.parse(converged.lastTransitionTime) - started) / 1000).toBeLessThan(480);
      for (const node of ['flock-by-label-0', 'flock-by-label-1', 'flock-by-label-2', 'flock-by-label-3']) {
        await eventually(
          `${node} to be at 0.90`,
          60,
          async () => ((await cluster.status(node)).models[0]?.accuracy ?? 0) >= 0.9,
        );
      }
    });
  });
};
