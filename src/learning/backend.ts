import { createRequire } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import type * as Core from '@tensorflow/tfjs-core';
import type * as Layers from '@tensorflow/tfjs-layers';
import type { BackendName, LearnerLog } from './contract.ts';
import { BackendUnavailableError } from './errors.ts';
import { patchWasmKernels } from './wasm-kernels.ts';

/** TensorFlow.js with a backend chosen. One a process or worker. */
export interface Backend {
  readonly name: BackendName;
  readonly core: typeof Core;
  readonly layers: typeof Layers;
}

/** From fast to sure. The first two are optional packages that only some images carry. */
const PREFERENCE: readonly BackendName[] = ['tensorflow-gpu', 'tensorflow', 'wasm', 'cpu'];

/**
 * Loads the best backend there is, or exactly `wanted`.
 * @throws BackendUnavailableError when none, or not the wanted one, can be loaded
 */
export async function loadBackend(wanted: BackendName | undefined, log: LearnerLog): Promise<Backend> {
  const core = await import('@tensorflow/tfjs-core');
  // Production mode: no checks of every tensor, no advertisement for tfjs-node on stderr.
  core.enableProdMode();
  const causes: string[] = [];
  for (const name of wanted === undefined ? PREFERENCE : [wanted]) {
    try {
      const found = await LOADERS[name](core);
      const layers = await import('@tensorflow/tfjs-layers');
      log('debug', 'backend loaded', { backend: found });
      return { name: found, core, layers };
    } catch (error) {
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      causes.push(`${name}: ${why}`);
      log('debug', 'backend not available', { backend: name, why });
    }
  }
  throw new BackendUnavailableError(
    wanted === undefined
      ? `No TensorFlow.js backend can be loaded (${causes.join('; ')}). Install the package again.`
      : `Backend ${causes.join('; ')}. Use an image that has it, or leave MURMURATION_BACKEND unset.`,
  );
}

const LOADERS: Readonly<Record<BackendName, (core: typeof Core) => Promise<BackendName>>> = {
  'tensorflow-gpu': (core) => loadNative('@tensorflow/tfjs-node-gpu', core),
  tensorflow: (core) => loadNative('@tensorflow/tfjs-node', core),
  wasm: async (core) => {
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    const entry = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm');
    wasm.setWasmPaths(`${path.dirname(entry)}/`);
    patchWasmKernels(core);
    await choose(core, 'wasm');
    return 'wasm';
  },
  cpu: async (core) => {
    await import('@tensorflow/tfjs-backend-cpu');
    await choose(core, 'cpu');
    return 'cpu';
  },
};

async function loadNative(packageName: string, core: typeof Core): Promise<BackendName> {
  restoreRemovedUtil();
  await import(packageName);
  await choose(core, 'tensorflow');
  // The GPU package computes on the CPU where it finds no GPU; people should see that.
  const { isUsingGpuDevice } = core.backend() as { isUsingGpuDevice?: boolean };
  return isUsingGpuDevice === true ? 'tensorflow-gpu' : 'tensorflow';
}

async function choose(core: typeof Core, name: string): Promise<void> {
  if (!(await core.setBackend(name))) throw new Error(`tfjs could not start backend ${name}`);
  await core.ready();
}

/** tfjs-node 4.22 calls two functions that Node 23 removed. */
function restoreRemovedUtil(): void {
  const legacy = util as unknown as Record<string, unknown>;
  legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  legacy.isArray ??= Array.isArray;
}
