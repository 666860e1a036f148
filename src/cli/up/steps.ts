/** The steps of `up`. Each waits for what it needs and for nothing else, so that a cold start uses its time. */

import { loadKubeConfig, namespaceOf } from '../cluster/config.ts';
import { connect, inWords } from '../cluster/connection.ts';
import { failed } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { bytes } from '../render/numbers.ts';
import { type Applied, applyManifest, type ManifestObject } from './manifest.ts';
import type { Report, Step } from './progress.ts';
import { installRelease, systemNamespace } from './release.ts';
import { type Setting, script, toolOptions } from './setting.ts';
import { type ToolOptions, tryTool } from './tool.ts';
import { versionOf } from './versions.ts';

const imageTarget = 'murmuration';

/** What the steps leave behind for what comes after them. */
export interface Outcome {
  /** Flags by which the cluster is reached. */
  readonly cluster: ClusterFlags;
  readonly kubectl: string;
  readonly changes: readonly Applied[];
  /** Whether any step changed anything. */
  readonly changed: boolean;
}

interface Cluster {
  readonly flags: ClusterFlags;
  readonly text: string;
  readonly made: boolean;
}

interface Image {
  readonly reference: string;
  readonly text: string;
}

/** The steps, in the order in which they are shown, and what they come to. */
export function upSteps(
  setting: Setting,
  flags: ClusterFlags,
  objects: readonly ManifestObject[],
  io: Io,
  signal: AbortSignal,
): { readonly steps: readonly Step[]; readonly outcome: Promise<Outcome> } {
  const docker = Promise.withResolvers<void>();
  const programs = Promise.withResolvers<{ readonly helm: string; readonly kubectl: string }>();
  const cluster = Promise.withResolvers<Cluster>();
  const image = Promise.withResolvers<Image>();
  const release = Promise.withResolvers<'installed' | 'upgraded' | 'unchanged'>();
  const changes = Promise.withResolvers<readonly Applied[]>();
  const needsDocker = setting.cluster === 'kind' || setting.image === undefined;

  const steps: readonly Step[] = [
    step('tools', [docker, programs], io, signal, async (options) => {
      if (needsDocker) await script('docker', ['start'], options);
      docker.resolve();
      const helm = await script('get', ['helm'], options);
      const kubectl = await script('get', ['kubectl'], options);
      const kind = setting.cluster === 'kind' ? [await script('get', ['kind'], options)] : [];
      programs.resolve({ helm, kubectl });
      const versions = await Promise.all([
        ...kind.map((path) => versionOf('kind', path, options)),
        versionOf('helm', helm, options),
        versionOf('kubectl', kubectl, options),
      ]);
      return [`node ${process.versions.node}`, ...versions].join(', ');
    }),
    step('cluster', [cluster], io, signal, async (options, begin) => {
      if (needsDocker) await docker.promise;
      begin();
      const made = setting.cluster === 'kind' ? await ownCluster(setting, options) : presentCluster(flags, io);
      cluster.resolve(made);
      return made.text;
    }),
    step('image', [image], io, signal, async (options, begin) => {
      if (needsDocker) await docker.promise;
      begin();
      const ready = await provideImage(setting, cluster.promise, options);
      image.resolve(ready);
      return ready.text;
    }),
    step('operator', [release], io, signal, async (options, begin) => {
      const [{ helm, kubectl }, reached, { reference }] = await Promise.all([
        programs.promise,
        cluster.promise,
        image.promise,
      ]);
      begin();
      const { kubeconfig, context } = reached.flags;
      options.say?.('waiting until the operator is ready');
      const done = await installRelease(
        {
          helm,
          kubectl,
          kubeconfig,
          context,
          name: setting.name,
          chart: setting.chart,
          values: imageValues(reference),
          lock: setting.cluster === 'kind' ? kubeconfig : undefined,
        },
        options,
      );
      release.resolve(done);
      return `release "${setting.name}" in namespace ${systemNamespace}, ${done}`;
    }),
    step('manifest', [changes], io, signal, async (_options, begin) => {
      const [reached] = await Promise.all([cluster.promise, release.promise]);
      begin();
      const config = loadKubeConfig(reached.flags, io);
      const connection = connect(config, namespaceOf(config, reached.flags), signal);
      try {
        const applied = await applyManifest(connection.client, objects, connection.namespace);
        changes.resolve(applied);
        return appliedText(applied);
      } catch (error) {
        throw inWords(error, connection.server);
      } finally {
        await connection.close();
      }
    }),
  ];
  const outcome = Promise.all([cluster.promise, programs.promise, release.promise, changes.promise]).then(
    ([reached, { kubectl }, done, applied]): Outcome => ({
      cluster: reached.flags,
      kubectl,
      changes: applied,
      changed: reached.made || done !== 'unchanged' || applied.some((one) => one.change !== 'unchanged'),
    }),
  );
  outcome.catch(() => undefined); // The failure is told by its step.
  return { steps, outcome };
}

interface Waiter {
  readonly promise: Promise<unknown>;
  readonly reject: (reason: unknown) => void;
}

/** A step that, when it fails, frees those that wait for what it would have given. */
function step(
  name: string,
  gives: readonly Waiter[],
  io: Io,
  signal: AbortSignal,
  run: (options: ToolOptions, begin: () => void) => Promise<string>,
): Step {
  for (const { promise } of gives) promise.catch(() => undefined);
  return {
    name,
    run: async (report) => {
      try {
        return await run(
          toolOptions(io, signal, (line) => tell(report, line)),
          report.begin,
        );
      } catch (error) {
        for (const { reject } of gives) reject(error);
        throw error;
      }
    },
  };
}

/** A line that says how long something takes stays in sight; all others replace each other. */
function tell(report: Report, line: string): void {
  if (/\babout \d+ min/.test(line)) report.note(line);
  else report.say(line);
}

async function ownCluster(setting: Setting, options: ToolOptions): Promise<Cluster> {
  const { say: _, ...quiet } = options;
  let made = true;
  const exists = async (): Promise<boolean> =>
    (await tryTool(['tools/cluster.sh', 'exists', setting.name], quiet)).code === 0;
  if (await exists()) made = false;
  const kubeconfig = await script('cluster', ['create', setting.name], options);
  const text = `kind "${setting.name}", 3 nodes${made ? '' : ', unchanged'}`;
  return { flags: { kubeconfig, namespace: 'default' }, text, made };
}

function presentCluster(flags: ClusterFlags, io: Io): Cluster {
  const config = loadKubeConfig(flags, io);
  const context = config.getCurrentContext();
  const server = config.getCurrentCluster()?.server ?? '';
  return { flags: { ...flags, context }, text: `context "${context}" at ${server}, as it is`, made: false };
}

/** Builds while the cluster is made, loads once it is there. */
async function provideImage(setting: Setting, cluster: Promise<Cluster>, options: ToolOptions): Promise<Image> {
  if (setting.image !== undefined) return { reference: setting.image, text: `${setting.image}, pulled by the cluster` };
  const tag = await script('image', ['tag'], options);
  await script('image', ['build', imageTarget, tag], options);
  options.say?.(`${tag} is built; waiting for the cluster to load it into`);
  const { flags } = await cluster;
  const kindName = setting.cluster === 'kind' ? setting.name : /^kind-(.+)$/.exec(flags.context ?? '')?.[1];
  if (kindName === undefined) {
    throw failed(
      `The image ${tag} was built here, and the cluster of context "${flags.context}" cannot see it.`,
      `Push it to a registry that the cluster reaches, and name it: docker push ...; IMAGE=registry/name:tag CLUSTER=current murmur up`,
    );
  }
  await script('image', ['load', tag, kindName], options);
  return { reference: tag, text: `${tag}, ${await sizeOf(tag, options)}, in the nodes of "${kindName}"` };
}

async function sizeOf(tag: string, options: ToolOptions): Promise<string> {
  const { say: _, ...quiet } = options;
  const { result } = await tryTool(['docker', 'image', 'inspect', '--format', '{{.Size}}', tag], quiet);
  return bytes(Number(result || Number.NaN));
}

/** A reference as the chart's values: `registry/name:tag`. */
export function imageValues(reference: string): Readonly<Record<string, string>> {
  const [, repository = reference, tag = ''] = /^(.*?)(?::([^:/@]+))?$/.exec(reference) ?? [];
  return { 'image.repository': repository, 'image.tag': tag };
}

/** `fleet "flock", model "digits": unchanged`. */
export function appliedText(applied: readonly Applied[]): string {
  const changes = new Set(applied.map((one) => one.change));
  const [only] = changes;
  const text = applied.map((one) => `${one.kind} "${one.name}"${changes.size > 1 ? ` ${one.change}` : ''}`).join(', ');
  return changes.size > 1 ? text : `${text}: ${only ?? 'nothing'}`;
}
