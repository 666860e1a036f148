import { resolve } from 'node:path';
import { parseBlockCid } from '../../chunks/index.ts';
import { inWords, withConnection } from '../cluster/connection.ts';
import { failed, misused } from '../errors.ts';
import type { ClusterFlags, OutputFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { lookAt } from '../pull/folder.ts';
import { noteName } from '../pull/model-files.ts';
import { type Pulled, pullSteps } from '../pull/steps.ts';
import { printJson } from '../render/json.ts';
import { bytes, count } from '../render/numbers.ts';
import { runSteps } from '../up/progress.ts';

/** Flags of `murmur pull`. */
export interface PullFlags extends ClusterFlags, OutputFlags {
  readonly model: string;
  readonly out?: string;
  readonly version?: string;
  readonly authority?: string;
  /** Release of this program. */
  readonly release: string;
}

/** Fetches a certified version, checks all of it, and writes a folder that TensorFlow.js loads. */
export async function pull(flags: PullFlags, io: Io): Promise<void> {
  const { model, version, authority, release } = flags;
  if (version !== undefined && parseBlockCid(version) === undefined) {
    throw misused(`"${version}" is no CID of a version.`, 'murmur search -o wide names versions in full.');
  }
  const shown = flags.out ?? `./${model}`;
  const out = resolve(io.folder, shown);
  const present = await lookAt(out, noteName);
  if (present.is === 'other') {
    throw misused(`${shown} is there and is no pulled model: ${present.what}.`, 'Name another folder with --out.');
  }
  const setting = { model, version, authority, out, shown, present, release };
  const pulled = await withConnection(flags, io, async (connection) => {
    const abort = new AbortController();
    const run = pullSteps(setting, connection, io, AbortSignal.any([io.signal, abort.signal]));
    try {
      await runSteps(run.steps, io, (reason) => abort.abort(reason));
      return await run.outcome();
    } catch (error) {
      if (!io.signal.aborted) throw inWords(error, connection.server);
      const cid = run.version();
      const goOn = cid === undefined ? '' : ` --version ${cid}`;
      throw failed('Interrupted. What was fetched is kept.', `Go on with: murmur pull ${model} --out ${shown}${goOn}`);
    }
  });
  if (flags.output === 'json') printJson(io.out, 'Pulled', pulled);
  else io.out.write(`${pulledText(pulled, shown).join('\n')}\n`);
}

function pulledText({ model, version, signedBy }: Pulled, shown: string): readonly string[] {
  const by = signedBy.length > 4 ? `${count(signedBy.length)} validators` : signedBy.join(', ');
  return [
    `${model} at ${count(version.updates)} updates, signed by ${by}: ${bytes(version.bytes)} in ${shown}`,
    `version ${version.cid}`,
    `Next:  await tf.loadLayersModel('file://${shown}/model.json')   in TensorFlow.js, with @tensorflow/tfjs-node`,
  ];
}
