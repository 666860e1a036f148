import { CID } from 'multiformats/cid';
import { decodeManifest, type Manifest } from '../../src/chunks/index.ts';
import { type Cluster, command } from '../../test/e2e/cluster.ts';

/** Where kind's storage class makes volumes. */
const VOLUMES = '/var/local-path-provisioner';

/** Bytes and inode of a block's file: the inode changes when it is written anew. */
interface BlockFile {
  readonly bytes: number;
  readonly inode: string;
}

/** The volume of a validator, as its machine shows it. */
export interface Volume {
  readonly validator: string;
  readonly machine: string;
  readonly folder: string;
  /** By CID. */
  readonly blocks: ReadonlyMap<string, BlockFile>;
}

/** What lay on the disks at one moment. Machines that are down show nothing. */
export interface Census {
  readonly volumes: readonly Volume[];
  /** Validators whose pods are ready, on machines that are up. */
  readonly live: ReadonlySet<string>;
}

const docker = (...args: string[]): Promise<string> => command('docker', args);

/** Runs a shell command on a machine of the cluster. */
export const onMachine = (machine: string, script: string): Promise<string> =>
  docker('exec', machine, 'sh', '-c', script);

/** Looks at every disk and every pod. */
export async function takeCensus(cluster: Cluster, machines: readonly string[]): Promise<Census> {
  const pods = cluster.list('pod', 'app.kubernetes.io/name=murmuration-validator');
  const seen = await Promise.all(machines.map((machine) => volumesOn(machine).catch(() => undefined)));
  const up = new Set(machines.filter((_, at) => seen[at] !== undefined));
  const live = (await pods).filter(({ spec, status }) => {
    const ready = status?.conditions?.find(({ type }: { type: string }) => type === 'Ready');
    return up.has(spec.nodeName) && ready?.status === 'True';
  });
  return {
    volumes: seen.flatMap((volumes) => volumes ?? []),
    live: new Set(live.map(({ metadata }) => metadata.name)),
  };
}

async function volumesOn(machine: string): Promise<readonly Volume[]> {
  const script = `find ${VOLUMES} -path '*/chunks/blocks/*' -type f -printf '%h %f %s %i\\n'`;
  const folders = new Map<string, Map<string, BlockFile>>();
  for (const line of (await onMachine(machine, script)).split('\n')) {
    const [folder = '', name = '', bytes = '', inode = ''] = line.split(' ');
    if (inode === '') continue;
    const blocks = folders.get(folder) ?? new Map<string, BlockFile>();
    folders.set(folder, blocks.set(name, { bytes: Number(bytes), inode }));
  }
  return [...folders].flatMap(([folder, blocks]) => {
    // pvc-UID_NAMESPACE_NAME-data/…/chunks/blocks
    const claim = folder.slice(VOLUMES.length + 1).split('/')[0] ?? '';
    const validator = claim.split('_')[2]?.replace(/-data$/, '');
    return validator === undefined ? [] : [{ validator, machine, folder, blocks }];
  });
}

/** The manifest of a version, from any disk. */
export async function readManifest(version: string, { volumes }: Census): Promise<Manifest> {
  const volume = volumes.find(({ blocks }) => blocks.has(version));
  if (volume === undefined) throw new Error(`no disk has the manifest of ${version}`);
  const hex = await onMachine(volume.machine, `od -An -v -tx1 ${volume.folder}/${version}`);
  return decodeManifest(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
}

/** How many live validators have each chunk, in the order of the manifest. */
export function copies(chunks: readonly string[], { volumes, live }: Census): readonly number[] {
  const counted = volumes.filter(({ validator }) => live.has(validator));
  return chunks.map((cid) => counted.filter(({ blocks }) => blocks.has(cid)).length);
}

/** Files of these chunks on live disks whose bytes do not hash to their name. */
export async function unsound(chunks: ReadonlySet<string>, { volumes, live }: Census): Promise<number> {
  const wrong = await Promise.all(
    volumes
      .filter(({ validator }) => live.has(validator))
      .map(async ({ machine, folder, blocks }) => {
        const names = [...blocks.keys()].filter((name) => chunks.has(name));
        if (names.length === 0) return 0;
        const sums = await onMachine(machine, `cd ${folder} && sha256sum ${names.join(' ')}`);
        return sums
          .trim()
          .split('\n')
          .filter((line) => {
            const [sum, name = ''] = line.split(/\s+/);
            return sum !== Buffer.from(CID.parse(name).multihash.digest).toString('hex');
          }).length;
      }),
  );
  return wrong.reduce((sum, some) => sum + some, 0);
}
