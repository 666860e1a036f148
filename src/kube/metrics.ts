import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { RequestMeter } from './exchange.ts';
import type { QueueMeter } from './queue.ts';

/** The outcome of one reconcile, in controller-runtime's words. */
export type Outcome = 'success' | 'error' | 'requeue_after';

/** What one controller counts. */
export interface ControllerMeter {
  readonly queue: QueueMeter;
  reconciled(outcome: Outcome, seconds: number): void;
  timedOut(): void;
  active(workers: number): void;
}

/**
 * The runtime's metrics, under the names and labels of Go's controller-runtime and client-go, so that dashboards and alerts
 * written for those work. What they have no name for begins with `kube_runtime_`.
 */
export interface RuntimeMetrics {
  readonly requests: RequestMeter;
  controller(
    name: string,
    concurrency: number,
    unfinished: () => { readonly longest: number; readonly total: number },
  ): ControllerMeter;
  leading(lease: string, is: boolean): void;
  watchRestarted(kind: string, why: 'list' | 'resume'): void;
  /** Read at each scrape. */
  storeSizes(read: () => ReadonlyMap<string, number>): void;
}

/** From the buckets of controller-runtime: 5 ms (a reconcile from the cache) to a minute (its time limit). */
const reconcileBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60,
];
/** client-go's workqueue: decades from 10 ns to 1000 s; below 100 us nothing of interest happens in Node. */
const queueBuckets = [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 10, 100, 1000];

/** Registers all of it. Once a registry. */
export function runtimeMetrics(registry: Registry): RuntimeMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'rest_client_requests_total',
    help: 'HTTP requests to the API server, by status code, method and host. <error>: no answer came.',
    labelNames: ['code', 'method', 'host'],
    registers,
  });
  const requestSeconds = new Histogram({
    name: 'rest_client_request_duration_seconds',
    help: 'Time until the API server answered a request (a watch: until it was accepted).',
    labelNames: ['verb', 'host'],
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60],
    registers,
  });
  const reconciles = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciles by controller and result (success, error, requeue_after).',
    labelNames: ['controller', 'result'],
    registers,
  });
  const errors = new Counter({
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Reconciles that threw, by controller.',
    labelNames: ['controller'],
    registers,
  });
  const timeouts = new Counter({
    name: 'controller_runtime_reconcile_timeouts_total',
    help: 'Reconciles that ran into their time limit, by controller.',
    labelNames: ['controller'],
    registers,
  });
  const seconds = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Length of a reconcile, by controller.',
    labelNames: ['controller'],
    buckets: reconcileBuckets,
    registers,
  });
  const active = new Gauge({
    name: 'controller_runtime_active_workers',
    help: 'Reconciles that run now, by controller.',
    labelNames: ['controller'],
    registers,
  });
  const most = new Gauge({
    name: 'controller_runtime_max_concurrent_reconciles',
    help: 'Reconciles that may run at once, by controller.',
    labelNames: ['controller'],
    registers,
  });
  const depth = new Gauge({
    name: 'workqueue_depth',
    help: 'Keys ready to be worked on, by queue and priority.',
    labelNames: ['name', 'controller', 'priority'],
    registers,
  });
  const adds = new Counter({
    name: 'workqueue_adds_total',
    help: 'Keys put into the queue (duplicates of a waiting key do not count).',
    labelNames: ['name', 'controller'],
    registers,
  });
  const retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'Keys put back after a failure.',
    labelNames: ['name', 'controller'],
    registers,
  });
  const waited = new Histogram({
    name: 'workqueue_queue_duration_seconds',
    help: 'Time a ready key waited for a worker.',
    labelNames: ['name', 'controller'],
    buckets: queueBuckets,
    registers,
  });
  const worked = new Histogram({
    name: 'workqueue_work_duration_seconds',
    help: 'Time a worker held a key.',
    labelNames: ['name', 'controller'],
    buckets: queueBuckets,
    registers,
  });
  const queues = new Map<string, () => { readonly longest: number; readonly total: number }>();
  new Gauge({
    name: 'workqueue_unfinished_work_seconds',
    help: 'Sum of the time spent so far on keys not done. Growth means stuck workers.',
    labelNames: ['name', 'controller'],
    registers,
    collect() {
      for (const [name, read] of queues) this.set({ name, controller: name }, read().total);
    },
  });
  new Gauge({
    name: 'workqueue_longest_running_processor_seconds',
    help: 'Time spent so far on the key that has been worked on longest.',
    labelNames: ['name', 'controller'],
    registers,
    collect() {
      for (const [name, read] of queues) this.set({ name, controller: name }, read().longest);
    },
  });
  const leader = new Gauge({
    name: 'leader_election_master_status',
    help: '1 while this process holds the lease, else 0.',
    labelNames: ['name'],
    registers,
  });
  const restarts = new Counter({
    name: 'kube_runtime_watch_restarts_total',
    help: 'Watches opened, by kind: resume (from the last version) or list (from nothing).',
    labelNames: ['kind', 'why'],
    registers,
  });
  const readers = new Set<() => ReadonlyMap<string, number>>();
  new Gauge({
    name: 'kube_runtime_store_objects',
    help: 'Objects in the cache, by kind.',
    labelNames: ['kind'],
    registers,
    collect() {
      this.reset();
      for (const read of readers) for (const [kind, size] of read()) this.inc({ kind }, size);
    },
  });

  return {
    requests: {
      answered(request) {
        requests.inc({ code: request.code, method: request.method, host: request.host });
        requestSeconds.observe({ verb: request.method, host: request.host }, request.seconds);
      },
    },
    controller(name, concurrency, unfinished) {
      const labels = { name, controller: name };
      most.set({ controller: name }, concurrency);
      active.set({ controller: name }, 0);
      queues.set(name, unfinished);
      for (const result of ['success', 'error', 'requeue_after']) reconciles.inc({ controller: name, result }, 0);
      errors.inc({ controller: name }, 0);
      return {
        queue: {
          added: () => adds.inc(labels),
          retried: () => retries.inc(labels),
          depth: (priority, keys) => depth.set({ ...labels, priority }, keys),
          waited: (time) => waited.observe(labels, time),
          worked: (time) => worked.observe(labels, time),
        },
        reconciled(outcome, time) {
          reconciles.inc({ controller: name, result: outcome });
          if (outcome === 'error') errors.inc({ controller: name });
          seconds.observe({ controller: name }, time);
        },
        timedOut: () => timeouts.inc({ controller: name }),
        active: (workers) => active.set({ controller: name }, workers),
      };
    },
    leading: (lease, is) => leader.set({ name: lease }, is ? 1 : 0),
    watchRestarted: (kind, why) => restarts.inc({ kind, why }),
    storeSizes: (read) => void readers.add(read),
  };
}
