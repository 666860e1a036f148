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
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly name: string;
  /** Folder of the chart. */
  readonly chart: string;
  /** Values that differ from the chart's: dotted path -> text. */
  readonly values: Readonly<Record<string, string>>;
}

const rendered = z.looseObject({
  manifest: z.string(),
  info: z.looseObject({ status: z.string() }),
});

/**
 * Brings the release in step with the chart and waits until the operator is ready.
 * @returns whether anything had to be changed
 */
export async function installRelease(
  release: Release,
  options: ToolOptions,
): Promise<'installed' | 'upgraded' | 'unchanged'> {
  const present = await presentManifest(release, options);
  if (present !== undefined && present === (await wantedManifest(release, options))) return 'unchanged';
  await tool([...upgrade(release), '--create-namespace', '--wait', '--timeout', '5m'], options).catch(
    (error: unknown) => {
      throw failed(
        `The release ${release.name} could not be installed in namespace ${systemNamespace}.`,
        `See what keeps the operator from getting ready: kubectl -n ${systemNamespace} describe pods`,
        error,
      );
    },
  );
  return present === undefined ? 'installed' : 'upgraded';
}

/** Removes the release where there is one. @returns whether there was one */
export async function removeRelease(
  release: Omit<Release, 'chart' | 'values'>,
  options: ToolOptions,
): Promise<boolean> {
  if ((await presentManifest(release, options)) === undefined) return false;
  await tool([release.helm, 'uninstall', ...target(release), release.name, '--wait', '--timeout', '2m'], options);
  return true;
}

/** The objects of the deployed release as YAML, undefined where there is none that was deployed to its end. */
async function presentManifest(
  release: Omit<Release, 'chart' | 'values'>,
  options: ToolOptions,
): Promise<string | undefined> {
  const { say: _, ...quiet } = options;
  const status = await tryTool([release.helm, 'status', ...target(release), release.name, '-o', 'json'], quiet);
  if (status.code !== 0) {
    if (status.said.some((line) => line.includes('not found'))) return undefined;
    throw failed(`helm could not read the release ${release.name}: ${status.said.slice(-3).join(' ')}`);
  }
  const parsed = rendered.parse(JSON.parse(status.result));
  return parsed.info.status === 'deployed' ? parsed.manifest.trim() : '';
}

/** What an upgrade would deploy, rendered with the server's own version and capabilities. */
async function wantedManifest(release: Release, options: ToolOptions): Promise<string | undefined> {
  const { say: _, ...quiet } = options;
  const dry = await tryTool([...upgrade(release), '--dry-run=server', '-o', 'json'], quiet);
  // A chart that does not render is for the real upgrade to complain about.
  return dry.code === 0 ? rendered.parse(JSON.parse(dry.result)).manifest.trim() : undefined;
}

/** The upgrade itself, to be carried out or only rendered. */
const upgrade = (release: Release): readonly [string, ...string[]] => [
  release.helm,
  'upgrade',
  '--install',
  ...target(release),
  release.name,
  release.chart,
  ...sets(release),
];

function target({ kubeconfig, context }: Pick<Release, 'kubeconfig' | 'context'>): readonly string[] {
  return [
    '--namespace',
    systemNamespace,
    ...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]),
    ...(context === undefined ? [] : ['--kube-context', context]),
  ];
}

function sets({ values }: Pick<Release, 'values'>): readonly string[] {
  return Object.entries(values).flatMap(([path, value]) => ['--set-string', `${path}=${value}`]);
}
