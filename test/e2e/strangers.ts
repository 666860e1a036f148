import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { generateIdentity } from '../../src/overlay/index.ts';
import { Cluster, eventually } from './cluster.ts';

interface Line {
  readonly event: 'dialed' | 'protocols' | 'refused' | 'closed';
  readonly at: number;
  readonly protocols?: readonly string[];
}

/** A pod from the product's image that dials a validator with a given identity and prints what comes of it. */
async function dialer(cluster: Cluster, name: string, key: Uint8Array): Promise<() => Promise<readonly Line[]>> {
  const image = (await cluster.get('pod', 'flock-0'))?.spec.containers[0].image as string;
  const script = await readFile(new URL('./dialer.mjs', import.meta.url), 'utf8');
  await cluster.kubectl('delete', 'pod', name, '--ignore-not-found', '--wait');
  await cluster.apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { 'murmuration.dev/network': 'default', app: 'dialer' } },
      spec: {
        restartPolicy: 'Never',
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'dialer',
            image,
            imagePullPolicy: 'IfNotPresent',
            command: ['node', '--input-type=module', '-e', script],
            env: [
              { name: 'DIAL', value: `/dns4/flock-0.${cluster.namespace}.svc/tcp/4001` },
              { name: 'IDENTITY', value: Buffer.from(key).toString('base64') },
            ],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          },
        ],
      },
    }),
  );
  return async () =>
    (await cluster.kubectl('logs', name))
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
}

export const strangers = (): void => {
  describe('members only', () => {
    const cluster = new Cluster(inject('kubeconfig'));
    afterAll(async () => {
      await cluster.kubectl('delete', 'pod', '-l', 'app=dialer', '--ignore-not-found', '--wait=false');
    });

    test('a pod in the namespace that is no member gets no protocol at all', async () => {
      const { key } = await generateIdentity();
      const lines = await dialer(cluster, 'stranger', key);
      const seen = await eventually('the stranger to be refused', 90, async () => {
        const now = await lines();
        return now.some(({ event }) => event === 'refused' || event === 'protocols') && now;
      });
      expect(seen.map(({ event }) => event)).toContain('refused');
      expect(seen.map(({ event }) => event)).not.toContain('protocols');
    });

    test('a member is let in before its pod exists, and cut off within 10 s when it is removed', async () => {
      const { key } = await generateIdentity();
      await cluster.apply(`
apiVersion: v1
kind: Secret
metadata: {name: guest-key}
data: {identity.key: ${Buffer.from(key).toString('base64')}}
---
apiVersion: murmuration.dev/v1alpha1
kind: ValidatorNode
metadata: {name: guest}
spec:
  network: default
  image: localhost/no-such-image:1
  identity: {secretRef: {name: guest-key}}
  storage: {size: 16Mi, retain: Delete}
`);
      await eventually('the guest to be a member', 60, async () => {
        const guest = await cluster.get('vn', 'guest');
        return guest?.status?.peerId !== undefined;
      });
      const lines = await dialer(cluster, 'guest-dialer', key);
      const before = await eventually('the guest to be spoken to', 90, async () => {
        const now = await lines();
        return now.find(({ event }) => event === 'protocols');
      });
      expect(before.protocols).toContain('/murmuration/hello/1.0.0');
      const removedAt = Date.now();
      await cluster.kubectl('delete', 'vn', 'guest', '--wait=false');
      const closed = await eventually('the guest to be cut off', 30, async () => {
        const now = await lines();
        return now.find(({ event }) => event === 'closed');
      });
      expect(closed.at - removedAt).toBeLessThan(10_000);
      await eventually('the guest to be gone', 60, async () => (await cluster.get('vn', 'guest')) === undefined);
      await cluster.kubectl('delete', 'secret', 'guest-key');
    });
  });
};
