/** The Helm release of the operator. */
import { z } from 'zod';
import { failed } from '../errors.ts';
import { type ToolOptions, tool, tryTool } from './tool.ts';

/** Namespace of the operator. */
export const systemNamespace = 'murmuration-system';

/** What is installed where. */
export interface Release {
  /** Path of the helm program. */
  readonly helm: string;
  readonly kubectl: string;
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly name: string;
  /** Folder of the chart. */
  readonly chart: string;
  /** Values that differ from the chart's: dotted path -> text. */
  readonly values: Readonly<Record<string, string>>;
  /**
   * In a cluster that only this machine reaches, a file that helm locks for as long as it works; undefined where helm
   * may be at work elsewhere.
   */
  readonly lock: string | undefined;
}

/** What it takes to find a release. */
export type Known = Pick<Release, 'helm' | 'kubeconfig' | 'context' | 'name'>;

const rendered = z.looseObject({
  manifest: z.string(),
  info: z.looseObject({ status: z.string(), last_deployed: z.string().optional() }),
});

/**
 * Brings the release in step with the chart and waits until the operator is ready.
 * @returns whether anything had to be changed
 */
export async function installRelease(
  release: Release,
  options: ToolOptions,
): Promise<'installed' | 'upgraded' | 'unchanged'> {
  const present = await presentRelease(release, options);
  if (present?.status === 'deployed' && present.manifest === (await wantedManifest(release, options))) {
    return 'unchanged';
  }
  if (present?.status.startsWith('pending-') === true) await takeOver(release, present, options);
  await tool(
    [...locked(release), ...upgrade(release), '--create-namespace', '--wait', '--timeout', '5m'],
    options,
  ).catch((error: unknown) => {
    throw failed(
      `The release ${release.name} could not be installed in namespace ${systemNamespace}.`,
      `See what keeps the operator from getting ready: kubectl -n ${systemNamespace} describe pods`,
      error,
    );
  });
  return present === undefined ? 'installed' : 'upgraded';
}

/** Removes the release where there is one. @returns whether there was one */
export async function removeRelease(release: Known, options: ToolOptions): Promise<boolean> {
  if ((await presentRelease(release, options)) === undefined) return false;
  await tool([release.helm, 'uninstall', ...target(release), release.name, '--wait', '--timeout', '2m'], options);
  return true;
}

interface Present {
  /** Helm's word: deployed, failed, pending-install, ... */
  readonly status: string;
  /** When helm last worked on it, RFC 3339. */
  readonly at: string;
  /** Its objects as YAML. */
  readonly manifest: string;
}

/** The release as helm has it, undefined where there is none. */
async function presentRelease(release: Known, options: ToolOptions): Promise<Present | undefined> {
  const { say: _, ...quiet } = options;
  const status = await tryTool([release.helm, 'status', ...target(release), release.name, '-o', 'json'], quiet);
  if (status.code !== 0) {
    if (status.said.some((line) => line.includes('not found'))) return undefined;
    throw failed(`helm could not read the release ${release.name}: ${status.said.slice(-3).join(' ')}`);
  }
  const { manifest, info } = rendered.parse(JSON.parse(status.result));
  return { status: info.status, at: info.last_deployed ?? 'an unknown time', manifest: manifest.trim() };
}

/**
 * A helm that is killed leaves its record pending, and every later one refuses to work beside it. The record is removed
 * where no helm can be at work any more; the objects stay, and the next install adopts them.
 */
async function takeOver(release: Release, { status, at }: Present, options: ToolOptions): Promise<void> {
  const records = `owner=helm,name=${release.name},status in (pending-install,pending-upgrade,pending-rollback)`;
  const namespace = ['--namespace', systemNamespace];
  if (release.lock === undefined) {
    throw failed(
      `The release ${release.name} is ${status} since ${at}: helm is at work on it, or was killed before its end.`,
      `Wait for it. Where no helm is at work any more: kubectl ${namespace.join(' ')} delete secret -l '${records}'`,
    );
  }
  options.say?.(`helm was killed in the middle (${status} since ${at}); taking over`);
  const { kubeconfig, context } = release;
  const reach = [...flag('--kubeconfig', kubeconfig), ...flag('--context', context)];
  await tool([...locked(release), release.kubectl, 'delete', 'secret', ...namespace, ...reach, '-l', records], options);
}

/** Waits until no other program holds the lock. Without a fork, so that the lock goes when the program itself goes. */
const locked = ({ lock }: Release): readonly string[] =>
  lock === undefined ? [] : ['flock', '--exclusive', '--no-fork', lock];

const flag = (name: string, value: string | undefined): readonly string[] => (value === undefined ? [] : [name, value]);

/** What an upgrade would deploy, rendered with the server's own version and capabilities. */
async function wantedManifest(release: Release, options: ToolOptions): Promise<string | undefined> {
  const { say: _, ...quiet } = options;
  const dry = await tryTool([...upgrade(release), '--dry-run=server', '-o', 'json'], quiet);
  // A chart that does not render is for the real upgrade to complain about.
  return dry.code === 0 ? rendered.parse(JSON.parse(dry.result)).manifest.trim() : undefined;
}

/** The upgrade itself, to be carried out or only rendered. */
const upgrade = (release: Release): readonly string[] => [
  release.helm,
  'upgrade',
  '--install',
  ...target(release),
  release.name,
  release.chart,
  ...sets(release),
];

function target({ kubeconfig, context }: Pick<Release, 'kubeconfig' | 'context'>): readonly string[] {
  return ['--namespace', systemNamespace, ...flag('--kubeconfig', kubeconfig), ...flag('--kube-context', context)];
}

function sets({ values }: Pick<Release, 'values'>): readonly string[] {
  return Object.entries(values).flatMap(([path, value]) => ['--set-string', `${path}=${value}`]);
}
