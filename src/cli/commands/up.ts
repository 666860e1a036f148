import { relative } from 'node:path';
import { withConnection } from '../cluster/connection.ts';
import { failed } from '../errors.ts';
import type { OutputFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { printJson } from '../render/json.ts';
import { follow } from '../up/follow.ts';
import { type ManifestObject, readManifest } from '../up/manifest.ts';
import { nextText } from '../up/next.ts';
import { runSteps } from '../up/progress.ts';
import { readSetting, type SettingFlags } from '../up/setting.ts';
import { upSteps } from '../up/steps.ts';

/** Flags of `murmur up`. */
export interface UpFlags extends SettingFlags, OutputFlags {
  /** How long to wait until the model has converged, milliseconds. */
  readonly timeout: number;
}

/** From nothing to a fleet that has learned. All that it starts goes on running, whatever becomes of the waiting. */
export async function up(flags: UpFlags, io: Io): Promise<void> {
  const setting = readSetting(flags, io);
  const objects = await readManifest(setting.manifest);
  const abort = new AbortController();
  const signal = AbortSignal.any([io.signal, abort.signal]);
  const { steps, outcome } = upSteps(setting, flags, objects, io, signal);
  try {
    await runSteps(steps, io, (reason) => abort.abort(reason));
    const { cluster, kubectl, changed } = await outcome;
    if (!changed) io.err.write('All is as it should be already: unchanged.\n');
    const reach = flags.namespace === undefined ? cluster : { ...cluster, namespace: flags.namespace };
    await withConnection(reach, io, async (connection) => {
      const state = await follow(connection, { ...wishedOf(objects), timeout: flags.timeout }, io);
      const next = nextText({ reach, kubectl, namespace: connection.namespace, state, env: io.env });
      io.err.write(`${next.join('\n')}\n`);
      if (flags.output === 'json') printJson(io.out, 'FleetState', state);
    });
  } catch (error) {
    if (!io.signal.aborted) throw error;
    throw failed(
      'Interrupted. What runs goes on running.',
      `Go on with: murmur up --manifest ${relative(io.folder, setting.manifest)}. Remove it with: murmur down`,
    );
  }
}

function wishedOf(objects: readonly ManifestObject[]) {
  const named = (kind: string): readonly string[] =>
    objects
      .filter((one) => one.kind === kind && one.apiVersion.startsWith('murmuration.dev/'))
      .map((one) => one.metadata.name);
  return { models: named('Model'), fleets: named('ValidatorFleet'), nodes: named('ValidatorNode') };
}
