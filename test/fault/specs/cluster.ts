import { reservationName } from '../../../src/api/index.ts';
import { KEY_FILE } from '../../../src/operator/node/children/key-secret.ts';
import { generateIdentity } from '../../../src/overlay/index.ts';
import { generateStakeKey } from '../../../src/trust/index.ts';
import type { TestApi } from '../../apiserver/harness.ts';
import { BROUGHT } from './samples.ts';

/** What cluster.ts reads of an object; the API server's answers are as wide as Kubernetes. */
// biome-ignore lint/suspicious/noExplicitAny: objects of every kind
export type Any = any;

const ROUND_MS = 150;
/** What one machine has. */
const CORES = 64;
const GIB = 256;
const CLASSES = [
  {
    name: 'standard',
    allowVolumeExpansion: true,
    annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
  },
  { name: BROUGHT.fixedClass, allowVolumeExpansion: false, annotations: {} },
] as const;

/**
 * What a cluster does besides the kubelet, in one namespace: volumes are bound and grown, the scheduler says why a pod
 * fits nowhere, and what has lost its owner is collected.
 */
export class FakeCluster {
  readonly #api: TestApi;
  readonly #namespace: string;
  readonly #stop = new AbortController();
  #ended: Promise<void> = Promise.resolve();
  /** uids of pods for which there is no machine. */
  readonly #homeless = new Set<string>();

  constructor(api: TestApi, namespace: string) {
    this.#api = api;
    this.#namespace = namespace;
  }

  /** Brings what people have brought: classes of storage, keys, data. */
  async start(): Promise<this> {
    const namespaced = `/api/v1/namespaces/${this.#namespace}`;
    for (const { name, annotations, allowVolumeExpansion } of CLASSES) {
      const storageClass = { metadata: { name, annotations }, provisioner: 'example.com/disk', allowVolumeExpansion };
      await this.#api.call('POST', '/apis/storage.k8s.io/v1/storageclasses', storageClass);
    }
    const secret = (name: string, data: Record<string, Uint8Array>): Promise<unknown> =>
      this.#api.call('POST', `${namespaced}/secrets`, {
        metadata: { name },
        data: Object.fromEntries(
          Object.entries(data).map(([key, bytes]) => [key, Buffer.from(bytes).toString('base64')]),
        ),
      });
    for (const name of BROUGHT.stakeKeys) await secret(name, { [KEY_FILE.stake]: generateStakeKey() });
    await secret(BROUGHT.identity, { [KEY_FILE.identity]: (await generateIdentity()).key });
    await secret(BROUGHT.shapeless, { other: Buffer.from('x') });
    await secret(BROUGHT.garbled, {
      [KEY_FILE.stake]: Buffer.from('short'),
      [KEY_FILE.identity]: Buffer.from('short'),
    });
    await this.#api.call('POST', `${namespaced}/configmaps`, {
      metadata: { name: BROUGHT.configMap },
      data: { 'data.csv': '1,0\n' },
    });
    await this.#api.call('POST', `${namespaced}/persistentvolumeclaims`, {
      metadata: { name: BROUGHT.claim },
      spec: { accessModes: ['ReadOnlyMany'], resources: { requests: { storage: '1Gi' } } },
    });
    this.#ended = this.#run();
    return this;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  /** Whether the scheduler has no machine for the pod. */
  isHomeless(pod: Any): boolean {
    return this.#homeless.has(pod.metadata.uid) || this.#misfit(pod, this.#volumes) !== undefined;
  }

  #volumes: readonly Any[] = [];

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#round().catch((error: unknown) => {
        if (!this.#stop.signal.aborted) console.error('fake cluster:', error);
      });
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    }
  }

  async #round(): Promise<void> {
    const list = async (path: string): Promise<readonly Any[]> => (await this.#api.call('GET', path)).body.items ?? [];
    const core = `/api/v1/namespaces/${this.#namespace}`;
    const ours = `/apis/murmuration.dev/v1alpha1/namespaces/${this.#namespace}`;
    const [volumes, pods, services, nodes, fleets, models, shards] = await Promise.all([
      list(`${core}/persistentvolumeclaims`),
      list(`${core}/pods`),
      list(`${core}/services`),
      list(`${ours}/validatornodes`),
      list(`${ours}/validatorfleets`),
      list(`${ours}/models`),
      list(`${ours}/modelshards`),
    ]);
    this.#volumes = volumes;
    for (const volume of volumes) await this.#provide(volume, `${core}/persistentvolumeclaims`);
    for (const pod of pods) await this.#schedule(pod, `${core}/pods`);
    const owners = new Set([...nodes, ...fleets, ...models].map(({ metadata }) => metadata.uid));
    const collect = async (objects: readonly Any[], path: string): Promise<void> => {
      for (const { metadata } of objects) {
        const references: readonly Any[] = metadata.ownerReferences ?? [];
        if (references.length === 0 || metadata.deletionTimestamp !== undefined) continue;
        if (references.some(({ uid }) => owners.has(uid))) continue;
        // Lists were read side by side: what owns it may have come since.
        const [{ kind, name, uid }] = references as readonly [Any];
        const owner = await this.#api.call('GET', `${ours}/${kind.toLowerCase()}s/${name}`);
        if (owner.body?.metadata?.uid === uid) continue;
        await this.#api.call('DELETE', `${path}/${metadata.name}`, { preconditions: { uid: metadata.uid } });
      }
    };
    await collect(nodes, `${ours}/validatornodes`);
    await collect(shards, `${ours}/modelshards`);
    await collect(pods, `${core}/pods`);
    await collect(services, `${core}/services`);
  }

  async #provide(volume: Any, path: string): Promise<void> {
    const { metadata, spec, status } = volume;
    if (metadata.deletionTimestamp !== undefined) return;
    if (!CLASSES.some(({ name }) => name === spec.storageClassName)) return;
    const at = `${path}/${metadata.name}`;
    const merge = 'application/merge-patch+json';
    if (spec.volumeName === undefined) {
      await this.#api.call('PATCH', at, { spec: { volumeName: `pv-${metadata.uid}` } }, merge);
    }
    const capacity = { storage: spec.resources.requests.storage };
    if (status?.phase !== 'Bound' || status.capacity?.storage !== capacity.storage) {
      await this.#api.call('PATCH', `${at}/status`, { status: { phase: 'Bound', capacity } }, merge);
    }
  }

  async #schedule(pod: Any, path: string): Promise<void> {
    const { metadata, spec, status } = pod;
    if (metadata.deletionTimestamp !== undefined || spec.nodeName !== undefined) return;
    const message = this.#misfit(pod, this.#volumes);
    if (message === undefined) {
      this.#homeless.delete(metadata.uid);
      return;
    }
    this.#homeless.add(metadata.uid);
    const said = status?.conditions?.find(({ type }: Any) => type === 'PodScheduled');
    if (said?.message === message) return;
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }];
    const body = { status: { phase: 'Pending', conditions } };
    await this.#api.call('PATCH', `${path}/${metadata.name}/status`, body, 'application/merge-patch+json');
  }

  /** In the scheduler's words, why the pod fits nowhere. */
  #misfit({ spec }: Any, volumes: readonly Any[]): string | undefined {
    for (const { persistentVolumeClaim: claim } of spec.volumes ?? []) {
      if (claim === undefined) continue;
      const volume = volumes.find(({ metadata }) => metadata.name === claim.claimName);
      if (volume === undefined) return `persistentvolumeclaim "${claim.claimName}" not found`;
      if (volume.status?.phase !== 'Bound')
        return '0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.';
    }
    if (Object.keys(spec.nodeSelector ?? {}).length > 0 || spec.affinity?.nodeAffinity !== undefined) {
      return "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.";
    }
    if (spec.resourceClaims !== undefined)
      return '0/3 nodes are available: 3 cannot allocate all claims (resourceclaim).';
    for (const container of spec.containers) {
      for (const [name, amount] of Object.entries<string>(container.resources?.requests ?? {})) {
        if (name.includes('/')) return `0/3 nodes are available: 3 Insufficient ${name}.`;
        if (name === 'cpu' && cores(amount) > CORES) return '0/3 nodes are available: 3 Insufficient cpu.';
        if (name === 'memory' && gibibytes(amount) > GIB) return '0/3 nodes are available: 3 Insufficient memory.';
      }
    }
    return undefined;
  }
}

const cores = (amount: string): number =>
  amount.endsWith('m') ? Number.parseFloat(amount) / 1000 : Number.parseFloat(amount);
const gibibytes = (amount: string): number =>
  /[GTPE]i?$/.test(amount) ? Number.parseFloat(amount) * (amount.includes('G') ? 1 : 1024) : 0;

/** Name of a StakeKeyReservation as a person would have to write it. */
export const reservationOf = (publicKey: unknown): string =>
  reservationName(typeof publicKey === 'string' && /^[0-9a-f]*$/.test(publicKey) ? publicKey : '00');
