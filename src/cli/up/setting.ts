/** Where `up` and `down` work: in a kind cluster of their own, or in the cluster of the present context. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { failed, misused } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { projectFolder } from '../project.ts';
import { type ToolOptions, tool } from './tool.ts';

/** Flags that `up` and `down` share. */
export interface SettingFlags extends ClusterFlags {
  readonly manifest: string;
  /** Name of the kind cluster and of the release. */
  readonly name: string;
}

/** The setting of one run. */
export interface Setting {
  /** kind: the cluster is ours to make and delete. current: it is a person's, and only filled. */
  readonly cluster: 'kind' | 'current';
  readonly name: string;
  /** The manifest's path. */
  readonly manifest: string;
  readonly chart: string;
  /** An image that the cluster can pull by itself; undefined where it is to be built. */
  readonly image: string | undefined;
}

/** Reads flags and environment: `CLUSTER=current` works in the present context, `IMAGE=` names an image to use. */
export function readSetting(flags: SettingFlags, io: Io): Setting {
  const asked = io.env.CLUSTER ?? '';
  if (asked !== '' && asked !== 'current' && asked !== 'kind') {
    throw misused(
      `CLUSTER is "${asked}".`,
      'Set it to current for the present context, or leave it out for a kind cluster.',
    );
  }
  const cluster = asked === 'current' ? 'current' : 'kind';
  if (cluster === 'kind' && (flags.context !== undefined || flags.kubeconfig !== undefined)) {
    throw misused(
      '--context and --kubeconfig name a cluster that is there, but `up` and `down` work in one of their own.',
      'Say CLUSTER=current to use the one that is there.',
    );
  }
  if (!/^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$/.test(flags.name)) {
    throw misused(`--name ${flags.name} cannot name a cluster.`, 'Use lower-case letters, digits and "-", at most 42.');
  }
  const image = io.env.IMAGE === undefined || io.env.IMAGE === '' ? undefined : io.env.IMAGE;
  return {
    cluster,
    name: flags.name,
    manifest: manifestPath(flags.manifest, io),
    chart: join(projectFolder, 'charts', 'murmuration'),
    image,
  };
}

/** A path from the folder where the command is typed; one of the project's own manifests is also found from elsewhere. */
function manifestPath(manifest: string, io: Io): string {
  const typed = resolve(io.folder, manifest);
  const own = resolve(projectFolder, manifest);
  return !existsSync(typed) && existsSync(own) ? own : typed;
}

/** How scripts are run: from the project's folder. */
export function toolOptions(io: Io, signal: AbortSignal, say?: (line: string) => void): ToolOptions {
  return { folder: projectFolder, env: io.env, signal, ...(say === undefined ? {} : { say }) };
}

/** Runs one of `tools/*.sh`. */
export function script(name: string, words: readonly string[], options: ToolOptions): Promise<string> {
  const path = join(projectFolder, 'tools', `${name}.sh`);
  if (!existsSync(path)) {
    throw failed(`There is no ${path}.`, 'Run this from a checkout of the project; the container image has no tools.');
  }
  return tool([path, ...words], options);
}
