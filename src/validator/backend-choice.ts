import type { BackendName } from '../learning/index.ts';

const BACKENDS: readonly BackendName[] = ['tensorflow-gpu', 'tensorflow', 'wasm', 'cpu'];

/** What `MURMURATION_BACKEND` says; undefined: the best that loads. @throws RangeError for a name that is no backend */
export function backendOf(name: string | undefined): BackendName | undefined {
  if (name === undefined || name === '') return undefined;
  const known = BACKENDS.find((backend) => backend === name);
  if (known === undefined) throw new RangeError(`"${name}" is no backend, it can be ${BACKENDS.join(', ')}`);
  return known;
}
