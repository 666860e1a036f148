import { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { FLEET_CONDITIONS, findCondition } from '../../../src/api/index.ts';
import {
  Client,
  type Existing,
  type Kind,
  type KubeObject,
  type ObjectKey,
  Pod,
  type Written,
} from '../../../src/kube/index.ts';
import { ValidatorFleet, ValidatorNode } from '../../../src/operator/kinds.ts';
import { type OperatorOptions, type RunningOperator, startOperator } from '../../../src/operator/operator.ts';
import { apiServer, type TestApi } from '../harness.ts';
import { operatorAccount } from './account.ts';
import { FakeKubelet } from './kubelet.ts';
import { ScriptedOverlays } from './overlay.ts';

/** One namespace with an operator that serves it, a kubelet, and validators that report whatever the test says. */
export interface Stage {
  readonly api: TestApi;
  readonly client: Client;
  readonly namespace: string;
  readonly kubelet: FakeKubelet;
  readonly overlays: ScriptedOverlays;
  /** The operator's own namespace. */
  readonly system: string;
  operator: RunningOperator;
  /** Ends the operator and starts another one, as after a crash or an upgrade. */
  restart(change?: Partial<OperatorOptions>): Promise<void>;
  /** Starts one more operator beside the first. */
  another(change: Partial<OperatorOptions>): Promise<RunningOperator>;
  key(name: string): ObjectKey;
  get<T extends KubeObject>(kind: Kind<T>, name: string): Promise<Existing<T> | undefined>;
  apply(object: object): Promise<void>;
  /** Waits until `check` answers something; says `what` it waited for when it does not within 20 s. */
  until<R>(what: string, check: () => Promise<R | undefined | false>, ms?: number): Promise<R>;
  end(): Promise<void>;
}

export const LIMIT_MS = 30_000;

/**
 * Sets the stage: two fresh namespaces, and an operator with no more rights than it asks for.
 * @param api closed by {@link Stage.end}; default: the API server of this run of vitest
 */
export async function setStage(
  change: Partial<OperatorOptions> = {},
  api: TestApi = apiServer(),
  through = (account: KubeConfig): KubeConfig => account,
): Promise<Stage> {
  const config = new KubeConfig();
  config.loadFromFile(api.kubeconfig);
  const client = Client.from(config);
  const [namespace, system] = [await api.namespace('op'), await api.namespace('system')];
  const overlays = new ScriptedOverlays();
  const kubelet = new FakeKubelet(client, namespace);
  kubelet.onRunning = ({ metadata }) => {
    for (const overlay of overlays.all()) overlay.report(metadata.name, {});
  };
  const account = await operatorAccount(api, system, [namespace]);
  const start = (more: Partial<OperatorOptions>): Promise<RunningOperator> =>
    startOperator({
      kubeConfig: through(account),
      namespace: system,
      podName: 'operator-0',
      watchNamespaces: [namespace],
      leaderElect: false,
      image: 'murmuration:test',
      metricsAddress: '127.0.0.1:0',
      healthAddress: '127.0.0.1:0',
      log: pino({ level: process.env.LOG_LEVEL ?? 'silent' }),
      signal: new AbortController().signal,
      createOverlay: overlays.create,
      ...change,
      ...more,
    });
  const until: Stage['until'] = async (what, check, ms = LIMIT_MS) => {
    const deadline = Date.now() + ms;
    for (;;) {
      const found = await check();
      if (found !== undefined && found !== false) return found as never;
      if (Date.now() > deadline) throw new Error(`waited ${ms / 1000} s in vain until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const stage: Stage = {
    api,
    client,
    namespace,
    kubelet,
    overlays,
    system,
    operator: await start({}),
    restart: async (more = {}) => {
      await stage.operator.stop();
      stage.operator = await start(more);
    },
    another: start,
    key: (name) => ({ namespace, name }),
    get: (kind, name) => client.find(kind, { namespace: kind.namespaced ? namespace : '', name }),
    apply: async (object) => {
      const { apiVersion, kind, metadata } = object as KubeObject;
      const plural = `${kind.toLowerCase()}s`;
      const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
      const path = `${root}/namespaces/${namespace}/${plural}/${metadata.name}?fieldManager=person&force=true`;
      const { code, body } = await api.call('PATCH', path, object, 'application/apply-patch+yaml');
      if (code >= 300) throw new Error(`apply ${kind} ${metadata.name}: ${code} ${body?.message}`);
    },
    until,
    end: async () => {
      await stage.operator.stop();
      await kubelet.stop();
      await client.close();
      await api.close();
    },
  };
  return stage;
}

/** A fleet as a person would write it. */
export const fleet = (name: string, replicas: number, spec: object = {}, updateStrategy?: object): object => ({
  apiVersion: 'murmuration.dev/v1alpha1',
  kind: 'ValidatorFleet',
  metadata: { name },
  spec: { replicas, template: { spec }, ...(updateStrategy === undefined ? {} : { updateStrategy }) },
});

export const node = (name: string, spec: object = {}): object => ({
  apiVersion: 'murmuration.dev/v1alpha1',
  kind: 'ValidatorNode',
  metadata: { name },
  spec,
});

export const model = (name: string, spec: object = {}): object => ({
  apiVersion: 'murmuration.dev/v1alpha1',
  kind: 'Model',
  metadata: { name },
  spec: { data: { source: { builtin: 'digits' }, classes: 10 }, ...spec },
});

/** Whether the condition has this status (and reason) and was judged on the present generation. */
export const has = (
  object: KubeObject & { readonly status?: { readonly conditions?: never[] } | object | undefined },
  type: string,
  status: string,
  reason?: string,
): boolean => {
  const condition = findCondition(object as never, type);
  return (
    condition?.status === status &&
    (reason === undefined || condition.reason === reason) &&
    condition.observedGeneration === object.metadata.generation
  );
};

/** Waits until the fleet is Ready and Converged in its present generation. */
export async function untilSettled(stage: Stage, name: string, replicas: number): Promise<Existing<ValidatorFleet>> {
  return stage.until(`fleet ${name} is settled with ${replicas}`, async () => {
    const found = await stage.get(ValidatorFleet, name);
    const settled =
      found !== undefined &&
      found.status?.replicas === replicas &&
      has(found, FLEET_CONDITIONS.Ready, 'True') &&
      has(found, FLEET_CONDITIONS.Converged, 'True');
    return settled ? found : undefined;
  });
}

/** resourceVersions of everything that the operator looks after in the namespace: what a write would change. */
export async function versions(stage: Stage, kinds: readonly Kind[]): Promise<ReadonlyMap<string, string>> {
  const out = new Map<string, string>();
  for (const kind of kinds) {
    const { items } = await stage.client.list(kind, { namespace: stage.namespace });
    for (const { metadata } of items) out.set(`${kind.kind} ${metadata.name}`, metadata.resourceVersion);
  }
  return out;
}

export type { Written };
export { Pod, ValidatorNode };
