import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetch } from 'undici';
import { loadData } from '../learning/index.ts';
import type { CharterModel } from '../overlay/index.ts';
import type { LoadedData } from './beginning.ts';
import type { ValidatorOptions } from './options.ts';

/**
 * The data files of a model: the shared one, and for `partition: own` this validator's own beside it.
 * Volumes are mounted as `<mounts>/configmap/<name>` and `<mounts>/claim/<name>`.
 * @throws DataError
 */
export async function dataOf(
  { spec }: CharterModel,
  options: Pick<ValidatorOptions, 'mounts' | 'ownData' | 'dataDir'>,
  signal: AbortSignal,
): Promise<LoadedData> {
  const { mounts, ownData: ownFile } = options;
  const dataDir = options.dataDir ?? fileURLToPath(new URL('../../data', import.meta.url));
  const { configMap, claim } = spec.data.source;
  const data = await loadData(spec.data, {
    dataDir,
    mounts: {
      ...(configMap === undefined ? {} : { configMap: path.join(mounts, 'configmap', configMap.name) }),
      ...(claim === undefined ? {} : { claim: path.join(mounts, 'claim', claim.claimName) }),
    },
    fetch,
    signal,
  });
  if (spec.data.partition !== 'own' || ownFile === undefined) return { data };
  const source = { claim: { claimName: 'in spec.data of the ValidatorNode', path: path.basename(ownFile) } };
  const ownData = await loadData(
    { ...spec.data, source, sha256: undefined },
    { dataDir, mounts: { claim: path.dirname(ownFile) }, fetch, signal },
  );
  return { data, ownData };
}
