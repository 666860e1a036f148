import { loadKubeConfig } from '../cluster/config.ts';
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
  const kubeConfig = loadKubeConfig(flags, io);
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
