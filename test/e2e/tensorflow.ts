import { describe, expect, test } from 'vitest';
import { command } from './cluster.ts';

/** Trains on the bundled digits as a validator does, in the image's own files. */
const TRAIN = `
import { readFile } from 'node:fs/promises';
import { ModelSpec } from '/app/dist/api/index.js';
import { createLearner } from '/app/dist/learning/index.js';
const spec = ModelSpec.parse({
  architecture: { preset: 'mlp' },
  data: { source: { builtin: 'digits' }, classes: 10, scale: '16' },
  learning: {},
});
const learner = createLearner({
  model: { uid: 'uid-1', name: 'digits', spec, probeSeed: 7 },
  partition: { index: 0, of: 1 },
  data: await readFile('/app/data/digits.csv.gz'),
  log: () => {},
});
await learner.ready();
for (let i = 0; i < 60; i += 1) await learner.update();
console.log(JSON.stringify({ backend: learner.backend, ...(await learner.evaluate()) }));
await learner.close();
`;

export const tensorflow = (): void => {
  describe('the image with native TensorFlow', () => {
    test('trains with it, on a read-only root and with no rights', async () => {
      const tag = (await command('tools/image.sh', ['tag'])).trim().replace(':', '-tensorflow:');
      await command('tools/image.sh', ['build', 'murmuration-tensorflow', tag]);
      const limits = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', '--network', 'none'];
      const node = ['--entrypoint', 'node', tag, '--input-type=module', '-e', TRAIN];
      const said = JSON.parse(await command('docker', ['run', '--rm', ...limits, ...node]));
      expect(said.backend).toBe('tensorflow');
      expect(said.accuracy).toBeGreaterThan(0.85);
    });
  });
};
