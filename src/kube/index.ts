/**
 * A controller runtime for TypeScript: client, watch, store, queue, controller, server-side apply, leader election, events.
 * It knows Kubernetes and nothing else; it imports nothing of ours. From `@kubernetes/client-node` come KubeConfig (who we
 * are, whom we trust) and object types. Everything outside imports from this file only.
 *
 * Guarantees
 * - Level, not edge: a reconcile gets a key and reads the world from the stores. After quiet, every object has been
 *   reconciled in its last state: changes may be merged, none is lost (Watcher, Store, WorkQueue).
 * - One key is never reconciled twice at once within a process, and by one process at a time (Elector + fence).
 * - Read your writes: what a write returned is in the stores when the call returns, and stays until the watch shows it or
 *   something newer (Store.learn).
 * - Stores never go back in time because a server lags behind (a fail-over to another API server, a stale cache): older
 *   lists are refused for a minute, events seen are not handed on again. A server whose data were set back for good (a
 *   restored backup) is followed after that minute (Watcher).
 * - What a store shows is changed only while it is still so: an old picture brings back nothing that is gone and undoes
 *   nothing that is newer (apply, setStatus; delete by uid).
 * - Writes that would change nothing are not sent (apply, setStatus).
 * - Every call has a deadline and a signal; every read has a limit.
 *
 * Assumes
 * - A list without a resourceVersion is the newest state, as Kubernetes promises: it is the first thing that a process knows.
 * - resourceVersions of one kind are ordered numbers (Kubernetes guarantees it since 1.35; all etcd-backed servers do).
 * - Kubernetes 1.27 or later (watch-list is used where served; an older server ignores the parameter and never ends the list).
 * - Clocks of the candidates of an election run at about the same rate.
 *
 * Caveats
 * - Objects in stores are shared: the types are readonly, the objects are not frozen.
 * - A write that ended in a timeout or a broken connection may have happened; reconcile again and look.
 * - A fenced write sent just before the deadline may arrive up to `leaseMs - renewMs` later without harm. Later than that
 *   only where a partition held back what TCP had already taken; it then meets the optimistic lock of what it changes.
 */
export { Applier, type ApplyChildOptions, ApplyMemory, KindTable, shapeOf } from './apply.ts';
export { Caches, type Stores, type WatchDeclaration } from './cache.ts';
export type {
  ApplyOptions,
  CallOptions,
  DeleteOptions,
  ListOptions,
  Page,
  PatchOptions,
  RawWatchEvent,
  WatchOptions,
  Written,
} from './calls.ts';
export { Client, type ClientInit } from './client.ts';
export { type ClusterConfig, InCluster, SERVICE_ACCOUNT } from './cluster-config.ts';
export {
  Controller,
  type ControllerOptions,
  type OnError,
  type Reconcile,
  type ReconcileContext,
  type ReconcileResult,
  type Source,
  Wakeups,
} from './controller.ts';
export { deepEqual, difference, mergePatchOf } from './difference.ts';
export { Elector, type ElectorInit } from './elector.ts';
export * from './errors.ts';
export { type EventNote, type EventRecorder, EventSeriesRecorder, microTime } from './events.ts';
export type { RequestMeter } from './exchange.ts';
export { type Fence, LeaseFence, open } from './fence.ts';
export type { IndexFunction } from './indexes.ts';
export * from './kinds.ts';
export { type Log, silent } from './log.ts';
export { type ElectionOptions, type Health, type LeaderTask, Manager, type ManagerInit } from './manager.ts';
export { type RuntimeMetrics, runtimeMetrics } from './metrics.ts';
export {
  compareVersions,
  controllerOf,
  type Existing,
  type KubeObject,
  keyOf,
  keyText,
  type ObjectKey,
  type ObjectMeta,
  type OwnerReference,
  ownerReference,
  parseKey,
  type Selector,
  selects,
} from './objects.ts';
export { nanos, sameQuantity } from './quantity.ts';
export { type AddOptions, type Priority, WorkQueue } from './queue.ts';
export { type Change, type Feed, type ReadStore, Store, type StoreInit } from './store.ts';
export { type Clock, type Random, sleep, systemClock } from './time.ts';
export { HttpTransport, type Transport, type TransportAnswer, type TransportRequest } from './transport.ts';
export { Watcher, type WatcherState } from './watcher.ts';
