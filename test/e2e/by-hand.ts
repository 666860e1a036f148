import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { command } from './cluster.ts';

/** Stands for the name in the page, which may be that of somebody's cluster. */
const NAME = 'murmuration-by-hand';

export const byHand = (): void => {
  describe('what docs/cluster.md says to do by hand', () => {
    afterAll(() => command('tools/cluster.sh', ['delete', NAME]));

    test('works as it is written', async () => {
      const page = await readFile(new URL('../../docs/cluster.md', import.meta.url), 'utf8');
      const lines = page.split('\n').flatMap((line) => /^\$ (tools\/.*)$/.exec(line)?.[1] ?? []);
      expect(lines.length).toBeGreaterThan(3);
      for (const line of lines) await command('bash', ['-ec', line.replace(/\btry\b/, NAME)]);
    });
  });
};
