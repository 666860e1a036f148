import { loadKubeConfig, namespaceOf } from '../cluster/config.ts';
import { connect, inWords } from '../cluster/connection.ts';
import type { Io } from '../io.ts';
import { plural } from '../render/numbers.ts';
import { deleteManifest, readManifest } from '../up/manifest.ts';
import { runSteps, type Step } from '../up/progress.ts';
import { removeRelease, systemNamespace } from '../up/release.ts';
import { readSetting, type Setting, type SettingFlags, script, toolOptions } from '../up/setting.ts';
import { type ToolOptions, tryTool } from '../up/tool.ts';

/** Removes what `up` made. What is gone already is passed over, so that it can be run again at any point. */
export async function down(flags: SettingFlags, io: Io): Promise<void> {
  const setting = readSetting(flags, io);
  const abort = new AbortController();
  const signal = AbortSignal.any([io.signal, abort.signal]);
  const steps = setting.cluster === 'kind' ? ownSteps(setting, io, signal) : presentSteps(setting, flags, io, signal);
  await runSteps(steps, io, (reason) => abort.abort(reason));
}

/** The release and all objects go with their cluster; the daemon goes only where `up` started it. */
function ownSteps(setting: Setting, io: Io, signal: AbortSignal): readonly Step[] {
  return [
    {
      name: 'cluster',
      run: async (report) => {
        const options = toolOptions(io, signal, report.say);
        await script('cluster', ['delete', setting.name], options);
        const others = await othersIn(options);
        if (others > 0)
          return `kind "${setting.name}" is gone; Docker goes on for ${plural(others, 'other container')}`;
        await script('docker', ['stop'], options);
        return `kind "${setting.name}" is gone`;
      },
    },
  ];
}

/** Containers that still run: a daemon that `up` started may serve others by now. */
async function othersIn(options: ToolOptions): Promise<number> {
  const { code, result } = await tryTool(['docker', 'ps', '--quiet'], options);
  return code === 0 ? result.split('\n').filter((line) => line !== '').length : 0;
}

/** Objects first: their finalizers need the operator. */
function presentSteps(setting: Setting, flags: SettingFlags, io: Io, signal: AbortSignal): readonly Step[] {
  return [
    {
      name: 'objects',
      run: async (report) => {
        const objects = await readManifest(setting.manifest);
        const config = loadKubeConfig(flags, io);
        const connection = connect(config, namespaceOf(config, flags), signal);
        try {
          const removed = await deleteManifest(
            connection.client,
            objects,
            connection.namespace,
            { ...io, signal },
            report.say,
          );
          report.say('removing the release');
          const options = toolOptions(io, signal, report.say);
          const helm = await script('get', ['helm'], options);
          const context = config.getCurrentContext();
          const had = await removeRelease({ helm, kubeconfig: flags.kubeconfig, context, name: setting.name }, options);
          return `${removed} of ${objects.length} objects of the manifest removed, release "${setting.name}" ${had ? 'removed' : 'was not there'}; kept: CRDs, namespace ${systemNamespace} with the authority key`;
        } catch (error) {
          throw inWords(error, connection.server);
        } finally {
          await connection.close();
        }
      },
    },
  ];
}
