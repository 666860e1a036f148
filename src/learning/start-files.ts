import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { type ArchitectureSource, FILE_PATH } from '../api/index.ts';
import type { StartModel } from './contract.ts';
import { DataError, ModelError } from './errors.ts';
import { MAX_WEIGHTS } from './layer-sizes.ts';
import { inside, loadWhole, type Place, type SourceContext } from './source.ts';

const MAX_JSON_BYTES = 4 * 1024 * 1024;
const MAX_FILES = 1024;

/** The part of model.json that names files; the rest is looked at by start-model.ts, in the worker. */
const manifest = z.object({
  weightsManifest: z.array(z.object({ paths: z.array(z.string().max(1024)) })).max(MAX_FILES),
});

export type StartContext = Pick<SourceContext, 'fetch' | 'signal' | 'deadlineMilliseconds'> & {
  /** Where the pod has the claim mounted. */
  readonly claim?: string | undefined;
};

/**
 * The files of a layers model: model.json and the files with weights that it names, which lie beside it. They are
 * checked against the digest, and otherwise not believed.
 * @throws DataError: DataUnreachable, DataTooLarge or DataDigestMismatch; ModelError where model.json is none
 */
export async function loadStart(from: ArchitectureSource, context: StartContext): Promise<StartModel> {
  const digest = createHash('sha256');
  const json = await loadWhole(placeOf(from, undefined, context), MAX_JSON_BYTES, context);
  digest.update(json);
  const weights: Uint8Array[] = [];
  let room = MAX_WEIGHTS * Float32Array.BYTES_PER_ELEMENT;
  for (const file of filesOf(json)) {
    const bytes = await loadWhole(placeOf(from, file, context), room, context);
    digest.update(bytes);
    weights.push(bytes);
    room -= bytes.length;
  }
  const found = digest.digest('hex');
  if (found !== from.sha256) {
    throw new DataError(
      'DataDigestMismatch',
      `model.json and its weights have sha256 ${found}, architecture.from.sha256 is ${from.sha256}. Make a new Model with ` +
        'what sha256sum prints of model.json and the files with weights, one after another, or restore the files.',
    );
  }
  return { json, weights: Buffer.concat(weights) };
}

function filesOf(json: Uint8Array): readonly string[] {
  const parsed = manifest.safeParse(jsonOf(json));
  const files = parsed.data?.weightsManifest.flatMap(({ paths }) => paths) ?? [];
  if (!parsed.success || files.length > MAX_FILES) {
    throw new ModelError(
      'architecture.from is no layers model of TensorFlow.js: its model.json has no weightsManifest.',
    );
  }
  const outside = files.find((file) => !FILE_PATH.test(file));
  if (outside === undefined) return files;
  throw new ModelError(
    `The model.json of architecture.from names a file "${outside.slice(0, 80)}", which is not beside it. Save the model again.`,
  );
}

/** @throws ModelError where the bytes are no JSON */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 120) : String(error);
    throw new ModelError(`The model.json of architecture.from is no JSON (${why}). Save the model again.`, {
      cause: error,
    });
  }
}

/** @param file beside model.json, or undefined for that itself */
function placeOf({ url, claim }: ArchitectureSource, file: string | undefined, context: StartContext): Place {
  if (url !== undefined) {
    const at = file === undefined ? url : new URL(file, url).href;
    return {
      file: at,
      at: { url: at },
      fix: 'Make a new Model with another architecture.from.url, or fix the way to it.',
    };
  }
  const named = claim?.path ?? 'model.json';
  const within = file === undefined ? named : path.posix.join(path.posix.dirname(named), file);
  if (context.claim === undefined) {
    throw new DataError(
      'DataUnreachable',
      'The claim of architecture.from is not mounted in this pod. Restart the pod.',
    );
  }
  const fix = `Put the file into claim ${claim?.claimName}.`;
  return { file: within, at: { path: inside(context.claim, within), within: context.claim }, fix };
}
