/**
 * Scheduler, kubelet and volume protection of a whole API server, in a process of its own: binds each pod, marks it
 * Running and Ready, lets deleted pods and claims go. It follows watches, so that it costs little where nothing happens.
 *
 *     node bench/operator/kubelet.ts KUBECONFIG
 *
 * A parent that forks it is told after each change how many pods run in each namespace.
 */
import { KubeConfig } from '@kubernetes/client-node';
import {
  Client,
  type Existing,
  type Feed,
  type KubeObject,
  messageOf,
  Node,
  NotFound,
  PersistentVolumeClaim,
  Pod,
  silent,
  systemClock,
  Watcher,
} from '../../src/kube/index.ts';

/** How many pods run, by namespace. */
export type Running = Readonly<Record<string, number>>;

/** All addresses of pods are loopback ones, and there are only so many: whoever speaks for validators listens on these. */
export const POD_IPS = Array.from({ length: 8 }, (_, at) => `127.0.1.${at + 1}`);

const MACHINES = 3;
const WRITERS = 24;

if (import.meta.main) await run(process.argv[2] ?? '');

async function run(kubeconfig: string): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const client = Client.from(config, { connections: WRITERS });
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.once(signal, () => stop.abort());
  for (let at = 0; at < MACHINES; at += 1) {
    await client.create(Node, { apiVersion: 'v1', kind: 'Node', metadata: { name: `machine-${at}` } }).catch(() => {});
  }

  const running: Record<string, number> = {};
  const started = new Set<string>();
  const work: (() => Promise<void>)[] = [];
  let workers = 0;
  const later = (job: () => Promise<void>): void => {
    work.push(job);
    if (workers >= WRITERS) return;
    workers += 1;
    void (async () => {
      for (let next = work.shift(); next !== undefined; next = work.shift()) {
        await next().catch((error: unknown) => {
          if (!(error instanceof NotFound) && !stop.signal.aborted) console.error('kubelet:', messageOf(error));
        });
      }
      workers -= 1;
    })();
  };

  const onPod = (pod: Existing<Pod>): void => {
    const { namespace = '', name, uid } = pod.metadata;
    const key = { namespace, name };
    if (pod.metadata.deletionTimestamp !== undefined) {
      later(async () => void (await client.delete(Pod, key, { gracePeriodSeconds: 0, uid })));
      return;
    }
    if (started.has(uid)) return;
    const index = started.size;
    started.add(uid);
    if (pod.status?.phase === 'Running') {
      running[namespace] = (running[namespace] ?? 0) + 1;
      return;
    }
    later(async () => {
      await start(client, pod, index);
      running[namespace] = (running[namespace] ?? 0) + 1;
      process.send?.(running);
    });
  };
  const onVolume = ({ metadata }: Existing<PersistentVolumeClaim>): void => {
    if (metadata.deletionTimestamp === undefined || metadata.finalizers === undefined) return;
    const key = { namespace: metadata.namespace ?? '', name: metadata.name };
    later(async () => void (await client.patch(PersistentVolumeClaim, key, { metadata: { finalizers: null } })));
  };
  const follow = <T extends KubeObject>(kind: typeof Pod, look: (object: Existing<T>) => void): Promise<void> =>
    new Watcher<T>({
      client,
      kind: kind as never,
      namespace: '',
      clock: systemClock,
      random: Math.random,
      log: silent,
      onNews: (news: Feed<T>) => {
        if (news.type === 'replaced') news.objects.forEach(look);
        else if (news.type === 'applied') look(news.object);
      },
    }).run(stop.signal);
  await Promise.all([follow<Pod>(Pod, onPod), follow<PersistentVolumeClaim>(PersistentVolumeClaim as never, onVolume)]);
  await client.close();
  process.disconnect?.();
}

/** Two requests, as of a scheduler and a kubelet. */
async function start(client: Client, pod: Existing<Pod>, index: number): Promise<void> {
  const { namespace = '', name } = pod.metadata;
  const binding = { group: '', version: 'v1', kind: 'Binding', plural: `pods/${name}/binding`, namespaced: true };
  await client.create(binding, {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name, namespace },
    target: { apiVersion: 'v1', kind: 'Node', name: `machine-${index % MACHINES}` },
  } as KubeObject);
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const podIP = POD_IPS[index % POD_IPS.length] ?? '';
  const container = (of: { readonly name: string; readonly image?: string | undefined }): object => ({
    name: of.name,
    image: of.image ?? '',
    imageID: of.image ?? '',
    ready: true,
    started: true,
    restartCount: 0,
    state: { running: { startedAt: now } },
  });
  await client.patchStatus(
    Pod,
    { namespace, name },
    {
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      startTime: now,
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }],
      initContainerStatuses: (pod.spec?.initContainers ?? []).map(container),
      containerStatuses: (pod.spec?.containers ?? []).map(container),
    },
  );
}
