import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Cluster, command, condition, eventually } from './cluster.ts';

const HONEST = ['flock-0', 'flock-1', 'flock-2'];
const LIAR = 'liar';

/** The operator's own image with one more file, which has whatever trains in it lie. */
async function liarsImage(): Promise<string> {
  const image = (await command('tools/image.sh', ['tag'])).trim();
  const folder = await mkdtemp(join(tmpdir(), 'murmuration-liar-'));
  try {
    const program = join(folder, 'liar.mjs');
    await copyFile(new URL('liar.mjs', import.meta.url), program);
    await chmod(program, 0o444);
    await writeFile(
      join(folder, 'Dockerfile'),
      `FROM ${image}\nCOPY liar.mjs /liar.mjs\nENV NODE_OPTIONS="--import /liar.mjs"\n`,
    );
    const tag = image.replace(':', '-liar:');
    await command('docker', ['build', '--quiet', '--tag', tag, folder]);
    await command('tools/image.sh', ['load', tag, process.env.MURMURATION_E2E_CLUSTER!]);
    return tag;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The fleet of manifests/, with three validators, and a fourth that lies. */
async function manifest(image: string): Promise<string> {
  const text = await readFile(new URL('../../manifests/validator.yaml', import.meta.url), 'utf8');
  const [model = '', fleet = ''] = text.split('\n---\n');
  const liar = { network: 'default', image, resources: { requests: { cpu: '50m' } }, storage: { size: '128Mi' } };
  return [
    model,
    fleet.replace('replicas: 4', 'replicas: 3'),
    JSON.stringify({
      apiVersion: 'murmuration.dev/v1alpha1',
      kind: 'ValidatorNode',
      metadata: { name: LIAR },
      spec: liar,
    }),
  ].join('\n---\n');
}

export const byzantine = (): void => {
  describe('one of four that sends poison', () => {
    const cluster = new Cluster(inject('kubeconfig'), 'byzantine');
    const reputation = async (node: string): Promise<number> =>
      Number((await cluster.get('vn', node))?.status?.reputation?.score ?? Number.NaN);

    beforeAll(async () => {
      await cluster.ensureNamespace();
      await cluster.apply(await manifest(await liarsImage()));
    }, 180_000);
    afterAll(() => cluster.kubectl('delete', 'namespace', cluster.namespace, '--wait=false'));

    test('loses its good name, below 0.2', async () => {
      await eventually('the liar to be known', 240, async () => (await reputation(LIAR)) < 0.2);
      for (const node of HONEST) expect(await reputation(node)).toBeGreaterThan(0.3);
    });

    test('does not keep the others from learning, and from certifying what they learned', async () => {
      for (const node of HONEST) {
        await eventually(`${node} to be at 0.95`, 240, async () => {
          const [model] = (await cluster.status(node)).models;
          return (model?.accuracy ?? 0) >= 0.95;
        });
      }
      const model = await eventually('the model to be Converged', 60, async () => {
        const seen = await cluster.get('mdl', 'digits');
        return condition(seen, 'Converged').status === 'True' && seen;
      });
      expect(Number(model.status.accuracy)).toBeGreaterThanOrEqual(0.945);
    });
  });
};
