import {
  type Client,
  Conflict,
  ConnectionFailed,
  Node,
  NotFound,
  PersistentVolumeClaim,
  Pod,
} from '../../../src/kube/index.ts';

/** What becomes of a pod: it runs, or its image cannot be pulled, or it waits. */
export type Fate = 'runs' | 'cannot-pull' | 'waits';

/**
 * Scheduler, kubelet, garbage collector and volume protection of one namespace, as far as pods of validators need them:
 * binds pods, marks them running or failing, and lets deleted ones go.
 */
export class FakeKubelet {
  /** Decides by the pod; may be changed while it runs. */
  fate: (pod: Pod) => Fate = () => 'runs';
  /** Address of the n-th pod. */
  podIP: (index: number) => string = (index) => `10.9.0.${index + 1}`;
  /** Machine of the n-th pod. */
  machine: (index: number) => string = (index) => `machine-${index % 3}`;
  /** Called for each pod that runs, each time round. */
  onRunning: (pod: Pod) => void = () => undefined;
  /** Deleted pods stay, as on a lost machine. */
  lost = false;
  readonly #client: Client;
  readonly #namespace: string;
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  /** When each pod was first seen ready, in order; a pod made anew under its name is listed again. */
  readonly started: string[] = [];

  constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
    this.#ended = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#round().catch((error: unknown) => {
        // Without an API server it waits, as a kubelet does.
        if (this.#stop.signal.aborted || error instanceof ConnectionFailed) return;
        console.error('fake kubelet:', error);
      });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async #round(): Promise<void> {
    const namespace = this.#namespace;
    const [pods, volumes] = await Promise.all([
      this.#client.list(Pod, { namespace }),
      this.#client.list(PersistentVolumeClaim, { namespace }),
    ]);
    for (const [index, pod] of pods.items.entries()) await this.#look(pod, index).catch(ignoreGone);
    for (const { metadata } of volumes.items) {
      if (metadata.deletionTimestamp === undefined || metadata.finalizers === undefined) continue;
      await this.#client
        .patch(PersistentVolumeClaim, { namespace, name: metadata.name }, { metadata: { finalizers: null } })
        .catch(ignoreGone);
    }
  }

  async #look(pod: Awaited<ReturnType<Client['get']>> & Pod, index: number): Promise<void> {
    const key = { namespace: this.#namespace, name: pod.metadata.name };
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (!this.lost) await this.#client.delete(Pod, key, { gracePeriodSeconds: 0, uid: pod.metadata.uid });
      return;
    }
    const fate = this.fate(pod);
    const names = ['signer', 'validator'];
    const image = pod.spec?.containers[0]?.image ?? '';
    if (fate === 'cannot-pull') {
      if (pod.status?.containerStatuses?.[0]?.state?.waiting !== undefined) return;
      const waiting = { reason: 'ImagePullBackOff', message: `Back-off pulling image "${image}"` };
      await this.#client.patchStatus(Pod, key, {
        phase: 'Pending',
        containerStatuses: [
          { name: 'validator', image, imageID: '', ready: false, restartCount: 0, state: { waiting } },
        ],
      });
      return;
    }
    if (fate === 'waits') return;
    if (pod.status?.phase === 'Running') {
      this.onRunning(pod);
      return;
    }
    if (pod.spec?.nodeName === undefined) {
      await this.#bind(key.name, this.machine(index));
      return;
    }
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    await this.#client.patchStatus(Pod, key, {
      phase: 'Running',
      podIP: this.podIP(index),
      podIPs: [{ ip: this.podIP(index) }],
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: now }],
      containerStatuses: names.slice(1).map((name) => ({
        name,
        image,
        imageID: image,
        ready: true,
        restartCount: 0,
        state: { running: { startedAt: now } },
      })),
    });
    this.started.push(key.name);
  }

  async #bind(pod: string, machine: string): Promise<void> {
    const namespace = this.#namespace;
    await this.#client
      .create(Node, { apiVersion: 'v1', kind: 'Node', metadata: { name: machine } })
      .catch(() => undefined);
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: pod, namespace },
      target: { apiVersion: 'v1', kind: 'Node', name: machine },
    };
    const kind = { group: '', version: 'v1', kind: 'Binding', plural: `pods/${pod}/binding`, namespaced: true };
    await this.#client.create(kind, binding).catch(ignoreGone);
  }
}

/** It was looked at a moment ago, and is gone, or bound, or another one by now. */
function ignoreGone(error: unknown): void {
  if (!(error instanceof NotFound || error instanceof Conflict)) throw error;
}
