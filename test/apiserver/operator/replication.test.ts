import { afterEach, describe, expect, it } from 'vitest';
import { findCondition, MODEL_CONDITIONS } from '../../../src/api/index.ts';
import { type Clock, Event, Node, Pod, PodDisruptionBudget } from '../../../src/kube/index.ts';
import { Model, ModelShard, ValidatorNode } from '../../../src/operator/kinds.ts';
import { isPodReady } from '../../../src/operator/node/pod-state.ts';
import { LOST_MS } from '../../../src/operator/shard/candidates.ts';
import { fleet, has, model, type Stage, setStage, untilSettled } from './stage.ts';

let stage: Stage;
afterEach(() => stage.end());

const CID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const CHUNKS = 6;
/** How many times as fast as ours the operator's time passes, where a test waits for two minutes of silence. */
const HURRY = 6;

/** Time that passes faster. */
function hurried(times: number): Clock {
  const start = Date.now();
  return {
    now: () => start + (Date.now() - start) * times,
    monotonic: () => performance.now() * times,
    after: (ms, run) => {
      const timer = setTimeout(run, ms / times);
      return () => clearTimeout(timer);
    },
  };
}

const overlay = () => stage.overlays.of(`${stage.namespace}/default`);
const shard = async () => stage.get(ModelShard, 'digits-0');
const holders = async () => (await shard())?.status?.holders ?? [];
const reasonOf = async (type: string): Promise<string | undefined> => {
  const found = await shard();
  return found === undefined ? undefined : findCondition(found, type)?.reason;
};

/** Validators that run and report a version, each what it holds of it; those that are silent say nothing. */
class Flock {
  readonly held = new Map<string, number>();
  readonly silent = new Map<string, number>();
  bytes = 9640;
  readonly #uid: string;
  readonly #spoken = new Set<string>();

  constructor(uid: string) {
    this.#uid = uid;
    stage.kubelet.onRunning = ({ metadata: { name } }) => this.#report(name);
  }

  #report(name: string): void {
    if (this.silent.has(name)) return;
    this.#spoken.add(name);
    const certified = { cid: CID, age: 500, bytes: this.bytes, chunks: CHUNKS, voters: 4, at: Date.now() };
    const report = { uid: this.#uid, age: 510, loss: 0.1, accuracy: 0.96, divergence: 0.01, certified };
    const bitmap = Uint8Array.of((1 << (this.held.get(name) ?? 0)) - 1);
    overlay()?.report(name, {
      models: [report],
      held: [{ model: this.#uid, cid: CID, chunks: CHUNKS, bitmap }],
      disk: { usedBytes: 1_000_000, freeBytes: 10_000_000_000 },
    });
  }

  /** These hold so many chunks from here on; resolves when they have said so. */
  async hold(chunks: number, ...names: readonly string[]): Promise<void> {
    for (const name of names) this.held.set(name, chunks);
    this.#spoken.clear();
    await stage.until('they have reported', async () => names.every((name) => this.#spoken.has(name)));
  }

  /** From here on it says nothing. */
  hush(name: string): void {
    this.silent.set(name, performance.now());
  }
}

/** A fleet on machines of its own, whose one shard is held by all of its holders. */
async function replicated(size: number, replicas: number): Promise<Flock> {
  stage.kubelet.machine = (index) => `${stage.namespace}-${index}`;
  await stage.apply(fleet('flock', size));
  await stage.apply(model('digits', { shards: { count: 1, replicas } }));
  await untilSettled(stage, 'flock', size);
  const flock = new Flock((await stage.get(Model, 'digits'))!.metadata.uid);
  await flock.hold(CHUNKS, ...Array.from({ length: size }, (_, at) => `flock-${at}`));
  await stage.until('the model is Replicated', async () => {
    const found = await stage.get(Model, 'digits');
    return found !== undefined && has(found, MODEL_CONDITIONS.Replicated, 'True');
  });
  const named = new Set((await holders()).map(({ node }) => node));
  await flock.hold(0, ...[...flock.held.keys()].filter((name) => !named.has(name)));
  return flock;
}

/** What `kubectl get ms` shows of the shard, by column. */
async function row(): Promise<Readonly<Record<string, unknown>>> {
  const path = `/apis/murmuration.dev/v1alpha1/namespaces/${stage.namespace}/modelshards/digits-0`;
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const table: {
    readonly columnDefinitions: readonly { readonly name: string }[];
    readonly rows: readonly { readonly cells: readonly unknown[] }[];
  } = (await stage.api.call('GET', path, undefined, undefined, accept)).body;
  return Object.fromEntries(table.columnDefinitions.map(({ name }, at) => [name, table.rows[0]?.cells[at]]));
}

describe('a holder that falls silent', () => {
  // Time goes six times as fast here, and other tests run beside this one: a machine that stands still for a second can
  // make all fall silent.
  it('is replaced within five seconds of its loss being known, and the repair is told of and counted', {
    timeout: 120_000,
    retry: 2,
  }, async () => {
    stage = await setStage({ clock: hurried(HURRY) });
    const flock = await replicated(4, 3);
    const before = (await holders()).map(({ node }) => node);
    const [lost = ''] = before;
    const next = [...flock.held.keys()].find((name) => !before.includes(name)) ?? '';
    const peer = (await stage.get(ValidatorNode, next))?.status?.peerId ?? '';
    flock.hush(lost);
    await stage.until('it is Stale', async () => (await holders()).some(({ state }) => state === 'Stale'));
    expect(overlay()?.charter?.placements[0]?.holders).not.toContain(peer);
    await stage.until('the charter names another one', async () =>
      overlay()?.charter?.placements[0]?.holders.includes(peer),
    );
    const late = (performance.now() - (flock.silent.get(lost) ?? 0)) * HURRY - LOST_MS;
    expect(late).toBeLessThan(5_000);
    await stage.until('the shard says Repairing', async () => (await reasonOf('FullyReplicated')) === 'Repairing');
    expect((await shard())?.status?.repair?.lost).toEqual([lost]);
    expect(Object.fromEntries((await holders()).map(({ node, state }) => [node, state]))).toMatchObject({
      [lost]: 'Lost',
      [next]: 'Assigned',
    });
    await flock.hold(2, next);
    await stage.until('kubectl get shows how far it has come', async () => (await row()).Copied === '14/18');
    await flock.hold(CHUNKS, next);
    await stage.until('it is whole again', async () => {
      const found = await shard();
      return found?.status?.availableReplicas === 3 && found.status.repair === undefined;
    });
    expect((await holders()).map(({ node }) => node)).not.toContain(lost);
    expect(await row()).toMatchObject({ Ready: 'yes', Available: 3, Copied: '18/18' });
    const text = await (await fetch(`http://${stage.operator.metricsAddress}/metrics`)).text();
    for (const phase of ['begun', 'done']) {
      expect(text).toContain(`murmuration_shard_repairs_total{namespace="${stage.namespace}",phase="${phase}"} 1`);
    }
    const { items } = await stage.client.list(Event, { namespace: stage.namespace });
    expect(items.map(({ reason }) => reason)).toEqual(expect.arrayContaining(['Repairing', 'Repaired']));
  });
});

/** What the eviction API answers for a validator's pod, once the budget's pods were counted as the disruption controller does. */
async function eviction(pod: string): Promise<number> {
  const { metadata, spec } = (await stage.get(PodDisruptionBudget, 'flock'))!;
  const pods = await stage.client.list(Pod, {
    namespace: stage.namespace,
    selector: { labels: spec?.selector?.matchLabels ?? {} },
  });
  const currentHealthy = pods.items.filter(isPodReady).length;
  const desiredHealthy = Number(spec?.minAvailable);
  const counted = {
    observedGeneration: metadata.generation,
    ...{ currentHealthy, desiredHealthy, expectedPods: pods.items.length },
    disruptionsAllowed: Math.max(0, currentHealthy - desiredHealthy),
  };
  await stage.client.patchStatus(PodDisruptionBudget, stage.key('flock'), counted);
  const path = `/api/v1/namespaces/${stage.namespace}/pods/${pod}/eviction?dryRun=All`;
  const asked = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name: pod } };
  return (await stage.api.call('POST', path, asked)).code;
}

describe('a machine that is cordoned', () => {
  it('hands its shards on, copy first, while the budget keeps its validators where they are', async () => {
    stage = await setStage();
    const flock = await replicated(3, 1);
    const budget = async () => (await stage.get(PodDisruptionBudget, 'flock'))?.spec;
    expect(await budget()).toMatchObject({ minAvailable: 3, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
    const [{ node: first = '' } = {}] = await holders();
    const machine = (await stage.get(Pod, first))?.spec?.nodeName ?? '';
    await stage.client.patch(Node, { namespace: '', name: machine }, { spec: { unschedulable: true } });
    const next = await stage.until('another one is assigned', async () => {
      const now = await holders();
      return now.find(({ node }) => node === first)?.state === 'Draining' && now.find(({ node }) => node !== first);
    });
    expect((await holders()).find(({ node }) => node === first)).toMatchObject({ machine, chunks: CHUNKS });
    expect(await eviction(first)).toBe(429);
    await flock.hold(CHUNKS, next.node);
    await stage.until('the other one holds it alone', async () => {
      const now = await holders();
      return now.length === 1 && now[0]?.node === next.node && now[0].state === 'Verified';
    });
    await stage.until('an eviction is allowed', async () => (await budget())?.minAvailable === 2);
    expect(await eviction(first)).toBe(201);
    await stage.client.patch(Node, { namespace: '', name: machine }, { spec: { unschedulable: null } });
    await stage.until('none is allowed again', async () => (await budget())?.minAvailable === 3);
    expect(await eviction(first)).toBe(429);
  });
});

describe('a version that is too large for the volumes', () => {
  it('is placed nowhere, says what to do, and is placed when there is room', async () => {
    stage = await setStage();
    await stage.apply(fleet('flock', 2, { storage: { size: '128Mi' } }));
    await stage.apply(model('digits', { shards: { count: 1, replicas: 2 } }));
    await untilSettled(stage, 'flock', 2);
    const flock = new Flock((await stage.get(Model, 'digits'))!.metadata.uid);
    flock.bytes = 100 * 2 ** 20;
    await stage.until('the shard says CapacityExceeded', async () => (await reasonOf('Ready')) === 'CapacityExceeded');
    const full = await shard();
    expect(full?.status?.holders).toEqual([]);
    expect(findCondition(full!, 'Stalled')).toMatchObject({
      status: 'True',
      message: expect.stringMatching(/^A replica takes 300 MiB .* Enlarge storage\.size, add validators/),
    });
    await stage.until(
      'the charter places it on nobody',
      async () => overlay()?.charter?.placements[0]?.holders.length === 0,
    );
    await stage.apply(fleet('flock', 2, { storage: { size: '1Gi' } }));
    await stage.until('it is placed', async () => (await holders()).length === 2);
  });
});
