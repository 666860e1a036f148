import { describe, expect, inject, test } from 'vitest';
import { Cluster, condition, eventually } from './cluster.ts';

const FLEET = 'murmuration.dev/fleet=flock';

export const rollout = (): void => {
  describe('a changed template', () => {
    const cluster = new Cluster(inject('kubeconfig'));

    test('rolls through the fleet one validator at a time, keys and learning kept', async () => {
      const before = new Map((await cluster.list('vn', FLEET)).map((node) => [node.metadata.name, node.status]));
      const uids = async () =>
        new Map((await cluster.list('pod', FLEET)).map(({ metadata }) => [metadata.name, metadata.uid]));
      const old = await uids();
      const patch = {
        spec: { template: { spec: { podTemplate: { metadata: { annotations: { release: 'two' } } } } } },
      };
      await cluster.kubectl('patch', 'vf', 'flock', '--type=merge', '-p', JSON.stringify(patch));
      let fewest = old.size;
      await eventually(
        'every pod to be replaced and ready',
        240,
        async () => {
          const pods = await cluster.list('pod', FLEET);
          const ready = pods.filter((pod) => condition(pod, 'Ready').status === 'True');
          fewest = Math.min(fewest, ready.length);
          const isNew = ready.every(({ metadata }) => metadata.annotations?.release === 'two');
          return isNew && ready.length === old.size;
        },
        0.5,
      );
      // maxUnavailable is 1.
      expect(fewest).toBe(old.size - 1);
      const now = await uids();
      for (const [name, uid] of old) expect(now.get(name)).not.toBe(uid);
      for (const node of await cluster.list('vn', FLEET)) {
        const was = before.get(node.metadata.name);
        expect(node.status.peerId).toBe(was.peerId);
        expect(node.status.stake.publicKey).toBe(was.stake.publicKey);
      }
      await eventually('the fleet to say so', 60, async () => {
        const fleet = await cluster.get('vf', 'flock');
        return fleet?.status.updatedReplicas === old.size && condition(fleet, 'Converged').status === 'True';
      });
      const [model] = (await cluster.status('flock-0')).models;
      expect(model?.startedFrom).not.toBe('scratch');
    });
  });
};
