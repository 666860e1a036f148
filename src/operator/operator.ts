import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { FIELD_MANAGER } from '../api/index.ts';
import {
  type Caches,
  Client,
  type Clock,
  type ClusterConfig,
  type Health,
  Manager,
  type ManagerInit,
  messageOf,
  Pod,
  sleep,
  systemClock,
} from '../kube/index.ts';
import { generateIdentity } from '../overlay/index.ts';
import { generateStakeKey } from '../trust/index.ts';
import { AuthorityKeeper } from './authority/keeper.ts';
import { fleetController } from './fleet/controller.ts';
import { forgetting } from './forgetting.ts';
import { serveHttp } from './http.ts';
import { ValidatorNode } from './kinds.ts';
import { operatorMetrics } from './metrics.ts';
import { modelController } from './model/controller.ts';
import { networkController } from './network/controller.ts';
import { type CreateOverlay, Overlays } from './network/overlays.ts';
import { FleetView } from './network/view.ts';
import { nodeController } from './node/controller.ts';
import { Charters, type Parts, PodSettings } from './parts.ts';
import type { KeyMaker } from './perform.ts';
import { reservationController } from './reservation/controller.ts';
import { shardController } from './shard/controller.ts';
import { keysOf } from './watched.ts';

/** How the operator is set: what `murmur operator` takes from its arguments. */
export interface OperatorOptions {
  readonly kubeConfig: ClusterConfig;
  /** The operator's own: its lease and the authority key are here. */
  readonly namespace: string;
  readonly podName: string;
  /** Namespaces to look after; default: all. */
  readonly watchNamespaces?: readonly string[];
  /** Take a lease, so that of several operators one writes. */
  readonly leaderElect: boolean;
  /** Image of validators whose spec names none. */
  readonly image: string;
  /** `host:port` of /metrics; `0` for nowhere. */
  readonly metricsAddress: string;
  /** `host:port` of /healthz and /readyz; `0` for nowhere. */
  readonly healthAddress: string;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Aborted to stop. */
  readonly signal: AbortSignal;
  /** Seam for tests: how the operator joins an overlay. */
  readonly createOverlay?: CreateOverlay;
  /** Seam for tests: shorter times than the {@link Manager}'s own. */
  readonly times?: Pick<
    ManagerInit,
    'watchTimeoutSeconds' | 'watchIdleMs' | 'watchBehindMs' | 'stuckMs' | 'deadMs' | 'graceMs'
  >;
}

/** An operator that has begun. */
export interface RunningOperator {
  /** `host:port` where metrics and health are served. */
  readonly metricsAddress: string | undefined;
  readonly healthAddress: string | undefined;
  readonly leading: boolean;
  /** What it believes of the cluster. */
  readonly caches: Pick<Caches, 'all'>;
  healthz(): Health;
  readyz(): Health;
  /** Resolves when it has stopped, after {@link stop} or the signal. */
  readonly stopped: Promise<void>;
  /** Idempotent. */
  stop(): Promise<void>;
}

/** The authority key is looked at again so often, so that a restored Secret is found. ms */
const AUTHORITY_EVERY_MS = 15_000;
/** While none is known, so often: the first validators wait for it. ms */
const AUTHORITY_SOON_MS = 300;

const keys: KeyMaker = {
  make: async (which) => (which === 'identity' ? (await generateIdentity()).key : generateStakeKey()),
};

/**
 * Starts the operator. Resolves once its caches are complete and it leads or competes.
 * @throws KubeError when the API server refuses what the operator needs; TypeError for a bad address
 */
export async function startOperator(options: OperatorOptions): Promise<RunningOperator> {
  const { namespace, podName, log, clock = systemClock, signal } = options;
  const metrics = operatorMetrics();
  const client = Client.from(options.kubeConfig, { clock, log, userAgent: 'murmuration-operator' });
  const manager = new Manager({
    client,
    fieldManager: FIELD_MANAGER,
    identity: `${podName}_${randomBytes(4).toString('hex')}`,
    clock,
    log,
    registry: metrics.registry,
    ...options.times,
    ...(options.leaderElect ? { election: { lease: { namespace, name: 'murmuration-operator' } } } : {}),
    ...(options.watchNamespaces === undefined ? {} : { namespaces: options.watchNamespaces }),
  });
  const view = new FleetView(clock);
  const overlays = new Overlays({
    view,
    log,
    ...(options.createOverlay === undefined ? {} : { create: options.createOverlay }),
  });
  const authority = new AuthorityKeeper({
    client: manager.client,
    namespace,
    log,
    onChange: () => {
      // Peers of the old key would not listen to the new one.
      void overlays.leaveAll().then(() => wakeAll(manager, view));
    },
    onProblem: (reason, note) => void tellAuthorityProblem(manager, namespace, podName, reason, note, log),
  });
  const parts: Parts = {
    authority,
    view,
    overlays,
    charters: new Charters(),
    metrics,
    settings: new PodSettings(options.image, () => authority.current?.peerId),
    keys,
    now: () => clock.now(),
  };
  const served = (one: string): boolean => options.watchNamespaces?.includes(one) ?? true;
  manager
    .add(fleetController(parts))
    .add(nodeController(parts))
    .add(modelController(parts))
    .add(shardController(parts))
    .add(networkController(parts))
    .add(reservationController(parts, served))
    .addTask({ name: 'overlays', run: (term) => leaveAtEnd(parts, term) })
    .addTask({ name: 'metrics', run: (term) => forgetting(manager.caches, metrics, term) });
  const readyz = (): Health => {
    const { problems } = manager.readyz();
    const all = authority.problem === undefined ? problems : [...problems, authority.problem];
    return { ok: all.length === 0, problems: all };
  };
  const http = await serveHttp(
    { registry: metrics.registry, refresh: () => tellHeard(manager, parts), healthz: () => manager.healthz(), readyz },
    { metrics: options.metricsAddress, health: options.healthAddress },
  );
  let stopping: Promise<void> | undefined;
  const ending = new AbortController();
  let keeping: Promise<void> = Promise.resolve();
  const ended = Promise.withResolvers<void>();
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      signal.removeEventListener('abort', onAbort);
      ending.abort();
      await keeping;
      await manager.stop();
      await overlays.leaveAll();
      view.stop();
      await http.close();
      await client.close();
      log.info({}, 'the operator has stopped');
      ended.resolve();
    })();
    return stopping;
  };
  const onAbort = (): void => void stop();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    if (signal.aborted) throw signal.reason;
    log.info({ namespace, image: options.image, metrics: http.metrics, health: http.health }, 'the operator starts');
    // Known before the first reconcile where it was made before; making it is the leader's.
    await authority.look(false).catch((error: unknown) => {
      log.warn({ err: messageOf(error) }, 'the authority key cannot be read yet');
    });
    await manager.start();
    keeping = keepAuthority(authority, manager, clock, log, ending.signal);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    metricsAddress: http.metrics,
    healthAddress: http.health,
    get leading() {
      return manager.leading;
    },
    caches: manager.caches,
    healthz: () => manager.healthz(),
    readyz,
    stopped: ended.promise,
    stop,
  };
}

/** Looks after the authority key until the signal is aborted; while this process leads it makes what was never made. */
async function keepAuthority(
  authority: AuthorityKeeper,
  manager: Manager,
  clock: Clock,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await authority.look(manager.leading).catch((error: unknown) => {
      log.warn({ err: messageOf(error) }, 'the authority key cannot be looked after, trying again');
    });
    const isKnown = authority.current !== undefined || authority.problem !== undefined;
    await sleep(clock, isKnown ? AUTHORITY_EVERY_MS : AUTHORITY_SOON_MS, signal).catch(() => undefined);
  }
}

/** Only the leader speaks: at the end of its term it leaves every overlay. The next one need not wait until all goodbyes are said. */
async function leaveAtEnd({ overlays, charters }: Parts, term: AbortSignal): Promise<void> {
  if (!term.aborted) {
    await new Promise<void>((resolve) => term.addEventListener('abort', () => resolve(), { once: true }));
  }
  charters.forgetAll();
  void overlays.leaveAll();
}

/** Only the leader hears validators. */
function tellHeard(manager: Manager, { view, metrics, now }: Parts): void {
  if (!manager.leading) return;
  for (const node of manager.caches.of(ValidatorNode).list()) {
    const { namespace = '', name } = node.metadata;
    const heard = view.heard(`${namespace}/${node.spec.network}`, name);
    if (heard !== undefined) metrics.observeHeard(node, heard, now());
  }
}

/** The key goes into every pod and signs every charter: all of them are looked at again. */
function wakeAll(manager: Manager, view: FleetView): void {
  for (const node of manager.caches.of(ValidatorNode).list()) {
    const [key] = keysOf([node]);
    if (key === undefined) continue;
    view.nodes.wake(key);
    view.networks.wake({ namespace: key.namespace, name: `${node.spec.network}-charter` });
  }
}

/** An event on the operator's own pod, where `kubectl describe` of a pod that is not ready shows it. */
async function tellAuthorityProblem(
  manager: Manager,
  namespace: string,
  podName: string,
  reason: string,
  note: string,
  log: Logger,
): Promise<void> {
  try {
    const pod = await manager.client.find(Pod, { namespace, name: podName });
    if (pod !== undefined) manager.events.record(pod, { type: 'Warning', reason, action: 'ReadKey', note });
  } catch (error) {
    log.debug({ err: messageOf(error) }, 'no event could be recorded on the own pod');
  }
}
