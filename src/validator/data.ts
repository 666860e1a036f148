import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetch } from 'undici';
import { loadData, loadStart } from '../learning/index.ts';
import type { CharterModel } from '../overlay/index.ts';
import type { LoadedData } from './beginning.ts';
import type { ValidatorOptions } from './options.ts';

/**
 * The files of a model: its data, for `partition: own` this validator's own beside them, and the model that it starts from.
 * Volumes are mounted as `<mounts>/configmap/<name>` and `<mounts>/claim/<name>`.
 * @throws DataError, ModelError
 */
export async function dataOf(
  { spec }: CharterModel,
  options: Pick<ValidatorOptions, 'mounts' | 'ownData' | 'dataDir' | 'scratch'>,
  signal: AbortSignal,
): Promise<LoadedData> {
  const { mounts, ownData: ownFile, scratch } = options;
  const dataDir = options.dataDir ?? fileURLToPath(new URL('../../data', import.meta.url));
  const { configMap, claim } = spec.data.source;
  const start = await startOf(spec.architecture.from, mounts, signal);
  const shared = await loadData(spec.data, {
    dataDir,
    mounts: {
      ...(configMap === undefined ? {} : { configMap: path.join(mounts, 'configmap', configMap.name) }),
      ...(claim === undefined ? {} : { claim: path.join(mounts, 'claim', claim.claimName) }),
    },
    fetch,
    signal,
    scratch,
  });
  const { file: data, release } = shared;
  if (spec.data.partition !== 'own' || ownFile === undefined) return { data, release, start };
  try {
    const source = { claim: { claimName: 'in spec.data of the ValidatorNode', path: path.basename(ownFile) } };
    const { labels } = spec.data;
    const own = await loadData(
      { ...spec.data, source, sha256: undefined, labels: labels && { file: labels.file } },
      { dataDir, mounts: { claim: path.dirname(ownFile) }, fetch, signal, scratch },
    );
    const releaseBoth = async () => {
      await release();
      await own.release();
    };
    return { data, ownData: own.file, release: releaseBoth, start };
  } catch (error) {
    await release();
    throw error;
  }
}

async function startOf(from: CharterModel['spec']['architecture']['from'], mounts: string, signal: AbortSignal) {
  if (from === undefined) return undefined;
  const claim = from.claim === undefined ? undefined : path.join(mounts, 'claim', from.claim.claimName);
  return loadStart(from, { fetch, signal, claim });
}
