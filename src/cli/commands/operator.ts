import type { ClusterConfig } from '../../kube/index.ts';
import { misused } from '../errors.ts';
import type { ClusterFlags } from '../flags.ts';
import type { Io } from '../io.ts';
import { podLogger } from './log.ts';

/** Flags of `murmur operator`. `namespace` is the operator's own. */
export interface OperatorFlags extends ClusterFlags {
  readonly watchNamespaces?: readonly string[];
  readonly leaderElect: boolean;
  readonly metricsAddress: string;
  readonly healthAddress: string;
  readonly image: string;
  readonly debug?: boolean;
}

/** Runs the operator until it is told to stop. */
export async function operator(flags: OperatorFlags, io: Io): Promise<void> {
  const namespace = flags.namespace ?? io.env.POD_NAMESPACE;
  if (namespace === undefined || namespace === '') {
    throw misused(
      'The operator does not know its own namespace, where its lease and the authority key are.',
      'Set POD_NAMESPACE (the chart does), or give --namespace.',
    );
  }
  const { leaderElect, metricsAddress, healthAddress, image, watchNamespaces } = flags;
  const log = podLogger('operator', flags.debug, io);
  const kubeConfig = await clusterOf(flags, io);
  const { startOperator } = await import('../../operator/index.ts');
  const running = await startOperator({
    kubeConfig,
    namespace,
    podName: io.env.POD_NAME ?? `desk-${process.pid}`,
    ...(watchNamespaces === undefined || watchNamespaces.length === 0 ? {} : { watchNamespaces }),
    leaderElect,
    image,
    metricsAddress,
    healthAddress,
    log,
    signal: io.signal,
  });
  await running.stopped;
}

/** In its pod the operator needs nothing but what is mounted there; a kubeconfig takes a library that costs 60 MB. */
async function clusterOf(flags: ClusterFlags, io: Io): Promise<ClusterConfig> {
  const { InCluster } = await import('../../kube/index.ts');
  const isNamed = flags.kubeconfig !== undefined || flags.context !== undefined || (io.env.KUBECONFIG ?? '') !== '';
  const folder = io.env.SERVICE_ACCOUNT_FOLDER;
  if (!isNamed && InCluster.has(folder)) return new InCluster(io.env, folder);
  return (await import('../cluster/config.ts')).loadKubeConfig(flags, io);
}
