import { readFile, rm } from 'node:fs/promises';
import { afterAll, describe, expect, inject, test } from 'vitest';
import { command } from './cluster.ts';

const root = new URL('../..', import.meta.url).pathname;

/** Commands of a page that a person would type against a fleet that runs; `top` draws on a terminal and is left out. */
async function commandsOf(page: string): Promise<readonly string[]> {
  const text = await readFile(`${root}/${page}`, 'utf8');
  const lines = text
    .split('\n')
    .flatMap((line) => /^(?: {4}(?:\$ )?|\$ )((?:\.\/murmur|kubectl|helm) .*)$/.exec(line)?.[1] ?? []);
  return [...new Set(lines)].filter((line) => !line.startsWith('./murmur top'));
}

export const docs = (): void => {
  describe('what the documents say to type', () => {
    afterAll(async () => {
      for (const made of ['authority-key.yaml', 'digits-model']) {
        await rm(`${root}/${made}`, { recursive: true, force: true });
      }
    });

    test.each([['README.md'], ['docs/cli.md']])('%s: works as it is written', async (page) => {
      const commands = await commandsOf(page);
      expect(commands.length).toBeGreaterThan(1);
      for (const line of commands) {
        const said = await command('bash', ['-c', `export KUBECONFIG=${inject('kubeconfig')}; ${line} 2>&1`]);
        expect(said, line).not.toBe('');
      }
    });

    test('helm test, as the chart says after an install, passes', async () => {
      const said = await command('bash', [
        '-c',
        `export KUBECONFIG=${inject('kubeconfig')}; helm test ${process.env.MURMURATION_E2E_CLUSTER} -n murmuration-system`,
      ]);
      expect(said).toMatch(/Phase:\s+Succeeded/);
    });

    test('predict tells the digit', async () => {
      const said = await command('bash', [
        '-c',
        `KUBECONFIG=${inject('kubeconfig')} ./murmur predict digits --file samples/seven.json -o json`,
      ]);
      const [row = []] = (JSON.parse(said) as { predictions: number[][] }).predictions;
      expect(row.indexOf(Math.max(...row))).toBe(7);
    });
  });
};
