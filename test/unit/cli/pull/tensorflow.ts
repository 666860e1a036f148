import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { io } from '@tensorflow/tfjs-core';

/** A model from a folder, by the public API of TensorFlow.js alone. */
export async function tensorFlow(folder: string) {
  const core = await import('@tensorflow/tfjs-core');
  core.enableProdMode(); // no advertisement on stderr
  await import('@tensorflow/tfjs-backend-cpu');
  await core.setBackend('cpu');
  const { loadLayersModel } = await import('@tensorflow/tfjs-layers');
  const handler: io.IOHandler = {
    load: async () => {
      const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as io.ModelJSON;
      return core.io.getModelArtifactsForJSON(json, async (manifest) => {
        const files = manifest.flatMap(({ paths }) => paths).map((path) => readFile(join(folder, path)));
        const bytes = Uint8Array.from(Buffer.concat(await Promise.all(files)));
        return [manifest.flatMap(({ weights }) => weights), bytes.buffer];
      });
    },
  };
  const model = await loadLayersModel(handler);
  return {
    predict: (rows: readonly (readonly number[])[]): number[][] =>
      core.tidy(() => (model.predict(core.tensor2d(rows as number[][])) as { arraySync(): number[][] }).arraySync()),
  };
}
