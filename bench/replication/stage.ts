import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster, command, condition, eventually, type KubeObject } from '../../test/e2e/cluster.ts';
import { type Census, copies, readManifest, takeCensus, unsound } from './census.ts';
import { BUSY_MILLISECONDS, CALM_MILLISECONDS, MODEL, manifest, REPLICAS } from './fleet.ts';

const NAME = 'murmuration-replication';
/** Seconds that anything may take before it counts as failed. */
export const WITHIN = 1_800;
const root = join(import.meta.dirname, '..', '..');

/** A certified version and its chunks. */
export interface Version {
  readonly cid: string;
  readonly age: number;
  readonly chunks: readonly string[];
  readonly bytes: number;
}

/** A kind cluster of two workers, with a fleet that has certified a version and learns no more. */
export class Stage {
  readonly cluster: Cluster;
  readonly validators: number;
  /** Machines that validators run on: names of their containers. */
  readonly machines: readonly string[];
  readonly #tell: (line: string) => void;

  private constructor(cluster: Cluster, validators: number, machines: readonly string[], tell: (line: string) => void) {
    this.cluster = cluster;
    this.validators = validators;
    this.machines = machines;
    this.#tell = tell;
  }

  /** Makes all of it, or finds what the last run with KEEP=1 left. */
  static async make(mib: number, validators: number, tell: (line: string) => void): Promise<Stage> {
    const file = join(tmpdir(), `${NAME}.yaml`);
    const documents = manifest(mib, validators).map((one) => JSON.stringify(one));
    await writeFile(file, documents.join('\n---\n'));
    await command('npx', ['tsc', '-p', 'tsconfig.build.json']);
    tell('making the cluster and the fleet');
    const up = ['dist/cli/main.js', 'up', '--name', NAME, '--manifest', file, '--timeout', '20m'];
    await command(process.execPath, up);
    const kubeconfig = (await command('bash', ['tools/cluster.sh', 'create', NAME])).trim();
    const cluster = new Cluster(kubeconfig);
    const machines = (await cluster.list('node'))
      .filter(({ metadata }) => metadata.labels?.['node-role.kubernetes.io/control-plane'] === undefined)
      .map(({ metadata }) => metadata.name);
    const stage = new Stage(cluster, validators, machines, tell);
    await stage.#certify(0);
    await stage.whole(REPLICAS, WITHIN);
    return stage;
  }

  async remove(): Promise<void> {
    await command(process.execPath, [join(root, 'dist/cli/main.js'), 'down', '--name', NAME]);
  }

  async #certified(): Promise<{ readonly cid: string; readonly age: number } | undefined> {
    return (await this.cluster.get('mdl', MODEL))?.status?.version;
  }

  /** Whether validators go on learning, and certify further versions. */
  async #learn(isWanted: boolean): Promise<void> {
    const waitMilliseconds = isWanted ? BUSY_MILLISECONDS : CALM_MILLISECONDS;
    await this.patch('mdl', MODEL, { spec: { learning: { waitMilliseconds } } });
  }

  async patch(kind: string, name: string, change: object): Promise<void> {
    await this.cluster.kubectl('patch', kind, name, '--type=merge', '-p', JSON.stringify(change));
  }

  census(): Promise<Census> {
    return takeCensus(this.cluster, this.machines);
  }

  /** The version that the operator calls the newest certified one. */
  async version(): Promise<Version> {
    const certified = await this.#certified();
    if (certified === undefined) throw new Error('no version is certified');
    const { chunks, bytes } = await readManifest(certified.cid, await this.census());
    return { ...certified, chunks: [...new Set(chunks.map(String))], bytes };
  }

  /** Waits for the next version to be certified, and for learning to stop. */
  async nextVersion(after: Version): Promise<Version> {
    await this.#learn(true);
    await this.#certify(after.age);
    return this.version();
  }

  /**
   * Lets validators learn until all are older than `age`, then no more, so that they can agree on one version; and waits for it.
   */
  async #certify(age: number): Promise<void> {
    this.#tell(`waiting until all are older than ${age} updates`);
    const older = async (): Promise<boolean> => {
      const nodes = await this.cluster.list('vn');
      return nodes.length > 0 && nodes.every(({ status }) => (status?.updates ?? 0) > age);
    };
    await eventually('every validator to learn', WITHIN, older, 2);
    await this.#learn(false);
    this.#tell('waiting for a version to be certified');
    await eventually('a version to be certified', WITHIN, async () => ((await this.#certified())?.age ?? 0) > age, 2);
  }

  pod(validator: string): Promise<KubeObject | undefined> {
    return this.cluster.get('pod', validator);
  }

  /** Until all validators are ready. @param within seconds */
  async allReady(within: number): Promise<void> {
    await eventually(`${this.validators} validators to be ready`, within, async () => {
      const nodes = await this.cluster.list('vn');
      return nodes.length === this.validators && nodes.every((node) => condition(node, 'Ready').status === 'True');
    });
  }

  /**
   * Until every chunk of the newest version has so many live copies, each of them sound, and the operator says so too.
   * @param within seconds
   */
  async whole(replicas: number, within: number): Promise<Version> {
    let [said, least] = ['nothing yet', 0];
    return eventually(
      `${replicas} live copies of every chunk`,
      within,
      async () => {
        const [version, census, shards] = await Promise.all([this.version(), this.census(), this.cluster.list('ms')]);
        least = Math.min(...copies(version.chunks, census));
        const available = shards.map(({ status }) => status?.availableReplicas ?? 0);
        const now = `at least ${least} copies on disks, shards ${available.join(' ')} of ${replicas}`;
        if (now !== said) this.#tell(`  ${now}`);
        said = now;
        const isRight = shards.every(
          ({ status }, at) =>
            (available[at] ?? 0) >= replicas && status.versionCid === version.cid && status.repair === undefined,
        );
        if (!isRight || least < replicas) return undefined;
        return (await unsound(new Set(version.chunks), census)) === 0 ? version : undefined;
      },
      2,
    );
  }
}
