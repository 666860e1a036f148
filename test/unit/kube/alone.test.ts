import { readdir, readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

const room = new URL('../../../src/kube/', import.meta.url);

it('src/kube imports nothing of ours, and of the Kubernetes client only types', async () => {
  const files = (await readdir(room)).filter((file) => file.endsWith('.ts'));
  expect(files.length).toBeGreaterThan(15);
  for (const file of files) {
    const text = await readFile(new URL(file, room), 'utf8');
    for (const [statement, from = ''] of text.matchAll(/(?:import|export)[^;'"]*from\s+'([^']+)'/g)) {
      if (from.startsWith('.')) expect(from, `${file} imports ${from}`).toMatch(/^\.\/[a-z-]+\.ts$/);
      else if (from === '@kubernetes/client-node') expect(statement, file).toMatch(/^import type/);
      else expect(from, file).toMatch(/^(node:.+|undici|prom-client)$/);
    }
  }
});
