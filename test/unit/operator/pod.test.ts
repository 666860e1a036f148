import { describe, expect, it } from 'vitest';
import type { ValidatorNode } from '../../../src/api/index.ts';
import type { Pod } from '../../../src/kube/index.ts';
import { strategicMerge } from '../../../src/operator/node/children/merge.ts';
import { buildPod, plannedPodHash, podHashOf } from '../../../src/operator/node/children/pod.ts';
import { Cluster, nodeOf, SETTING } from './cluster.ts';

function node(spec: object = {}): ValidatorNode {
  return new Cluster().put(nodeOf('solo', spec)) as unknown as ValidatorNode;
}

const containers = (pod: Pod) => [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];

describe('the pod of a validator', () => {
  it('says what the validator was written to', () => {
    const [signer, validator] = containers(buildPod(node(), SETTING));
    expect(signer).toMatchObject({
      name: 'signer',
      restartPolicy: 'Always',
      args: [
        'signer',
        '--key',
        '/keys/stake/stake.key',
        '--socket',
        '/run/murmuration/signer.sock',
        '--state-dir',
        '/var/lib/murmuration',
      ],
    });
    expect(validator?.args).toEqual([
      'validator',
      '--name',
      'solo',
      '--network',
      'garden/default',
      '--authority',
      '12D3Authority',
      '--identity',
      '/keys/identity/identity.key',
      '--charter',
      '/etc/murmuration/charter/charter.bin',
      '--state-dir',
      '/var/lib/murmuration/validator',
      '--signer',
      '/run/murmuration/signer.sock',
      '--listen',
      '/ip4/0.0.0.0/tcp/4001',
      '--http',
      '0.0.0.0:8080',
      '--mounts',
      '/data',
    ]);
  });

  it('shows the stake key to the signer and to nobody else (invariant 2)', () => {
    const mounting = containers(buildPod(node(), SETTING)).filter(({ volumeMounts }) =>
      volumeMounts?.some(({ name }) => name === 'stake'),
    );
    expect(mounting.map(({ name }) => name)).toEqual(['signer']);
  });

  it('runs under the restricted pod security standard', () => {
    const pod = buildPod(node(), SETTING);
    expect(pod.spec?.automountServiceAccountToken).toBe(false);
    expect(pod.spec?.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const { securityContext } of containers(pod)) {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  });

  it('mounts the data of models, but no claim that does not exist', () => {
    const setting = {
      ...SETTING,
      sources: [
        { configMap: { name: 'rows.v1', key: 'data.csv' } },
        { claim: { claimName: 'there', path: 'a.csv' } },
        { claim: { claimName: 'missing', path: 'b.csv' } },
      ],
      claims: new Set(['there']),
    };
    const pod = buildPod(node({ data: { configMap: 'mine' } }), setting);
    const mounts = pod.spec?.containers[0]?.volumeMounts?.map(({ mountPath }) => mountPath);
    expect(mounts?.filter((path) => path.startsWith('/data'))).toEqual([
      '/data/configmap/rows.v1',
      '/data/claim/there',
      '/data/own',
    ]);
  });

  it('asks for GPUs as an extended resource or by claims', () => {
    const plain = buildPod(node({ resources: { gpu: { count: 2 } } }), SETTING);
    expect(plain.spec?.containers[0]?.resources?.limits).toMatchObject({ 'nvidia.com/gpu': '2' });
    const resourceClaims = [{ name: 'gpu', resourceClaimTemplateName: 'one-gpu' }];
    const claimed = buildPod(node({ resources: { gpu: { resourceClaims } } }), SETTING);
    expect(claimed.spec?.resourceClaims).toEqual(resourceClaims);
    expect(claimed.spec?.containers[0]?.resources?.claims).toEqual([{ name: 'gpu' }]);
  });

  it('takes the pod template last, but keeps the labels by which it is found', () => {
    const podTemplate = {
      metadata: { labels: { team: 'birds', 'app.kubernetes.io/instance': 'other' } },
      spec: {
        nodeSelector: { disk: 'fast' },
        containers: [
          { name: 'validator', env: [{ name: 'DEBUG', value: '1' }] },
          { name: 'extra', image: 'x' },
        ],
      },
    };
    const pod = buildPod(node({ podTemplate }), SETTING);
    expect(pod.metadata.labels).toMatchObject({ team: 'birds', 'app.kubernetes.io/instance': 'solo' });
    expect(pod.spec?.nodeSelector).toEqual({ disk: 'fast' });
    expect(pod.spec?.containers.map(({ name }) => name)).toEqual(['validator', 'extra']);
    expect(pod.spec?.containers[0]).toMatchObject({ env: [{ name: 'DEBUG', value: '1' }], args: expect.anything() });
  });

  it('has another hash exactly where it would be another pod', () => {
    const hash = podHashOf(buildPod(node(), SETTING));
    expect(hash).toBe(plannedPodHash(node({ stake: { amount: 5 }, storage: { size: '2Gi' } }), SETTING));
    expect(hash).not.toBe(plannedPodHash(node({ image: 'other' }), SETTING));
    expect(hash).not.toBe(plannedPodHash(node(), { ...SETTING, image: 'murmuration:0.2.0' }));
  });
});

describe('a strategic merge', () => {
  it('merges lists by name, replaces others, and removes what is null', () => {
    const base = { containers: [{ name: 'a', args: ['x'], tty: true }], tolerations: [{ key: 'one' }] };
    const patch = { containers: [{ name: 'a', args: ['y'], tty: null }, { name: 'b' }], tolerations: [{ key: 'two' }] };
    expect(strategicMerge(base, patch)).toEqual({
      containers: [{ name: 'a', args: ['y'] }, { name: 'b' }],
      tolerations: [{ key: 'two' }],
    });
  });
});
