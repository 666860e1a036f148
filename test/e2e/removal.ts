import { describe, expect, inject, test } from 'vitest';
import { Cluster, eventually } from './cluster.ts';

/** What the operator makes besides the kinds. */
const MADE = ['pod', 'service', 'pvc', 'secret', 'configmap', 'ms', 'vn'];

/** Objects of the namespace that carry the product's labels. */
async function left(cluster: Cluster): Promise<readonly string[]> {
  const lists = await Promise.all(MADE.map((kind) => cluster.list(kind)));
  return lists.flatMap((list, index) =>
    list
      .filter(({ metadata }) => Object.keys(metadata.labels ?? {}).some((key) => key.startsWith('murmuration.dev/')))
      .map(({ metadata }) => `${MADE[index]}/${metadata.name}`),
  );
}

export const removal = (): void => {
  describe('removal', () => {
    const cluster = new Cluster(inject('kubeconfig'));

    test('deleting a fleet and its model cleans up everything that was made for them', async () => {
      expect((await left(cluster)).length).toBeGreaterThan(20);
      await cluster.kubectl('delete', 'vf/flock', 'mdl/digits', '--wait=false');
      await eventually('nothing to be left', 120, async () => {
        const names = await left(cluster);
        if (names.length > 0) throw new Error(`left: ${names.join(' ')}`);
        return true;
      });
      const reservations = await cluster.list('skr');
      expect(reservations.filter(({ spec }) => spec.nodeRef.namespace === cluster.namespace)).toEqual([]);
    });

    test('deleting a namespace with a living fleet does not hang', async () => {
      await cluster.kubectl('delete', 'namespace', 'by-label', '--wait=false');
      await eventually('the namespace to be gone', 120, async () => {
        return (await cluster.get('namespace', 'by-label')) === undefined;
      });
      const reservations = await cluster.list('skr');
      expect(reservations.filter(({ spec }) => spec.nodeRef.namespace === 'by-label')).toEqual([]);
    });
  });
};
