import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { Cluster, command, eventually } from './cluster.ts';

const ROWS = 90;

export const users = (): void => {
  describe('a user with rows of its own', () => {
    const cluster = new Cluster(inject('kubeconfig'));
    let folder = '';
    const murmur = async (...words: string[]) => {
      const options = ['--identity', join(folder, 'user.key'), '-o', 'json'];
      const line = ['./murmur', 'user', ...words, ...options].join(' ');
      return JSON.parse(await command('bash', ['-c', `KUBECONFIG=${inject('kubeconfig')} ${line}`]));
    };
    /** Rows of users on each validator. */
    const kept = async (): Promise<readonly number[]> => {
      const nodes = await cluster.list('vn');
      const statuses = await Promise.all(nodes.map(({ metadata }) => cluster.status(metadata.name)));
      return statuses.map(({ models }) => models[0]?.userRows ?? Number.NaN);
    };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'murmuration-user-'));
      const all = gunzipSync(await readFile(new URL('../../data/digits.csv.gz', import.meta.url))).toString();
      await writeFile(join(folder, 'mine.csv'), all.split('\n').slice(0, ROWS).join('\n'));
      await cluster.kubectl('patch', 'mdl', 'digits', '--type=merge', '-p', '{"spec": {"data": {"users": {}}}}');
    });
    afterAll(() => rm(folder, { recursive: true }));

    test('is let in, and two validators keep its rows and judge its models', { timeout: 180_000 }, async () => {
      const said = await eventually('the model to take users', 120, () =>
        murmur('join', 'digits', '--data', join(folder, 'mine.csv'), '--to', '2', '--rounds', '2'),
      );
      expect(said).toMatchObject({ kind: 'UserJoined', rounds: [{}, {}] });
      await eventually('two validators to say that they keep rows', 30, async () => {
        return (await kept()).filter((rows) => rows === ROWS).length === 2;
      });
    });

    test('is forgotten when it leaves', async () => {
      expect(await murmur('leave', 'digits')).toMatchObject({ kind: 'UserLeft', wasThere: true });
      await eventually('no validator to keep rows', 60, async () => (await kept()).every((rows) => rows === 0));
    });
  });
};
