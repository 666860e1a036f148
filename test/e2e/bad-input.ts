import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Cluster, command, condition, eventually } from './cluster.ts';

const root = new URL('../..', import.meta.url).pathname;

/** A Model on a key of the ConfigMap `rows`. */
const model = (name: string, key: string, sha256?: string): string => `
apiVersion: murmuration.dev/v1alpha1
kind: Model
metadata: {name: ${name}}
spec:
  network: default
  data:
    source: {configMap: {name: rows, key: ${key}}}
    ${sha256 === undefined ? '' : `sha256: "${sha256}"`}
    classes: 10
    scale: "16"
    split: {seed: 42, testRows: 60}
  learning: {waitMilliseconds: 1000}
  versions: {everyAge: 100000}
---`;

const node = (name: string, spec: string): string => `
apiVersion: murmuration.dev/v1alpha1
kind: ValidatorNode
metadata: {name: ${name}}
spec:
  resources: {requests: {cpu: 20m, memory: 128Mi}}
${spec}
---`;

export const badInput = (): void => {
  describe('bad input ends in a condition with a reason and a fix, and repairing the spec repairs the system', () => {
    const cluster = new Cluster(inject('kubeconfig'), 'bad-input');

    /** The one image of the release. */
    const releaseImage = async () =>
      (await cluster.in('default').get('pod', 'flock-0'))?.spec.containers[0].image as string;

    /** Waits for Ready=False with the reason, and for a message that names what to do. */
    async function refused(kind: 'vn' | 'mdl', name: string, reason: string, words: RegExp): Promise<void> {
      const ready = await eventually(`${kind}/${name} to be refused as ${reason}`, 120, async () => {
        const now = condition(await cluster.get(kind, name), 'Ready');
        return now.status === 'False' && now.reason === reason && now;
      });
      expect(ready.message).toMatch(words);
      expect(await cluster.kubectl('get', kind, name)).toContain(`no: ${reason}`);
    }

    const accepted = (kind: 'vn' | 'mdl', name: string, type = 'Ready', within = 120) =>
      eventually(`${kind}/${name} to be ${type}`, within, async () => {
        return condition(await cluster.get(kind, name), type).status === 'True';
      });

    /** How often containers of the namespace were started again. */
    const restarts = async (): Promise<number> => {
      const pods = await cluster.list('pod');
      return pods
        .flatMap(({ status }) => status?.containerStatuses ?? [])
        .reduce((sum: number, { restartCount }: { restartCount: number }) => sum + restartCount, 0);
    };

    beforeAll(async () => {
      await cluster.ensureNamespace();
      const lines = gunzipSync(await readFile(`${root}/data/digits.csv.gz`))
        .toString()
        .trimEnd()
        .split('\n');
      const good = lines.slice(0, 400);
      const ragged = good.with(200, good[200]!.split(',').slice(2).join(','));
      const outOfRange = good.with(300, good[300]!.replace(/\d+$/, '12'));
      const csv = (rows: readonly string[]) => JSON.stringify(`${rows.join('\n')}\n`);
      await cluster.apply(`
apiVersion: v1
kind: ConfigMap
metadata: {name: rows}
data:
  good.csv: ${csv(good)}
  ragged.csv: ${csv(ragged)}
  out-of-range.csv: ${csv(outOfRange)}
`);
      await cluster.apply(
        model('missing', 'missing.csv') +
          model('wrong-digest', 'good.csv', '0'.repeat(64)) +
          model('ragged', 'ragged.csv') +
          model('out-of-range', 'out-of-range.csv') +
          node('learner', '  storage: {size: 32Mi, retain: Delete}'),
      );
    });
    afterAll(async () => {
      if (process.env.KEEP !== '1') await cluster.kubectl('delete', 'namespace', cluster.namespace, '--wait=false');
    });

    test.each([
      ['missing', 'DataUnreachable', /missing\.csv/, 'good.csv'],
      ['wrong-digest', 'DataDigestMismatch', /sha256/, 'good.csv'],
      ['ragged', 'DataMalformed', /row 201|line 201|row 202|line 202/i, 'good.csv'],
      ['out-of-range', 'LabelOutOfRange', /12/, 'good.csv'],
    ])('a model whose data are %s: %s', async (name, reason, words, key) => {
      await refused('mdl', name, reason, words);
      const bytes = (await cluster.get('configmap', 'rows')) as unknown as { data: Record<string, string> };
      await cluster.apply(model(name, key, createHash('sha256').update(bytes.data[key]!).digest('hex')));
      await accepted('mdl', name, 'Learning');
      expect(await restarts()).toBe(0);
    });

    test('an image that does not exist: ImagePullFailed', async () => {
      await cluster.apply(
        node('no-image', '  image: localhost/no-such-image:1\n  storage: {size: 16Mi, retain: Delete}'),
      );
      await refused('vn', 'no-image', 'ImagePullFailed', /localhost\/no-such-image:1/);
      await cluster.apply(
        node('no-image', `  image: ${await releaseImage()}\n  storage: {size: 16Mi, retain: Delete}`),
      );
      await accepted('vn', 'no-image', 'PodReady');
      await cluster.kubectl('delete', 'vn', 'no-image', '--wait=false');
    });

    test('a stake secret of the wrong shape: KeyMalformed', async () => {
      const secret = (data: Buffer) => `
apiVersion: v1
kind: Secret
metadata: {name: my-stake}
data: {stake.key: ${data.toString('base64')}}
`;
      await cluster.apply(secret(Buffer.from('correct horse battery staple')));
      const spec = '  stake: {amount: 1, keySecretRef: {name: my-stake}}\n  storage: {size: 16Mi, retain: Delete}';
      await cluster.apply(node('bad-stake', spec));
      await refused('vn', 'bad-stake', 'KeyMalformed', /my-stake/);
      expect(await cluster.get('pod', 'bad-stake')).toBeUndefined();
      await cluster.apply(secret(createHash('sha256').update(String(Date.now())).digest()));
      await accepted('vn', 'bad-stake', 'PodReady');
      await cluster.kubectl('delete', 'vn', 'bad-stake', '--wait=false');
    });

    test('a volume that is full: VolumeFull', async () => {
      // A real file system of 4 MiB on one of the machines, filled to the brim by a stranger's file.
      const machine = (await command('kubectl', ['--kubeconfig', cluster.kubeconfig, 'get', 'nodes', '-o', 'name']))
        .split('\n')
        .map((name) => name.replace('node/', ''))
        .find((name) => name.endsWith('worker'))!;
      const onMachine = (script: string) => command('docker', ['exec', machine, 'sh', '-c', script]);
      await onMachine(
        'mkdir -p /mnt/small && (mountpoint -q /mnt/small || mount -t tmpfs -o size=4m,mode=0777 tmpfs /mnt/small)',
      );
      await cluster.apply(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: small}
spec:
  capacity: {storage: 4Mi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: small
  local: {path: /mnt/small}
  nodeAffinity:
    required:
      nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [${machine}]}]}]
`);
      await cluster.apply(node('full', '  storage: {size: 4Mi, storageClassName: small, retain: Delete}'));
      await accepted('vn', 'full', 'PodReady');
      await onMachine('dd if=/dev/zero of=/mnt/small/filler bs=1k 2>/dev/null || true');
      await refused('vn', 'full', 'VolumeFull', /storage|volume/i);
      expect((await cluster.status('full')).models.length).toBeGreaterThan(0);
      await onMachine('rm /mnt/small/filler');
      await accepted('vn', 'full');
      expect(await restarts()).toBe(0);
      await cluster.kubectl('delete', 'vn', 'full');
      await cluster.kubectl('delete', 'pv', 'small', '--wait=false');
      await onMachine('umount /mnt/small');
    });

    test('a spec that cannot be meant is refused by kubectl apply, with a sentence to act on', async () => {
      await expect(
        cluster.apply(model('both', 'good.csv').replace('configMap:', 'builtin: digits, configMap:')),
      ).rejects.toThrow(/data\.source must set exactly one of builtin, url, configMap and claim/);
    });
  });
};
